#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Reads captures of tcpdump -w, and checks them.

    pcap.py list FILE            prints a JSON object for each packet
    pcap.py checksums FILE       recomputes all checksums; fails at the first wrong one
    pcap.py same FILE FILE       the same IP packets, byte for byte, in any order (CPUs reorder packets)
    pcap.py routed FILE FILE     the same, with the TTL decremented in the second
"""
import ipaddress
import json
import struct
import sys

ETHERNET, RAW, LINUX_SLL2 = 1, (12, 14, 101, 228, 229), 276
ETHERTYPE_IPV4, ETHERTYPE_IPV6, ETHERTYPE_VLAN = 0x0800, 0x86DD, 0x8100


def frames(path):
    """(time, destination MAC or None, VLAN or None, IP packet) of each frame that carries IP."""
    with open(path, "rb") as file:
        content = file.read()
    if len(content) < 24:
        return
    order = "<" if content[:4] in (b"\xd4\xc3\xb2\xa1", b"\x4d\x3c\xb2\xa1") else ">"
    link = struct.unpack(order + "I", content[20:24])[0] & 0xFFFF
    at = 24
    while at + 16 <= len(content):
        seconds, part, captured, length = struct.unpack(order + "IIII", content[at : at + 16])
        frame = content[at + 16 : at + 16 + captured]
        at += 16 + captured
        if captured < length:
            sys.exit(f"{path}: a packet of {length} bytes was truncated to {captured}")
        if link == ETHERNET:
            kind, tag, inner = struct.unpack("!HHH", frame[12:18])
            if kind in (ETHERTYPE_IPV4, ETHERTYPE_IPV6):
                yield seconds + part * 1e-6, frame[:6].hex(":"), None, frame[14:]
            elif kind == ETHERTYPE_VLAN and inner in (ETHERTYPE_IPV4, ETHERTYPE_IPV6):
                yield seconds + part * 1e-6, frame[:6].hex(":"), tag & 0xFFF, frame[18:]
        elif link in RAW:
            yield seconds + part * 1e-6, None, None, frame
        else:
            sys.exit(f"{path}: link type {link} is unknown")


def ones_sum(content):
    """The ones' complement sum (RFC 1071): arithmetic modulo 2^16 - 1, whose zero is 0xffff."""
    if len(content) % 2:
        content += b"\0"
    return int.from_bytes(content, "big") % 0xFFFF or 0xFFFF


def parse(packet):
    """The fields of an IP packet; `wrong` lists wrong checksums."""
    wrong = []
    if packet[0] >> 4 == 4:
        header = (packet[0] & 15) * 4
        total, identification, fragment = struct.unpack("!HHH", packet[2:8])
        ttl, proto = packet[8], packet[9]
        src, dst = packet[12:16], packet[16:20]
        if ones_sum(packet[:header]) != 0xFFFF:
            wrong.append("IPv4 header")
        l4 = packet[header:total]
        pseudo = src + dst + struct.pack("!BBH", 0, proto, len(l4))
    else:
        header, identification, fragment = 40, 0, 0
        length, proto, ttl = struct.unpack("!HBB", packet[4:8])
        src, dst = packet[8:24], packet[24:40]
        total = 40 + length
        l4 = packet[40:total]
        pseudo = src + dst + struct.pack("!IHBB", len(l4), 0, 0, proto)
    info = {
        "version": packet[0] >> 4, "src": str(ipaddress.ip_address(src)), "dst": str(ipaddress.ip_address(dst)),
        "proto": proto, "ttl": ttl, "len": total, "id": identification,
    }
    if fragment & 0x3FFF:
        info["fragment"] = fragment
    elif proto == 6:
        info["sport"], info["dport"], info["seq"], info["ack"] = struct.unpack("!HHII", l4[:12])
        offset = (l4[12] >> 4) * 4
        info["flags"] = "".join(name for bit, name in enumerate("FSRPAUEC") if l4[13] >> bit & 1)
        info["payload"] = len(l4) - offset
        options, at = l4[20:offset], 0
        info["options"] = options.hex()
        while at < len(options) and options[at]:
            if options[at] == 8:
                info["tsval"], info["tsecr"] = struct.unpack("!II", options[at + 2 : at + 10])
            if options[at] == 2:
                info["mss"] = int.from_bytes(options[at + 2 : at + 4], "big")
            at += 1 if options[at] == 1 else max(options[at + 1], 2)
        if ones_sum(pseudo + l4) != 0xFFFF:
            wrong.append("TCP")
    elif proto == 17:
        info["sport"], info["dport"], length, checksum = struct.unpack("!HHHH", l4[:8])
        info["payload"], info["checksum"] = length - 8, checksum
        if (checksum or info["version"] == 6) and ones_sum(pseudo + l4) != 0xFFFF:
            wrong.append("UDP")
    elif proto == 1:
        info["type"], info["code"] = l4[0], l4[1]
        if ones_sum(l4) != 0xFFFF:
            wrong.append("ICMP")
    elif proto == 58:
        info["type"], info["code"] = l4[0], l4[1]
        if ones_sum(pseudo + l4) != 0xFFFF:
            wrong.append("ICMPv6")
    error = {1: (3, 11, 12), 58: (1, 2, 3, 4)}.get(proto, ())
    if not fragment & 0x3FFF and info.get("type") in error:
        info["mtu"] = int.from_bytes(l4[4:8], "big")
        info["quote"] = quoted(l4[8:])
        wrong += info["quote"].pop("wrong")
    info["wrong"] = wrong
    return info


def quoted(packet):
    """The packet that an ICMP error quotes. Its checksums are verified as far as the quote covers them."""
    header = (packet[0] & 15) * 4 if packet[0] >> 4 == 4 else 40
    total = int.from_bytes(packet[2:4], "big") if packet[0] >> 4 == 4 else 40 + int.from_bytes(packet[4:6], "big")
    if len(packet) >= total:
        return parse(packet)
    wrong = ["quoted IPv4 header"] if header != 40 and ones_sum(packet[:header]) != 0xFFFF else []
    addresses = (packet[12:16], packet[16:20]) if packet[0] >> 4 == 4 else (packet[8:24], packet[24:40])
    src, dst = (str(ipaddress.ip_address(address)) for address in addresses)
    sport, dport = struct.unpack("!HH", packet[header : header + 4])
    return {"src": src, "dst": dst, "sport": sport, "dport": dport, "cut": len(packet), "wrong": wrong}


def one_hop_less(packet):
    """The packet after a router: new TTL and header checksum."""
    if packet[0] >> 4 == 6:
        return packet[:7] + bytes([packet[7] - 1]) + packet[8:]
    header = (packet[0] & 15) * 4
    bare = packet[:8] + bytes([packet[8] - 1, packet[9], 0, 0]) + packet[12:header]
    return bare[:10] + struct.pack("!H", ~ones_sum(bare) & 0xFFFF) + packet[12:]


def listing(path):
    for when, mac, vlan, packet in frames(path):
        yield {"time": when, "dmac": mac, "vlan": vlan, **parse(packet)}


def main():
    command, *paths = sys.argv[1:]
    if command == "list":
        for info in listing(paths[0]):
            print(json.dumps(info))
    elif command == "checksums":
        count = 0
        for info in listing(paths[0]):
            count += 1
            if info["wrong"]:
                sys.exit(f"{paths[0]}: packet {count}: wrong checksum of {info['wrong']}: {json.dumps(info)}")
        if not count:
            sys.exit(f"{paths[0]}: no packets")
        print(f"{count} packets, all checksums right")
    elif command in ("same", "routed"):
        first, second = ([packet for *_, packet in frames(path)] for path in paths)
        if not first:
            sys.exit(f"{paths[0]}: no packets")
        if command == "routed":
            first = list(map(one_hop_less, first))
        first.sort()
        second.sort()
        for number, (one, other) in enumerate(zip(first, second)):
            if one != other:
                sys.exit(f"packet {number} differs:\n{parse(one)}\n{one.hex()}\n{parse(other)}\n{other.hex()}")
        if len(first) != len(second):
            sys.exit(f"{len(first)} packets in {paths[0]}, {len(second)} in {paths[1]}")
        print(f"{len(first)} packets, all the same")
    else:
        sys.exit(__doc__)


if __name__ == "__main__":
    main()
