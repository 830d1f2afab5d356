#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Links whose module not every kernel has, made of TUN and TAP devices. They exist as long as this process.

    links.py vlan DEV ID               DEV.ID, whose frames have an 802.1Q tag on DEV
    links.py priority DEV TAGS         DEV.0, whose frames leave by DEV with so many priority tags and arrive without
    links.py ppp NETNS DEV NETNS DEV   a link for IP packets without a link header, both ends of type PPP
"""
import ctypes
import fcntl
import os
import selectors
import socket
import struct
import sys

TUNSETIFF, TUNSETLINK, SIOCSIFHWADDR = 0x400454CA, 0x400454CD, 0x8924
IFF_TUN, IFF_TAP, IFF_NO_PI = 1, 2, 0x1000
ARPHRD_ETHER, ARPHRD_PPP = 1, 512
ETH_P_ALL, ETH_P_8021Q = 3, 0x8100
SOL_PACKET, PACKET_AUXDATA, PACKET_OUTGOING, TP_STATUS_VLAN_VALID = 263, 8, 4, 1 << 4
CLONE_NEWNET = 0x40000000
LARGEST = 65536

libc = ctypes.CDLL(None, use_errno=True)


def enter(netns):
    """Enters a network namespace, for the next sockets and devices."""
    with open(netns, "rb") as file:
        if libc.setns(file.fileno(), CLONE_NEWNET):
            sys.exit(f"{netns}: {os.strerror(ctypes.get_errno())}")


def device(name, kind):
    file = os.open("/dev/net/tun", os.O_RDWR)
    fcntl.ioctl(file, TUNSETIFF, struct.pack("16sH22x", name.encode(), kind | IFF_NO_PI))
    return file


def send(write, packet):
    """Drops the packet if the other side does not accept it, as a cable would."""
    try:
        write(packet)
    except OSError:
        pass


def pump(*readers):
    """For each (file, callback): calls the callback whenever the file is readable."""
    selector = selectors.DefaultSelector()
    for file, callback in readers:
        selector.register(file, selectors.EVENT_READ, callback)
    print("ready", flush=True)
    while True:
        for key, _ in selector.select():
            key.data()


def vlan(lower, number, tags=1):
    """With the ID 0: frames arrive without a tag."""
    number, tags = int(number), int(tags)
    wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
    # The kernel removes the tag from the frame, and passes it as auxiliary data.
    wire.setsockopt(SOL_PACKET, PACKET_AUXDATA, 1)
    wire.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
    wire.bind((lower, ETH_P_ALL))
    name = f"{lower}.{number}"
    tap = device(name, IFF_TAP)
    mac = wire.getsockname()[4]
    fcntl.ioctl(tap, SIOCSIFHWADDR, struct.pack("16sH6s16x", name.encode(), ARPHRD_ETHER, mac))

    def to_wire():
        frame = os.read(tap, LARGEST)
        send(wire.send, frame[:12] + struct.pack("!HH", ETH_P_8021Q, number) * tags + frame[12:])

    def from_wire():
        frame, auxiliary, _, address = wire.recvmsg(LARGEST, 256)
        if address[2] == PACKET_OUTGOING or not auxiliary:
            return
        status, tag = struct.unpack_from("I12xH", auxiliary[0][2])
        if (status & TP_STATUS_VLAN_VALID and tag & 0xFFF) == number:
            send(lambda packet: os.write(tap, packet), frame)

    pump((tap, to_wire), (wire, from_wire))


def priority(lower, tags):
    vlan(lower, 0, tags)


def ppp(*ends):
    files = []
    for netns, name in zip(ends[::2], ends[1::2]):
        enter(netns)
        files.append(device(name, IFF_TUN))
        fcntl.ioctl(files[-1], TUNSETLINK, ARPHRD_PPP)
    one, other = files
    pump((one, lambda: send(lambda packet: os.write(other, packet), os.read(one, LARGEST))),
         (other, lambda: send(lambda packet: os.write(one, packet), os.read(other, LARGEST))))


def main():
    commands = {("vlan", 4): vlan, ("priority", 4): priority, ("ppp", 6): ppp}
    run = commands.get((sys.argv[1] if sys.argv[1:] else "", len(sys.argv)))
    if not run:
        sys.exit(__doc__)
    run(*sys.argv[2:])


if __name__ == "__main__":
    main()
