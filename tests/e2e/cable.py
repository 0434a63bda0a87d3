# SPDX-License-Identifier: MIT
"""Two hosts and a wire between them that runs through Portcullis, with no switch to swallow frames.

    [left host] eth0 ---- left [node] right ---- eth0 [right host]
"""
import socket
import struct

import lab as lab_module
import netns

ETH_P_ALL = 3
SOL_PACKET, PACKET_IGNORE_OUTGOING, PACKET_AUXDATA = 263, 23, 8
TP_STATUS_VLAN_VALID = 1 << 4


class Cable:
    """What a daemon needs of a lab: the run, the node, the mode and its ports."""

    mode = "wire"
    mtus = {}
    workers = 1

    def __init__(self, run):
        self.run = run
        self.node = run.namespace("cable-node")
        self.hosts = {side: run.namespace(f"cable-{side}") for side in ("left", "right")}
        for namespace in (self.node, *self.hosts.values()):
            # The kernels must not speak by themselves, not even once.
            netns.set_sysctls(namespace, {"ipv6/conf/default/disable_ipv6": 1})
        for side, host in self.hosts.items():
            lab_module.plug(self.node, side, host)

    def port_tables(self):
        return [("left", "left", "wire", ()), ("right", "right", "wire", ())]

    def tap(self, side):
        """A socket for whole frames at a host's end of the wire."""
        def make():
            made = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
            made.setsockopt(SOL_PACKET, PACKET_IGNORE_OUTGOING, 1)
            made.setsockopt(SOL_PACKET, PACKET_AUXDATA, 1)
            made.bind(("eth0", 0))
            return made
        return netns.inside(self.hosts[side], make)


def receive(tap, patience_s):
    """The next frame as it was on the wire, its tag included; None if none comes."""
    tap.settimeout(patience_s)
    try:
        frame, ancillary, _, _ = tap.recvmsg(65536, 256)
    except socket.timeout:
        return None
    for level, kind, content in ancillary:
        if (level, kind) == (SOL_PACKET, PACKET_AUXDATA):
            # The kernel takes a tag off and tells it apart.
            status, _, _, _, _, tag, protocol = struct.unpack("=IIIHHHH", content[:20])
            if status & TP_STATUS_VLAN_VALID:
                frame = frame[:12] + struct.pack("!HH", protocol or 0x8100, tag) + frame[12:]
    return frame
