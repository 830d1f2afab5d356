# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# BPF objects -> skeletons -> build/fwdctl. One file, no recursion.
#
#   make                       build/fwdctl
#   make check                 format, lint, include rule, spelling: what scripts/check runs
#   make test                  everything that scripts/test runs (root)
#   make fuzz                  what scripts/fuzz runs
#   make bench                 what scripts/bench runs
#   make install PREFIX= DESTDIR=      make uninstall (the same variables)
#   make compile_commands.json for clangd
#   make clean                 V=1 shows the commands
#
# For packagers: CC, CLANG, CPPFLAGS, CFLAGS, LDFLAGS and PKGCONFIG are honoured. Warnings are errors only with
# WERROR=1. Two builds of one commit by the same compilers are identical, in whatever folder.

VERSION := 0.9.0

PREFIX  ?= /usr/local
DESTDIR ?=
SBINDIR ?= $(PREFIX)/sbin
MANDIR  ?= $(PREFIX)/share/man

CLANG      ?= clang
BPFTOOL    ?= $(shell command -v bpftool 2>/dev/null || echo /usr/sbin/bpftool)
LLVM_STRIP ?= llvm-strip
PKGCONFIG  ?= pkg-config

B ?= build
# The oldest clang whose objects are tested. clang 13 generates code that the verifier refuses.
CLANG_OLDEST := 14
CLANG_VERSION := $(shell $(CLANG) -dumpversion 2>/dev/null)
CLANG_MAJOR := $(firstword $(subst ., ,$(CLANG_VERSION)))

WARN := -Wall -Wextra -Wno-unused-parameter $(if $(filter 1,$(WERROR)),-Werror)
# Paths in the debug information and in BTF are those of the repository, wherever it is built.
MAP_PREFIX := -ffile-prefix-map=$(CURDIR)/= -ffile-prefix-map=$(CURDIR)=.
INC := -Iinclude -iquote bpf -iquote user -I$(B)
CFLAGS ?= -O2 -g
# glibc's checks need an optimizer, and a packager may have chosen their level.
FORTIFY := $(if $(findstring _FORTIFY_SOURCE,$(CPPFLAGS) $(CFLAGS))$(filter -O0,$(CFLAGS)),,-D_FORTIFY_SOURCE=2)
HARDEN := -fstack-protector-strong -fPIE $(FORTIFY)
HARDEN_LD := -pie -Wl,-z,relro,-z,now
LIBS := libbpf libxdp libmnl jansson
USER_CFLAGS := -std=gnu11 $(WARN) $(INC) -D_GNU_SOURCE $(MAP_PREFIX) $(shell $(PKGCONFIG) --cflags $(LIBS)) \
	$(CPPFLAGS) $(CFLAGS)
USER_LIBS := $(shell $(PKGCONFIG) --libs $(LIBS))

# Debian keeps asm/types.h under the architecture's triplet, where `-target bpf` doesn't look. Not every clang has the
# option.
TRIPLET := $(firstword $(shell $(CC) -print-multiarch 2>/dev/null || gcc -print-multiarch 2>/dev/null))
BPF_CFLAGS := -O2 -g -std=gnu11 -target bpf -mcpu=v3 $(WARN) $(MAP_PREFIX) -Iinclude -iquote bpf \
	$(if $(TRIPLET),-idirafter /usr/include/$(TRIPLET)) $(shell $(PKGCONFIG) --cflags libbpf)

BPF_HEADERS := $(wildcard bpf/*.h bpf/*/*.h include/fwd/*.h)
BPF_SKELS := $(patsubst bpf/%.bpf.c,$(B)/%.skel.h,$(wildcard bpf/*.bpf.c))
USER_SOURCES := $(wildcard user/*.c user/*/*.c)
USER_HEADERS := $(wildcard user/*/*.h include/fwd/*.h)
USER_OBJS := $(patsubst %.c,$(B)/%.o,$(USER_SOURCES))

HOST_TESTS := $(patsubst tests/host/%.c,$(B)/host/%,$(wildcard tests/host/test_*.c))
# user/ tests link the layers that hold no state.
USER_PURE := $(wildcard user/base/*.c user/model/*.c)
HOST_SOURCES_test_addr := $(USER_PURE)
HOST_SOURCES_test_bpf_log := $(USER_PURE) user/state/bpf_log.c
HOST_SOURCES_test_conn_filter := $(USER_PURE)
HOST_SOURCES_test_endpoint_hint := $(USER_PURE)
HOST_SOURCES_test_err := $(USER_PURE)
HOST_SOURCES_test_ipsec := $(USER_PURE) user/host/ipsec.c user/host/netlink.c
HOST_SOURCES_test_own_socket := $(USER_PURE) user/host/sockets.c user/host/netlink.c
HOST_SOURCES_test_rule := $(USER_PURE)
HOST_SOURCES_test_settings := $(USER_PURE)
HOST_SOURCES_test_word := $(USER_PURE)
PROG_TESTS := $(patsubst tests/prog/%.c,$(B)/prog/%,$(wildcard tests/prog/test_*.c))
PROG_OBJS := $(patsubst %.c,$(B)/%.o,$(filter-out tests/prog/test_%.c,$(wildcard tests/prog/*.c))) \
	$(B)/user/host/conntrack.o $(B)/user/host/sysctl.o $(B)/user/state/kfunc.o
BENCH_SKELS := $(patsubst tests/bench/%.bpf.c,$(B)/bench/%.skel.h,$(wildcard tests/bench/*.bpf.c))
BENCH_PROGRAMS := $(patsubst tests/bench/%.c,$(B)/bench/%,$(filter-out %.bpf.c,$(wildcard tests/bench/*.c)))
comma := ,
space := $() $()
FUZZ_DIR ?= $(B)/fuzz
FUZZ_TARGETS := $(patsubst tests/fuzz/%.c,$(FUZZ_DIR)/%,$(wildcard tests/fuzz/fuzz_*.c))
FUZZ_SOURCES_fuzz_rule := $(USER_PURE)
FUZZ_SOURCES_fuzz_cli := $(filter-out user/main.c,$(USER_SOURCES))
# The pipeline, with the kernel's helpers in tests/fuzz; the command line, as far as to the kernel.
FUZZ_FLAGS_fuzz_pipeline := -Itests/fuzz/shim
FUZZ_FLAGS_fuzz_cli := -Wl,$(subst $(space),$(comma),$(addprefix --wrap=,instance_open instance_open_blind \
	instance_close iface_link iface_of_address iface_source_towards ipsec_read route_get))
SANITIZE := -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer

ifeq ($(V),1)
Q :=
say = @:
else
Q := @
say = @printf '  %-8s %s\n' $(1) $(2)
endif

.PHONY: all check test tests fuzz bench install uninstall clean FORCE
.DELETE_ON_ERROR:
.SECONDARY:

all: $(B)/fwdctl

# What `fwdctl version` prints: the version, and the commit if this directory itself is a git checkout.
VERSION_COMMIT = $(shell [ "$$(git rev-parse --show-toplevel 2>/dev/null)" = "$(CURDIR)" ] && \
	git ls-files --error-unmatch Makefile >/dev/null 2>&1 && \
	git describe --always --abbrev=12 --dirty --exclude '*' 2>/dev/null | sed 's/.*/ (&)/')

# The files of this rule are written anew only when they change. What depends on one of them is then built again: by
# another compiler, with other flags, for another commit. -Werror changes no object.
CONTENT_version.h = '\#define FWD_VERSION "$(VERSION)$(VERSION_COMMIT)"' \
	'\#define FWD_BPF_COMPILER "clang $(CLANG_VERSION)"' '\#define FWD_CLANG_MAJOR $(or $(CLANG_MAJOR),0)'
CONTENT_bpf.flags = '$(subst ','\'',$(CLANG_VERSION) $(filter-out -Werror,$(BPF_CFLAGS)))'
CONTENT_user.flags = '$(subst ','\'',$(shell $(CC) --version 2>/dev/null | sed 1q) \
	$(filter-out -Werror,$(USER_CFLAGS)) $(LDFLAGS))'

$(B)/version.h $(B)/bpf.flags $(B)/user.flags: FORCE
	$(Q)mkdir -p $(@D)
	$(Q)printf '%s\n' $(CONTENT_$(@F)) >$@.new
	$(Q)cmp -s $@.new $@ && rm $@.new || mv $@.new $@

$(B)/%.bpf.o: bpf/%.bpf.c $(B)/bpf.flags
	$(call say,BPF,$@)
	$(Q)[ "$(or $(CLANG_MAJOR),0)" -ge $(CLANG_OLDEST) ] || { \
		echo "fwdctl needs clang $(CLANG_OLDEST) or newer; $(CLANG) is $(or $(CLANG_VERSION),not there):" \
		"make CLANG=clang-$(CLANG_OLDEST)" >&2; exit 1; }
	$(Q)mkdir -p $(@D)
	$(Q)$(CLANG) $(BPF_CFLAGS) -MMD -MP -MF $(B)/$*.bpf.d -MT $@ -c $< -o $@
	$(Q)$(LLVM_STRIP) -g $@

$(B)/%.skel.h: $(B)/%.bpf.o
	$(call say,SKEL,$@)
	$(Q)$(BPFTOOL) gen skeleton $< name fwd_$* > $@

$(B)/user/%.o: user/%.c $(B)/user.flags | $(BPF_SKELS) $(B)/version.h
	$(call say,CC,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(HARDEN) $(USER_CFLAGS) -MMD -MP -c $< -o $@

$(B)/fwdctl: $(USER_OBJS)
	$(call say,LD,$@)
	$(Q)$(CC) $(CFLAGS) $(HARDEN_LD) $(LDFLAGS) $(USER_OBJS) -o $@ $(USER_LIBS)

# Each test_*.c of tests/host and of tests/prog is a program of its own. What they share is compiled once: for
# tests/host with the sanitizers. HOST_SOURCES_TEST: what a test links; else the packets of tests/prog.
.SECONDEXPANSION:
$(B)/host/obj/%.o: %.c | $(BPF_SKELS) $(B)/version.h
	$(call say,CC,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(USER_CFLAGS) $(SANITIZE) -MMD -MP -c $< -o $@

$(B)/host/%: tests/host/%.c \
		$$(addprefix $(B)/host/obj/,$$(subst .c,.o,$$(or $$(HOST_SOURCES_$$*),tests/prog/packet.c))) \
		| $(BPF_SKELS) $(B)/version.h
	$(call say,CC,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(USER_CFLAGS) $(SANITIZE) -iquote tests -Itests/host -MMD -MP -MF $@.d -MT $@ \
		$(filter %.c %.o,$^) -o $@ -lcriterion $(USER_LIBS)

$(B)/tests/%.o: tests/%.c | $(BPF_SKELS) $(B)/version.h
	$(call say,CC,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(USER_CFLAGS) -MMD -MP -c $< -o $@

$(B)/prog/%: tests/prog/%.c $(PROG_OBJS) | $(BPF_SKELS) $(B)/version.h
	$(call say,CC,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(USER_CFLAGS) -MMD -MP -MF $@.d -MT $@ $(filter %.c %.o,$^) -o $@ -lcriterion $(USER_LIBS)

# libFuzzer is a part of clang. `scripts/fuzz --lines` builds them with other instrumentation, into another directory.
# A target is one translation unit; packet.o is built without coverage, because libFuzzer must not be guided by it.
FUZZ_SANITIZE ?= -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=undefined
FUZZ_HEADERS := $(wildcard tests/*.h tests/fuzz/*.h tests/fuzz/shim/bpf/*.h tests/prog/*.h) $(BPF_HEADERS) \
	$(USER_HEADERS)
$(FUZZ_DIR)/fuzz_%: tests/fuzz/fuzz_%.c $(B)/tests/prog/packet.o $(FUZZ_HEADERS) $(USER_SOURCES) \
		| $(BPF_SKELS) $(B)/version.h
	$(call say,FUZZ,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CLANG) $(FUZZ_FLAGS_fuzz_$*) $(USER_CFLAGS) -O1 -iquote tests -Itests/fuzz $(FUZZ_SANITIZE) \
		$< $(or $(FUZZ_SOURCES_fuzz_$*),$(B)/tests/prog/packet.o) -o $@ $(USER_LIBS)

# It includes test_packets.c for its tables; the functions there that only check results are unused.
$(B)/fuzz/seeds: tests/fuzz/seeds.c $(B)/tests/prog/packet.o $(FUZZ_HEADERS) tests/prog/test_packets.c
	$(call say,CC,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(USER_CFLAGS) -iquote tests -Wno-unused $< $(B)/tests/prog/packet.o -o $@

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

check:
	scripts/check

test:
	scripts/test

compile_commands.json: FORCE
	$(Q)scripts/compile_commands >$@

install: $(B)/fwdctl
	install -d $(DESTDIR)$(SBINDIR) $(DESTDIR)$(MANDIR)/man8
	install -m 0755 $(B)/fwdctl $(DESTDIR)$(SBINDIR)/fwdctl
	install -m 0644 docs/fwdctl.8 $(DESTDIR)$(MANDIR)/man8/fwdctl.8

# What install put there, and nothing else: the maps of a running instance stay (fwdctl purge removes them).
uninstall:
	rm -f $(DESTDIR)$(SBINDIR)/fwdctl $(DESTDIR)$(MANDIR)/man8/fwdctl.8

clean:
	rm -rf $(B) compile_commands.json

-include $(wildcard $(B)/*.d $(B)/user/*.d $(B)/user/*/*.d $(B)/prog/*.d $(B)/tests/*/*.d $(B)/host/*.d \
	$(B)/host/obj/*/*/*.d)
