# SPDX-License-Identifier: MIT
"""Packets made by hand, for what no honest client sends."""
import socket
import struct


def checksum(octets):
    total = sum(struct.unpack(f"!{len(octets) // 2}H", octets))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total ^ 0xFFFF


def ipv4_udp(source, destination, port, text):
    """A UDP packet with any source one likes. A UDP checksum of zero means: none."""
    datagram = struct.pack("!HHHH", 40000, port, 8 + len(text), 0) + text
    header = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(datagram), 1, 0, 64, 17, 0,
                         socket.inet_aton(source), socket.inet_aton(destination))
    return header[:10] + struct.pack("!H", checksum(header)) + header[12:] + datagram


def ethernet(destination, source, kind, payload, tag=None):
    """A frame, of the least length at least. `kind`: an EtherType, or a length of 802.3."""
    tagged = b"" if tag is None else struct.pack("!HH", 0x8100, tag)
    frame = destination + source + tagged + struct.pack("!H", kind) + payload
    return frame.ljust(60, b"\0")


def ipv6_udp(source, destination, port, text):
    datagram = struct.pack("!HHHH", 40000, port, 8 + len(text), 0) + text
    return struct.pack("!IHBB16s16s", 6 << 28, len(datagram), 17, 64,
                       socket.inet_pton(socket.AF_INET6, source),
                       socket.inet_pton(socket.AF_INET6, destination)) + datagram
