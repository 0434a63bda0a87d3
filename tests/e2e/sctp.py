# SPDX-License-Identifier: MIT
"""As much SCTP (RFC 9260) as a probe needs, over raw sockets: INIT out, INIT ACK back.

Many kernels come without SCTP, so both ends are here.
"""
import os
import select
import socket
import struct
import time

PROTOCOL = 132
INIT, INIT_ACK = 1, 2


def _crc_table():
    table = []
    for index in range(256):
        value = index
        for _ in range(8):
            value = (value >> 1) ^ (0x82F63B78 if value & 1 else 0)
        table.append(value)
    return table


_TABLE = _crc_table()


def crc32c(octets):
    value = 0xFFFFFFFF
    for octet in octets:
        value = (value >> 8) ^ _TABLE[(value ^ octet) & 0xFF]
    return value ^ 0xFFFFFFFF


def _packet(ports, verification_tag, chunk_type, chunk_value, finished=True):
    """A packet of one chunk. RFC 9260 appendix A: the checksum travels least byte first.

    Unfinished it has none, as Linux leaves it where the device is to fill it in.
    """
    chunk = struct.pack("!BBH", chunk_type, 0, 4 + len(chunk_value)) + chunk_value
    header = struct.pack("!HHI", *ports, verification_tag)
    checksum = crc32c(header + bytes(4) + chunk) if finished else 0
    return header + struct.pack("<I", checksum) + chunk


def _init_value(tag):
    return struct.pack("!IIHHI", tag, 65536, 1, 1, tag)  # Tag, window, streams, first number.


def _parse(octets, family):
    """(source port, destination port, verification tag, chunk type, initiate tag), or None."""
    if family == socket.AF_INET:  # A raw IPv4 socket hands over the IP header too.
        octets = octets[(octets[0] & 15) * 4:]
    if len(octets) < 20:
        return None
    source, destination, tag = struct.unpack_from("!HHI", octets)
    if struct.unpack_from("<I", octets, 8)[0] != crc32c(octets[:8] + bytes(4) + octets[12:]):
        return None
    return source, destination, tag, octets[12], struct.unpack_from("!I", octets, 16)[0]


def respond(port):
    """Answers INITs to a port with INIT ACKs, in both families, for ever."""
    listeners = [socket.socket(family, socket.SOCK_RAW, PROTOCOL)
                 for family in (socket.AF_INET, socket.AF_INET6)]
    while True:
        for listener in select.select(listeners, [], [])[0]:
            octets, peer = listener.recvfrom(2048)
            seen = _parse(octets, listener.family)
            if seen and seen[1] == port and seen[3] == INIT:
                answer = _packet((port, seen[0]), seen[4], INIT_ACK,
                                 _init_value(0x5EED0001) + struct.pack("!HH", 7, 8) + b"cook")
                listener.sendto(answer, (peer[0], 0))


def associate(source, destination, port, patience_s, finished=True):
    """Sends INITs, with checksums or without, until an INIT ACK comes back. True when one did."""
    family = socket.AF_INET6 if ":" in destination else socket.AF_INET
    with socket.socket(family, socket.SOCK_RAW, PROTOCOL) as probe:
        probe.bind((source, 0))
        own_port = 32768 + int.from_bytes(os.urandom(2), "big") % 28000
        tag = int.from_bytes(os.urandom(4), "big") | 1
        init = _packet((own_port, port), 0, INIT, _init_value(tag), finished)
        deadline = time.monotonic() + patience_s
        while (left := deadline - time.monotonic()) > 0:
            try:
                probe.sendto(init, (destination, 0))
            except OSError:
                return False  # An ICMP error came back: unreachable.
            if _acknowledged(probe, (own_port, port), tag, min(left, 0.3)):
                return True
    return False


def _acknowledged(probe, ports, tag, patience_s):
    deadline = time.monotonic() + patience_s
    while (left := deadline - time.monotonic()) > 0:
        if not select.select([probe], [], [], left)[0]:
            break
        seen = _parse(probe.recv(2048), probe.family)
        if seen and seen[:4] == (ports[1], ports[0], tag, INIT_ACK):
            return True
    return False
