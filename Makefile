# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# BPF objects -> skeletons -> build/fwdctl. One flat file, nothing recursive.
#
#   make                       build/fwdctl
#   make test                  everything that scripts/test runs (root)
#   make fuzz                  what scripts/fuzz runs
#   make bench                 what scripts/bench runs
#   make install PREFIX= DESTDIR=
#   make clean                 V=1 shows the commands

PREFIX  ?= /usr/local
DESTDIR ?=
SBINDIR ?= $(PREFIX)/sbin
MANDIR  ?= $(PREFIX)/share/man

CC        ?= gcc
CLANG     ?= clang
BPFTOOL   ?= $(shell command -v bpftool 2>/dev/null || echo /usr/sbin/bpftool)
LLVM_STRIP ?= llvm-strip
PKGCONFIG ?= pkg-config

B := build
# What `fwdctl version` says; a checkout knows better than a number in a file.
VERSION := $(shell git describe --tags --always --dirty 2>/dev/null || echo 0.1)

WARN := -Wall -Wextra -Werror -Wno-unused-parameter
INC  := -Iinclude -Ibpf -Iuser -I$(B)
CFLAGS ?= -O2 -g
USER_CFLAGS := $(CFLAGS) -std=gnu11 $(WARN) $(INC) -D_GNU_SOURCE -DFWD_VERSION='"$(VERSION)"' \
	$(shell $(PKGCONFIG) --cflags libbpf libxdp libmnl jansson)
USER_LIBS := $(shell $(PKGCONFIG) --libs libxdp libbpf libmnl jansson)

# Debian keeps asm/types.h under the architecture's triplet, where `-target bpf` doesn't look.
TRIPLET := $(shell $(CC) -print-multiarch)
BPF_CFLAGS := -O2 -g -std=gnu11 -target bpf -mcpu=v3 $(WARN) -Iinclude -Ibpf \
	$(if $(TRIPLET),-idirafter /usr/include/$(TRIPLET)) $(shell $(PKGCONFIG) --cflags libbpf)

BPF_SKELS := $(patsubst bpf/%.bpf.c,$(B)/%.skel.h,$(wildcard bpf/*.bpf.c))
USER_OBJS := $(patsubst user/%.c,$(B)/user/%.o,$(wildcard user/*.c))
# All but main(): what the tests link.
USER_LIB_OBJS := $(filter-out $(B)/user/fwdctl.o,$(USER_OBJS))

HOST_TESTS := $(patsubst tests/host/%.c,$(B)/host/%,$(wildcard tests/host/test_*.c))
HOST_SOURCES_test_addr := user/addr.c
HOST_SOURCES_test_rule := user/map_rule.c user/addr.c user/err.c
HOST_SOURCES_test_settings := user/settings.c user/err.c
PROG_TESTS := $(patsubst tests/prog/%.c,$(B)/prog/%,$(wildcard tests/prog/test_*.c))
BENCH_SKELS := $(patsubst tests/bench/%.bpf.c,$(B)/bench/%.skel.h,$(wildcard tests/bench/*.bpf.c))
BENCH_PROGRAMS := $(patsubst tests/bench/%.c,$(B)/bench/%,$(filter-out %.bpf.c,$(wildcard tests/bench/*.c)))
comma := ,
space := $() $()
FUZZ_DIR ?= $(B)/fuzz
FUZZ_TARGETS := $(patsubst tests/fuzz/%.c,$(FUZZ_DIR)/%,$(wildcard tests/fuzz/fuzz_*.c))
FUZZ_SOURCES_fuzz_rule := user/map_rule.c user/addr.c user/settings.c
FUZZ_SOURCES_fuzz_cli := $(filter-out user/fwdctl.c,$(wildcard user/*.c))
# The journey, with the kernel's helpers in tests/fuzz; the command line, as far as to the kernel.
FUZZ_FLAGS_fuzz_pipeline := -Itests/fuzz/shim
FUZZ_FLAGS_fuzz_cli := -Wl,$(subst $(space),$(comma),$(addprefix --wrap=,instance_open instance_open_blind \
	instance_close iface_link iface_of_address iface_is_broadcast iface_source_towards))
SANITIZE := -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer

ifeq ($(V),1)
Q :=
say = @:
else
Q := @
say = @printf '  %-8s %s\n' $(1) $(2)
endif

.PHONY: all test tests fuzz bench install clean
.DELETE_ON_ERROR:
.SECONDARY:

all: $(B)/fwdctl

$(B)/%.bpf.o: bpf/%.bpf.c
	$(call say,BPF,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CLANG) $(BPF_CFLAGS) -MMD -MP -MF $(B)/$*.bpf.d -MT $@ -c $< -o $@
	$(Q)$(LLVM_STRIP) -g $@

$(B)/%.skel.h: $(B)/%.bpf.o
	$(call say,SKEL,$@)
	$(Q)$(BPFTOOL) gen skeleton $< name $* > $@

$(B)/user/%.o: user/%.c $(BPF_SKELS)
	$(call say,CC,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(USER_CFLAGS) -MMD -MP -c $< -o $@

$(B)/fwdctl: $(USER_OBJS)
	$(call say,LD,$@)
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) $^ -o $@ $(USER_LIBS)

# Each file of tests/host is a program of its own, built with everything it includes.
$(B)/host/%: tests/host/%.c $(wildcard tests/host/*.h) $(wildcard tests/prog/*.h) $(wildcard bpf/*.h) $(wildcard include/*.h) \
		$(filter-out user/fwdctl.c,$(wildcard user/*.c)) $(wildcard user/*.h) $(BPF_SKELS)
	$(call say,CC,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(USER_CFLAGS) $(SANITIZE) -Itests/host $< $(HOST_SOURCES_$*) -o $@ -lcriterion $(USER_LIBS)

$(B)/prog/%: tests/prog/%.c $(wildcard tests/prog/*.h) $(USER_LIB_OBJS)
	$(call say,CC,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(USER_CFLAGS) -Itests/prog $< $(USER_LIB_OBJS) -o $@ -lcriterion $(USER_LIBS)

# libFuzzer is clang's. For scripts/fuzz --lines they are built with other instruments, elsewhere.
FUZZ_SANITIZE ?= -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=undefined
FUZZ_HEADERS := $(wildcard tests/fuzz/*.h) $(wildcard tests/fuzz/shim/bpf/*.h) $(wildcard tests/prog/*.h) \
	$(wildcard bpf/*.h) $(wildcard include/*.h) $(wildcard user/*.h)
$(FUZZ_DIR)/fuzz_%: tests/fuzz/fuzz_%.c $(FUZZ_HEADERS) $(wildcard user/*.c) $(BPF_SKELS)
	$(call say,FUZZ,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CLANG) $(FUZZ_FLAGS_fuzz_$*) $(USER_CFLAGS) -O1 -Itests/fuzz $(FUZZ_SANITIZE) \
		$< $(FUZZ_SOURCES_fuzz_$*) -o $@ $(USER_LIBS)

# Those of test_packets.c's functions that only judge have nothing to do there.
$(B)/fuzz/seeds: tests/fuzz/seeds.c $(FUZZ_HEADERS) tests/prog/test_packets.c
	$(call say,CC,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(USER_CFLAGS) -Wno-unused $< -o $@

fuzz: $(FUZZ_TARGETS) $(B)/fuzz/seeds

# The benchmark's own programs, BPF ones included.
$(B)/bench/%.bpf.o: tests/bench/%.bpf.c $(wildcard tests/bench/*.h)
	$(call say,BPF,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CLANG) $(BPF_CFLAGS) -c $< -o $@
	$(Q)$(LLVM_STRIP) -g $@

$(B)/bench/%.skel.h: $(B)/bench/%.bpf.o
	$(call say,SKEL,$@)
	$(Q)$(BPFTOOL) gen skeleton $< name $* > $@

$(B)/bench/%: tests/bench/%.c $(wildcard tests/bench/*.h) $(BENCH_SKELS)
	$(call say,CC,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(USER_CFLAGS) -I$(B)/bench $< -o $@ $(USER_LIBS)

bench: $(B)/fwdctl $(BENCH_PROGRAMS)

tests: $(HOST_TESTS) $(PROG_TESTS)

test:
	scripts/test

install: $(B)/fwdctl
	install -d $(DESTDIR)$(SBINDIR)
	install -m 0755 $(B)/fwdctl $(DESTDIR)$(SBINDIR)/fwdctl
	if [ -f docs/fwdctl.8 ]; then install -d $(DESTDIR)$(MANDIR)/man8 && \
		install -m 0644 docs/fwdctl.8 $(DESTDIR)$(MANDIR)/man8/fwdctl.8; fi

clean:
	rm -rf $(B)

-include $(wildcard $(B)/*.d $(B)/user/*.d)
