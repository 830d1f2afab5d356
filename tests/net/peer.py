#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""The clients and servers of tests/net. Python's standard library only.

`serve` is the server. The first line of a TCP connection is the request:

    WHO            replies with "ADDR PORT" of the client
    ECHO           sends back what it receives, until end of file
    PUT            reads up to the end of file, replies with the sha256
    GET SIZE SEED  sends SIZE bytes that follow from SEED, then closes
    HALF SIZE SEED reads up to the end of file, then sends the sha256, and the data of GET

It prints a line for each accepted connection, `tcp ADDR PORT` (the address that it sees), and for each new UDP
client, `udp ADDR PORT`. It replies to a datagram with "ADDR PORT " and the datagram.

All other commands are clients, unless their description says otherwise. They exit with 0 if all replies arrived and
were right.
"""
import argparse
import contextlib
import errno
import hashlib
import os
import random
import selectors
import signal
import socket
import struct
import sys
import threading
import time


def endpoint(text):
    """ADDR:PORT or [V6]:PORT"""
    host, _, port = text.rpartition(":")
    return host.strip("[]"), int(port)


def family(host):
    return socket.AF_INET6 if ":" in host else socket.AF_INET


def data(size, seed):
    return random.Random(seed).randbytes(size)


def sha256(content):
    return hashlib.sha256(content).hexdigest()


def say(*words):
    # One write, because threads print concurrently.
    sys.stdout.write(" ".join(map(str, words)) + "\n")
    sys.stdout.flush()


def fail(*words):
    print("peer.py:", *words, file=sys.stderr, flush=True)
    sys.exit(1)


# ---- server ----


def reply(sock, words, lines):
    if words[0] == "WHO":
        caller = sock.getpeername()
        sock.sendall(f"{caller[0]} {caller[1]}\n".encode())
    elif words[0] == "ECHO":
        while block := lines.read1(65536):
            sock.sendall(block)
    elif words[0] == "PUT":
        sha = hashlib.sha256()
        while block := lines.read1(1 << 18):
            sha.update(block)
        sock.sendall(sha.hexdigest().encode() + b"\n")
    elif words[0] in ("GET", "HALF"):
        if words[0] == "HALF":
            sock.sendall(sha256(lines.read()).encode() + b"\n")
        sock.sendall(data(int(words[1]), int(words[2])))


def served(sock, caller):
    say("tcp", caller[0], caller[1])
    try:
        with sock, sock.makefile("rb") as lines:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if words := lines.readline().decode().split():
                reply(sock, words, lines)
    except OSError as error:
        say("tcp-error", caller[0], caller[1], error.strerror or error)
    finally:
        say("tcp-end", caller[0], caller[1])


def accept_all(listener):
    while True:
        try:
            in_background(served, *listener.accept())
        except (OSError, RuntimeError) as error:  # out of descriptors or threads
            say("tcp-error", error)
            time.sleep(0.1)


def reply_all(sock):
    callers = set()
    while True:
        content, caller = sock.recvfrom(65536)
        if caller not in callers:
            callers.add(caller)
            say("udp", caller[0], caller[1])
        with contextlib.suppress(OSError):
            sock.sendto(f"{caller[0]} {caller[1]} ".encode() + content, caller)


def in_background(run, *args):
    threading.Thread(target=run, args=args, daemon=True).start()


# Threads, because importing asyncio takes longer than most tests.
def serve(args):
    for where in map(endpoint, args.tcp):
        in_background(accept_all, socket.create_server(where, family=family(where[0]), backlog=4096))
    for where in map(endpoint, args.udp):
        sock = socket.socket(family(where[0]), socket.SOCK_DGRAM)
        sock.bind(where)
        in_background(reply_all, sock)
    say("ready")
    threading.Event().wait()


# ---- clients ----


def call(args, bind=None, kind=socket.SOCK_STREAM):
    where = endpoint(args.to)
    sock = socket.socket(family(where[0]), kind)
    sock.settimeout(args.timeout)
    if args.no_check:
        sock.setsockopt(socket.SOL_SOCKET, 11, 1)  # SO_NO_CHECK: UDP without a checksum
    bind = bind or args.bind
    if bind:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(endpoint(bind))
    sock.connect(where)
    return sock


def read_all(sock, expected=None):
    """Reads to the end of file; each block must arrive within the timeout."""
    blocks, size = [], 0
    while block := sock.recv(1 << 18):
        blocks.append(block)
        size += len(block)
    content = b"".join(blocks)
    if expected is not None and size != expected:
        fail(f"{size} bytes arrived instead of {expected}")
    return content


def who(args):
    """Prints the source address and port that the server sees."""
    sock = call(args)
    sock.sendall(b"WHO\n")
    say(read_all(sock).decode().strip())


def put(args):
    """Sends SIZE bytes."""
    content = data(args.size, args.seed)
    sock = call(args)
    sock.sendall(b"PUT\n")
    start = time.monotonic()
    for at in range(0, len(content), 1 << 18):
        sock.sendall(content[at : at + (1 << 18)])
    sock.shutdown(socket.SHUT_WR)
    reply = read_all(sock).decode().strip()
    if reply != sha256(content):
        fail(f"sha256 of the data that arrived: {reply}, that were sent: {sha256(content)}")
    say(f"{args.size} bytes out, {args.size * 8e-6 / (time.monotonic() - start):.0f} Mbit/s, sha256 {reply}")


def get(args):
    """Receives SIZE bytes."""
    sock = call(args)
    start = time.monotonic()
    sock.sendall(f"GET {args.size} {args.seed}\n".encode())
    content = read_all(sock, args.size)
    if sha256(content) != sha256(data(args.size, args.seed)):
        fail("the data that arrived differ from those that were sent")
    say(f"{args.size} bytes in, {args.size * 8e-6 / (time.monotonic() - start):.0f} Mbit/s, sha256 {sha256(content)}")


def half(args):
    """Half-closed: sends a request and FIN, and then receives a long reply."""
    question = data(100000, args.seed + 1)
    sock = call(args)
    sock.sendall(f"HALF {args.size} {args.seed}\n".encode() + question)
    sock.shutdown(socket.SHUT_WR)
    content = read_all(sock, 65 + args.size)
    if content[:64].decode() != sha256(question):
        fail("the request did not arrive complete")
    if content[65:] != data(args.size, args.seed):
        fail("the reply did not arrive complete")
    say(f"half-closed: {len(content)} bytes after the FIN")


def many(args):
    """Opens COUNT connections at the same time; then each echoes a line of its own."""
    where = endpoint(args.to)
    selector = selectors.DefaultSelector()
    deadline = time.monotonic() + args.timeout
    sockets = {}
    waiting = 0

    def collect(until):
        nonlocal waiting
        while waiting > until:
            events = selector.select(max(0, deadline - time.monotonic()))
            if not events:
                fail(f"{waiting} of {args.count} connections were not established")
            for key, _ in events:
                error = key.fileobj.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
                if error:
                    fail(f"connection {sockets[key.fileobj]}: {os.strerror(error)}")
                selector.unregister(key.fileobj)
                waiting -= 1

    for number in range(args.count):
        sock = socket.socket(family(where[0]))
        sock.setblocking(False)
        try:
            sock.connect(where)
        except BlockingIOError:
            pass
        sockets[sock] = number
        selector.register(sock, selectors.EVENT_WRITE)
        waiting += 1
        collect(100)
    collect(0)
    say("open", len(sockets))
    if args.hold:
        sys.stdin.readline()
    for sock, number in sockets.items():
        sock.settimeout(args.timeout)
        sock.sendall(f"ECHO\nthis is number {number:08}\n".encode())
    for sock, number in sockets.items():
        expected = f"this is number {number:08}\n".encode()
        got = b""
        while len(got) < len(expected) and (block := sock.recv(100)):
            got += block
        if got != expected:
            fail(f"connection {number} got {got!r}")
    for sock in sockets:
        sock.close()
    say("all echoed", len(sockets))


def rst(args):
    """Connects, echoes, ends with RST, and reuses the same source port at once, COUNT times."""
    for number in range(args.count):
        sock = call(args)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        start = time.monotonic()
        expected = f"round {number}\n".encode()
        sock.sendall(b"ECHO\n" + expected)
        got = b""
        while len(got) < len(expected) and (block := sock.recv(100)):
            got += block
        if got != expected:
            fail(f"round {number} got {got!r}")
        if time.monotonic() - start > 0.9:
            fail(f"round {number} needed a retransmission")
        sock.close()
    say("rounds", args.count)


def pulse(args):
    """A short request and its reply every INTERVAL seconds, on one connection, until SIGTERM or COUNT requests. Prints
    a line for each reply. A request without a reply within the timeout is an error; with --lossy it is only counted."""
    ending = []
    signal.signal(signal.SIGTERM, lambda *_: ending.append(1))
    udp = args.proto == "udp"
    sock = call(args, kind=socket.SOCK_DGRAM if udp else socket.SOCK_STREAM)
    if not udp:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.sendall(b"ECHO\n")
    replies = lost = 0
    slowest = 0.0
    while not ending and (not args.count or replies + lost < args.count):
        number = replies + lost
        expected = f"{args.tag}-{number:09}\n".encode()
        start = time.monotonic()
        try:
            sock.sendall(expected)
            got = b""
            while not got.endswith(expected):
                block = sock.recv(65536)
                if not block:
                    fail(f"the connection ended after {replies} replies")
                if udp:
                    got = block
                    sender, _, payload = got.partition(args.tag.encode())
                    if args.who and not replies:
                        say("who", sender.decode().strip())
                    if not got.endswith(expected) and not payload:
                        fail(f"unexpected reply: {got!r}")
                else:
                    got += block
                    if not expected.startswith(got):
                        fail(f"expected {expected!r}, got {got!r}")
            replies += 1
            took = time.monotonic() - start
            slowest = max(slowest, took)
            say(f"{replies} {took * 1000:.1f} ms")
        except OSError as error:
            if not args.lossy or (not udp and not isinstance(error, TimeoutError)):
                fail(f"{args.tag}: after {replies} replies: {error}")
            lost += 1
            say(f"lost {lost}: {error}")
        time.sleep(max(0, args.interval - (time.monotonic() - start)))
    say(f"sum: {replies} replies, {lost} lost, slowest {slowest * 1000:.0f} ms")


def udp_burst(args):
    """Sends COUNT datagrams of SIZE from one socket; each must be echoed, and is repeated up to twice if lost."""
    sock = call(args, kind=socket.SOCK_DGRAM)
    for number in range(args.count):
        content = data(args.size, args.seed + number)
        for attempt in range(3):
            try:
                sock.send(content)
                reply = sock.recv(65536)
                break
            except TimeoutError:
                say("no reply to", number)
            except OSError as error:
                if error.errno != errno.EMSGSIZE:
                    raise
                say("the kernel has learnt a smaller path MTU")
        else:
            fail(f"no reply to datagram {number}")
        sender, port, got = reply.split(b" ", 2)
        if got != content:
            fail(f"the reply to datagram {number} differs from it")
    say("udp replies", args.count, "home saw", sender.decode(), port.decode())


def refused(args):
    """Expects a refusal: RST for TCP, "port unreachable" for UDP."""
    try:
        sock = call(args, kind=socket.SOCK_DGRAM if args.proto == "udp" else socket.SOCK_STREAM)
        if args.proto == "udp":
            sock.send(b"request")
            sock.recv(100)
    except ConnectionRefusedError:
        say("refused")
        return
    except TimeoutError:
        fail("no reply")
    fail("unexpected reply")


def silent(args):
    """Expects no reply at all."""
    try:
        sock = call(args, kind=socket.SOCK_DGRAM if args.proto == "udp" else socket.SOCK_STREAM)
        if args.proto == "udp":
            sock.send(b"request")
            sock.recv(100)
    except TimeoutError:
        say("silent")
        return
    except OSError as error:
        fail(f"unexpected reply: {error}")
    fail("unexpected reply")


def too_big(sock, size, timeout):
    """Sends datagrams of `size` with DF until the kernel refuses them, because it has learnt that they are too large
    for the path. Returns the path MTU that it has learnt."""
    ipv6 = sock.family == socket.AF_INET6
    level = socket.IPPROTO_IPV6 if ipv6 else socket.IPPROTO_IP
    discover, mtu = (23, 24) if ipv6 else (10, 14)  # IPV6_MTU_DISCOVER, IPV6_MTU; IP_MTU_DISCOVER, IP_MTU
    sock.setsockopt(level, discover, 2)  # PMTUDISC_DO
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        try:
            sock.send(bytes(size))
        except OSError as error:
            if error.errno != errno.EMSGSIZE:
                raise
            return sock.getsockopt(level, mtu)
        time.sleep(0.05)
    fail("no ICMP error: too big")


def big(args):
    """Sends DF datagrams of SIZE until an ICMP error says that they are too big."""
    say("mtu", too_big(call(args, kind=socket.SOCK_DGRAM), args.size, args.timeout))


def reply_big(args):
    """A server at TO that replies to one datagram with DF datagrams of SIZE, until an ICMP error says that they are too
    big."""
    sock = socket.socket(family(endpoint(args.to)[0]), socket.SOCK_DGRAM)
    sock.settimeout(args.timeout)
    sock.bind(endpoint(args.to))
    say("ready")
    sock.connect(sock.recvfrom(65536)[1][:2])
    say("mtu", too_big(sock, args.size, args.timeout))


def reply_short(args):
    """A server at TO: one reply with TTL or hop limit COUNT, once the client has closed its socket."""
    sock = socket.socket(family(endpoint(args.to)[0]), socket.SOCK_DGRAM)
    sock.settimeout(args.timeout)
    sock.bind(endpoint(args.to))
    say("ready")
    caller = sock.recvfrom(65536)[1]
    if sock.family == socket.AF_INET6:
        sock.setsockopt(socket.IPPROTO_IPV6, 16, args.count)  # IPV6_UNICAST_HOPS
    else:
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, args.count)
    time.sleep(0.5)
    sock.sendto(b"short-lived", caller)


def enable_errors(sock, ttl):
    """ICMP errors are queued at the socket from now on; its packets have this TTL."""
    if sock.family == socket.AF_INET6:
        sock.setsockopt(socket.IPPROTO_IPV6, 25, 1)  # IPV6_RECVERR
        sock.setsockopt(socket.IPPROTO_IPV6, 16, ttl)  # IPV6_UNICAST_HOPS
    else:
        sock.setsockopt(socket.IPPROTO_IP, 11, 1)  # IP_RECVERR
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, ttl)


def error_received(sock, timeout):
    """The sender, type and code of the next ICMP error."""
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        try:
            (_, _, error), *_ = sock.recvmsg(100, 1000, socket.MSG_ERRQUEUE)[1]
        except BlockingIOError:
            time.sleep(0.01)
            continue
        # struct sock_extended_err, then a struct sockaddr_in or sockaddr_in6.
        kind, code = error[5:7]
        sender = error[20:24] if sock.family == socket.AF_INET else error[24:40]
        return socket.inet_ntop(sock.family, sender), kind, code
    fail("no ICMP error")


def hop(args):
    """Sends a datagram with TTL COUNT on a connection, and prints sender, type and code of the ICMP error."""
    sock = call(args, kind=socket.SOCK_DGRAM)
    sock.send(b"request")
    sock.recv(100)
    enable_errors(sock, args.count)
    sock.send(b"short-lived")
    say(*error_received(sock, args.timeout))


def reply_hop(args):
    """A server at TO: the same for the reply to one datagram."""
    sock = socket.socket(family(endpoint(args.to)[0]), socket.SOCK_DGRAM)
    sock.settimeout(args.timeout)
    sock.bind(endpoint(args.to))
    say("ready")
    caller = sock.recvfrom(65536)[1]
    enable_errors(sock, args.count)
    sock.sendto(b"short-lived", caller)
    say(*error_received(sock, args.timeout))


def unreachable(args):
    """Expects "host unreachable"."""
    udp = args.proto == "udp"
    try:
        sock = call(args, kind=socket.SOCK_DGRAM if udp else socket.SOCK_STREAM)
        if udp:
            enable_errors(sock, 64)
            sock.send(b"request")
            sock.recv(100)
    except TimeoutError:
        fail("no reply")
    except OSError as error:
        if error.errno != errno.EHOSTUNREACH:
            raise
        say("unreachable")
        return
    fail("unexpected reply")


def ones_complement(content):
    total = sum(struct.unpack(f"!{len(content) // 2}H", content))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF or 0xFFFF


def datagram(source, target, sport, port, content):
    """Both addresses as bytes, and the UDP datagram."""
    src, dst = (socket.inet_pton(family(source), address) for address in (source, target))
    length = 8 + len(content)
    pseudo = src + dst + (struct.pack("!II", length, 17) if len(src) == 16 else struct.pack("!HH", 17, length))
    check = ones_complement(pseudo + struct.pack("!HHHH", sport, port, length, 0) + content + bytes(length % 2))
    return src, dst, struct.pack("!HHHH", sport, port, length, check) + content


def fragments_of(source, target, sport, port, content, size, identification, headers=("real",)):
    """A datagram as IP packets with `size` bytes of payload each, in order, with headers. IPv6: with these fragment
    headers. One is "real", and is in each packet with those before it; the others are of a "whole" packet."""
    ipv6 = family(source) == socket.AF_INET6
    src, dst, whole = datagram(source, target, sport, port, content)
    nexts = [44] * (len(headers) - 1) + [17]
    while ipv6 and headers[-1] != "real" and len(headers) > 1:  # a part of what is fragmented
        headers = headers[:-1]
        whole = struct.pack("!BBHI", nexts.pop(), 0, 0, identification) + whole
    if "real" not in headers:
        size = len(whole)
    for start in range(0, len(whole), size):
        part = whole[start : start + size]
        more = start + size < len(whole)
        if ipv6:
            header = struct.pack("!IHBB", 6 << 28, 8 * len(headers) + len(part), 44, 64) + src + dst
            for after, of in zip(nexts, headers):
                header += struct.pack("!BBHI", after, 0, start | more if of == "real" else 0, identification)
            yield header + part
        else:  # The kernel fills in length and checksum.
            flags = start >> 3 | more << 13
            yield struct.pack("!BBHHHBBH", 0x45, 0, 0, identification, flags, 64, 17, 0) + src + dst + part


def fragments(args):
    """Sends COUNT datagrams of SIZE in fragments, in this ORDER; each must be echoed, or with --lossy none."""
    host, port = endpoint(args.to)
    source, sport = endpoint(args.bind)
    client = call(args, kind=socket.SOCK_DGRAM)
    raw = socket.socket(family(host), socket.SOCK_RAW, socket.IPPROTO_RAW)
    for number in range(args.count):
        content = data(args.size, args.seed + number)
        identification = random.randrange(1, 65536)
        first, *later = parts = list(fragments_of(source, host, sport, port, content, args.part, identification,
                                                  args.headers.split(",")))
        if not later:
            changed = first
        elif family(host) == socket.AF_INET6:
            changed = later[0][:4] + struct.pack("!H", len(later[0]) - 48) + later[0][6:48] + bytes(len(later[0]) - 56)
        else:
            changed = later[0][:20] + bytes(len(later[0]) - 28)
        order = {
            "straight": parts, "reverse": parts[::-1], "first-last": [*later, first],
            "doubled": [first, first, *later, *later],
            "overlap": [first, changed, *later], "alone": later,
        }[args.order]
        for part in order:
            raw.sendto(part, (host, 0))
        try:
            got = client.recv(65536).split(b" ", 2)[2]
        except OSError:
            if args.lossy:
                continue
            fail(f"no reply to datagram {number}")
        if args.lossy:
            fail(f"unexpected reply to datagram {number}")
        if got != content:
            fail(f"the reply to datagram {number} differs from it")
    say(args.order, args.count)


def icmp_unreachable(args):
    """Sends BIND an ICMP error about a datagram of SIZE from BIND to TO, as the kernel of this host would."""
    target, port = endpoint(args.to)
    source, sport = endpoint(args.bind)
    src, dst, udp = datagram(source, target, sport, port, data(args.size, args.seed))
    if family(source) == socket.AF_INET6:
        kind, proto = 1 << 8 | 3, socket.IPPROTO_ICMPV6  # address unreachable; the kernel fills in the checksum
        quote = struct.pack("!IHBB", 6 << 28, len(udp), 17, 63) + src + dst + udp
        check = 0
    else:
        kind, proto = 3 << 8 | 1, socket.IPPROTO_ICMP  # host unreachable
        header = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(udp), 1, 0x4000, 63, 17, 0) + src + dst
        quote = header[:10] + struct.pack("!H", ones_complement(header)) + header[12:] + udp
        check = ones_complement(struct.pack("!HHI", kind, 0, 0) + quote + bytes(len(quote) % 2))
    raw = socket.socket(family(source), socket.SOCK_RAW, proto)
    raw.sendto(struct.pack("!HHI", kind, check, 0) + quote, (source, 0))


def shout(args):
    """Sends one datagram, and closes the socket before the reply."""
    call(args, kind=socket.SOCK_DGRAM).send(b"request")


def syns(args):
    """Opens COUNT half-open connections: SYNs from a raw socket, from ascending ports. IPv4."""
    host, port = endpoint(args.to)
    source, sport = endpoint(args.bind)
    raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_TCP)
    raw.bind((source, 0))
    addresses = socket.inet_aton(source) + socket.inet_aton(host)
    for number in range(args.count):
        header = struct.pack("!HHIIBBHHH", sport + number, port, 1000 + number, 0, 5 << 4, 2, 65535, 0, 0)
        total = sum(struct.unpack("!16H", addresses + struct.pack("!HH", 6, 20) + header))
        total = (total & 0xFFFF) + (total >> 16)
        total = (total & 0xFFFF) + (total >> 16)
        raw.sendto(header[:16] + struct.pack("!H", ~total & 0xFFFF) + header[18:], (host, 0))
        if number % 100 == 99:
            time.sleep(0.01)
    say("SYNs", args.count)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)
    command = commands.add_parser("serve")
    command.add_argument("--tcp", nargs="*", default=[])
    command.add_argument("--udp", nargs="*", default=[])
    command.set_defaults(run=serve)
    for run in (who, put, get, half, many, rst, pulse, udp_burst, refused, silent, unreachable, syns, big, reply_big,
                reply_short, hop, reply_hop, icmp_unreachable, fragments, shout):
        command = commands.add_parser(run.__name__.replace("_", "-"), help=run.__doc__)
        command.add_argument("to", help="ADDR:PORT")
        command.add_argument("--bind", help="ADDR:PORT of the client")
        command.add_argument("--timeout", type=float, default=5)
        command.add_argument("--size", type=int, default=30 << 20)
        command.add_argument("--seed", type=int, default=1)
        command.add_argument("--count", type=int, default=0 if run is pulse else 1)
        command.add_argument("--interval", type=float, default=0.02)
        command.add_argument("--proto", choices=("tcp", "udp"), default="tcp")
        command.add_argument("--part", type=int, default=1000, help="payload of a fragment")
        command.add_argument("--order", default="straight")
        command.add_argument("--headers", default="real", help="fragment headers of IPv6: real or whole, with commas")
        command.add_argument("--tag", default="pulse")
        command.add_argument("--lossy", action="store_true")
        command.add_argument("--no-check", action="store_true")
        command.add_argument("--who", action="store_true")
        command.add_argument("--hold", action="store_true", help="wait for a line on standard input")
        command.set_defaults(run=run)
    args = parser.parse_args()
    try:
        args.run(args)
    except OSError as error:
        fail(f"{getattr(args, 'to', 'serve')}: {error}")


if __name__ == "__main__":
    main()
