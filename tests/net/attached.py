#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""attached.py DEV...: prints the BPF programs that are attached to each device by TCX, as lines "DEV HOOK ID".

bpftool before 7.3 does not know TCX, so this asks the kernel (BPF_PROG_QUERY)."""
import ctypes
import os
import platform
import socket
import struct
import sys

BPF_PROG_QUERY = 16
HOOKS = {"ingress": 46, "egress": 47}
SYSCALL = 321 if platform.machine() == "x86_64" else 280

libc = ctypes.CDLL(None, use_errno=True)
for name in sys.argv[1:]:
    for hook, attach_type in HOOKS.items():
        ids = (ctypes.c_uint32 * 64)()
        attr = ctypes.create_string_buffer(
            struct.pack("=IIIIQIIQQQQ", socket.if_nametoindex(name), attach_type, 0, 0,
                        ctypes.addressof(ids), 64, 0, 0, 0, 0, 0), 128)
        if libc.syscall(SYSCALL, BPF_PROG_QUERY, attr, 64) < 0:
            error = ctypes.get_errno()
            if error == 22:  # a kernel without TCX
                continue
            sys.exit(f"{name}: {os.strerror(error)}")
        for number in ids[: struct.unpack_from("=I", attr, 24)[0]]:
            print(name, hook, number)
