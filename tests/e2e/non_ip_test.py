# SPDX-License-Identifier: MIT
"""Frames that are not IP, through a wire: what [non_ip] names comes out as it went in, and of the
rest each is counted.
"""
import time
import unittest

import cable as cable_module
import daemon as daemon_module
import netns
import raw
import scenario

BRIDGES, LLDP_GROUP, SLOW = (bytes.fromhex(f"0180c20000{last}") for last in ("00", "0e", "02"))
ONE, TWO = bytes.fromhex("020000000001"), bytes.fromhex("020000000002")
ARP = bytes.fromhex("0001080006040001") + ONE + bytes([10, 0, 0, 1]) + bytes(6) + bytes([10, 0, 0, 2])
BPDU = bytes.fromhex("424203" "0000" "02" "02" "7c") + bytes(31)
FRAMES = {
    "arp": (b"\xff" * 6, 0x0806, ARP),
    "lldp": (LLDP_GROUP, 0x88CC, b"\x02\x07\x04" + ONE),
    "stp": (BRIDGES, len(BPDU), BPDU),
    "lacp": (SLOW, 0x8809, b"\x01\x01"),
    "eapol": (TWO, 0x888E, b"\x02\x01"),
    "mpls": (TWO, 0x8847, b"\x00\x01\x01\x40"),
    "0x88f7": (TWO, 0x88F7, b"\x00\x02"),
    "snap": (TWO, 8, bytes.fromhex("aaaa030000000800")),
    "0x6002": (TWO, 0x6002, b"\x01"),
}
PATIENCE_S = 10
REASON = "UNSUPPORTED_L3_PROTOCOL"


class NonIp(unittest.TestCase):
    """The default: ARP alone."""

    allow = None
    passing = {"arp"}

    @classmethod
    def setUpClass(cls):
        cls.run_ = netns.Run("pce2e")
        cls.addClassCleanup(cls.run_.close)
        cls.cable = cable_module.Cable(cls.run_)
        extra = "" if cls.allow is None else f"[non_ip]\nallow = {cls.allow}\n"
        cls.daemon = daemon_module.Daemon(cls.cable, manifests=(), extra=extra)

    def dropped(self):
        return self.daemon.drops().get(REASON, 0)

    def send_all(self, source, destination, tag):
        """Sends one frame of each kind, an ARP packet behind them; gives what comes out."""
        frames = {name: raw.ethernet(to, ONE, kind, payload, tag)
                  for name, (to, kind, payload) in FRAMES.items()}
        last = raw.ethernet(TWO, ONE, 0x0806, ARP, tag)
        with self.cable.tap(source) as sender, self.cable.tap(destination) as listener:
            for frame in [*frames.values(), last]:
                sender.send(frame)
            came, deadline = [], time.monotonic() + PATIENCE_S
            while (not came or came[-1] != last) and time.monotonic() < deadline:
                came.append(cable_module.receive(listener, PATIENCE_S))
        # Otherwise each is what went in.
        self.assertEqual(came[-1:], [last])
        names = {frame: name for name, frame in frames.items()}
        return [names.get(frame) for frame in came[:-1]]

    def test_what_is_named_passes_and_the_rest_is_counted(self):
        for source, destination in (("left", "right"), ("right", "left")):
            for tag in (None, 7):
                with self.subTest(source=source, tag=tag):
                    before = self.dropped()
                    came = self.send_all(source, destination, tag)
                    self.assertEqual(came, [name for name in FRAMES if name in self.passing])
                    self.assertEqual(self.dropped() - before, len(FRAMES) - len(self.passing))


class NonIpOfABridge(NonIp):
    allow = '["arp", "lldp", "stp", "lacp", "eapol", 0x88f7]'
    passing = {"arp", "lldp", "stp", "lacp", "eapol", "0x88f7"}

    def test_what_may_hide_ip_or_is_misspelt_is_refused(self):
        for words, complaint in (('["arp", 0x0800]', "is IP"), ('[0x8100]', "is a tag"),
                                 ('["arp", "arp"]', "named twice"), ('["lldb"]', '"lldp"')):
            with self.assertRaises(daemon_module.StartFailure) as failure:
                daemon_module.Daemon(self.cable, (), f"[non_ip]\nallow = {words}\n")
            self.assertIn(complaint, str(failure.exception))


if __name__ == "__main__":
    scenario.main()
