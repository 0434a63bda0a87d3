# SPDX-License-Identifier: MIT
"""One end of a tunnel of Ethernet frames in user space, for kernels that have no device for it.

overlay.py DEVICE geneve|gre LOCAL REMOTE makes DEVICE, says "ready" and carries frames until its end.
"""
import fcntl
import select
import socket
import struct
import sys

TUNSETIFF = 0x400454CA
IFF_TAP, IFF_NO_PI = 0x0002, 0x1000
FRAME_MAX = 2048
ETHERNET = 0x6558  # What tunnels call a whole frame.
GENEVE_PORT = 6081
GENEVE = struct.pack("!BBHI", 0, 0, ETHERNET, 42 << 8)
GRE = struct.pack("!HHI", 0x2000, ETHERNET, 42)  # With a key.
GRE_PROTOCOL = 47


def open_tap(name):
    tap = open("/dev/net/tun", "r+b", buffering=0)  # Lives as long as the process.
    fcntl.ioctl(tap, TUNSETIFF, struct.pack("16sH22x", name.encode(), IFF_TAP | IFF_NO_PI))
    return tap


def payload_of(kind, packet):
    """The frame in what a socket of this kind gives: a raw one of IPv4 has the IP header, too."""
    if kind == "geneve":
        return packet[len(GENEVE):]
    return packet[(packet[0] & 15) * 4 + len(GRE):]


def main(name, kind, local, remote):
    tap = open_tap(name)
    if kind == "geneve":
        wire = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        wire.bind((local, GENEVE_PORT))
    else:
        wire = socket.socket(socket.AF_INET, socket.SOCK_RAW, GRE_PROTOCOL)
        wire.bind((local, 0))
    header, port = (GENEVE, GENEVE_PORT) if kind == "geneve" else (GRE, 0)
    print("ready", flush=True)
    while True:
        for ready in select.select([tap, wire], [], [])[0]:
            try:
                if ready is tap:
                    wire.sendto(header + tap.read(FRAME_MAX), (remote, port))
                else:
                    tap.write(payload_of(kind, wire.recv(FRAME_MAX)))
            except OSError:
                pass  # The link is not up yet, or too narrow: the frame is lost, as on any link.


if __name__ == "__main__":
    main(*sys.argv[1:])
