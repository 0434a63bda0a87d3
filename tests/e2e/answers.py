# SPDX-License-Identifier: MIT
"""What a client hears where nobody listens, and what reaches a host that asked for nothing."""
import socket
import struct
import time

import netns
import probe as probe_module
import raw as raw_packets
import shop

SHUT_PORT = 7004  # Inside a range that policies allow to some; nobody listens.
ECHO_REPLY = {4: 0, 6: 129}
TOO_BIG = {4: (3, 4), 6: (2, 0)}
MARK = b"nobody asked for this."
QUIET_S = 0.7  # Far longer than a packet's way, for what should not come.


def shut_lines(lab):
    """Attempts at a port on which nobody listens, over TCP and UDP."""
    return [shop.Probe(source, "storage/cache-1", protocol, SHUT_PORT, family,
                       lab.addresses(source)[word], lab.addresses("storage/cache-1")[word],
                       protocol in allowed)
            for source, allowed in (("shop/api-1", ("TCP", "UDP")), ("jobs/report-1", ("TCP",)),
                                    ("shop/web-1", ()), ("guest/intruder-1", ()))
            for protocol in ("TCP", "UDP") for family, word in shop.WORDS.items()]


def at_a_shut_port(lab, line):
    """"refused" where an error came back (a reset, an ICMP error), else "silence"."""
    return netns.inside(lab.namespaces[line.source], lambda: _knock(line))


def _knock(line):
    family = socket.AF_INET if line.family == 4 else socket.AF_INET6
    kind = socket.SOCK_STREAM if line.protocol == "TCP" else socket.SOCK_DGRAM
    with socket.socket(family, kind) as client:
        client.bind((line.source_address, 0))
        client.settimeout(probe_module.PATIENCE_S)
        try:
            client.connect((line.destination_address, line.port))
            for _ in range(2):  # A datagram may be lost; an error is told at the next call.
                client.settimeout(probe_module.PATIENCE_S / 2)
                client.send(b"hello\n")
                try:
                    client.recv(100)
                    return "answered"
                except socket.timeout:
                    pass
        except ConnectionRefusedError:
            return "refused"
        except OSError as problem:
            return "silence" if isinstance(problem, socket.timeout) else str(problem)
    return "silence"


def unasked_lines(lab):
    """ICMP between hosts of which one may open connections to the other, and which has not."""
    return [shop.Probe(source, destination, "ICMP", 0, family, lab.addresses(source)[word],
                       lab.addresses(destination)[word], False)
            for source, destination in (("internet", "shop/web-1"),
                                        ("storage/cache-1", "shop/api-1"))
            for family, word in shop.WORDS.items()]


def unasked(lab, line, what):
    """Whether an ICMP message about nothing arrives. `what`: "reply" or "error"."""
    family, protocol = ((socket.AF_INET, socket.IPPROTO_ICMP) if line.family == 4 else
                        (socket.AF_INET6, socket.IPPROTO_ICMPV6))

    def made():
        return socket.socket(family, socket.SOCK_RAW, protocol)
    with netns.inside(lab.namespaces[line.destination], made) as listener, \
            netns.inside(lab.namespaces[line.source], made) as sender:
        listener.bind((line.destination_address, 0))
        sender.bind((line.source_address, 0))
        message = _echo_reply(line) if what == "reply" else _too_big(line)
        sender.sendto(message, (line.destination_address, 0))
        deadline = time.monotonic() + QUIET_S
        while (left := deadline - time.monotonic()) > 0:
            listener.settimeout(left)
            try:
                if MARK in listener.recv(2048):
                    return "arrived"
            except socket.timeout:
                break
    return "silence"


def _icmp(line, kind, code, rest):
    """The kernel writes the checksum of ICMPv6; that of ICMP is ours to write."""
    message = struct.pack("!BBH", kind, code, 0) + rest
    if line.family == 4:
        message = message[:2] + struct.pack("!H", raw_packets.checksum(message)) + message[4:]
    return message


def _echo_reply(line):
    return _icmp(line, ECHO_REPLY[line.family], 0, struct.pack("!HH", 7, 1) + MARK)


def _too_big(line):
    """About a datagram that the receiver never sent."""
    made = raw_packets.ipv4_udp if line.family == 4 else raw_packets.ipv6_udp
    quoted = made(line.destination_address, line.source_address, 80, MARK)
    return _icmp(line, *TOO_BIG[line.family], struct.pack("!I", 1280) + quoted)
