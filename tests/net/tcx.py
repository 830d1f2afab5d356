#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""tcx.py DEV ingress|egress NAME RETURN: attaches a BPF program by TCX that does nothing but return the number RETURN.
Prints "attached" and detaches it at SIGTERM. It stands for a program of another tool."""
import ctypes
import os
import platform
import signal
import socket
import struct
import sys

BPF_PROG_LOAD = 5
BPF_LINK_CREATE = 28
BPF_PROG_TYPE_SCHED_CLS = 3
HOOKS = {"ingress": 46, "egress": 47}
SYSCALL = 321 if platform.machine() == "x86_64" else 280

libc = ctypes.CDLL(None, use_errno=True)


def bpf(command, attr):
    memory = ctypes.create_string_buffer(attr, 128)
    fd = libc.syscall(SYSCALL, command, memory, 72)
    if fd < 0:
        sys.exit(f"bpf({command}): {os.strerror(ctypes.get_errno())}")
    return fd


device, hook, name, value = sys.argv[1:]
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
# r0 = value; exit
code = ctypes.create_string_buffer(struct.pack("=BBhiBBhi", 0xb7, 0, 0, int(value), 0x95, 0, 0, 0))
license = ctypes.create_string_buffer(b"GPL")
program = bpf(BPF_PROG_LOAD, struct.pack("=IIQQIIQII16s", BPF_PROG_TYPE_SCHED_CLS, 2, ctypes.addressof(code),
                                         ctypes.addressof(license), 0, 0, 0, 0, 0, name.encode()))
link = bpf(BPF_LINK_CREATE, struct.pack("=IIII", program, socket.if_nametoindex(device), HOOKS[hook], 0))
print("attached", flush=True)
signal.sigwait([signal.SIGTERM])
