# SPDX-License-Identifier: MIT
"""A wire whose one port loses its link: what becomes of the other one."""
import json
import subprocess
import time
import unittest

import cable as cable_module
import daemon as daemon_module
import netns
import scenario

PATIENCE_S = 10
TAP = "net_tap{index},iface={device}"


class Taps(cable_module.Cable):
    """Both ports are taps, which a daemon makes and whose links it can take down."""

    def __init__(self, run):
        self.run = run
        self.node = run.namespace("taps-node")
        netns.set_sysctls(self.node, {"ipv6/conf/default/disable_ipv6": 1})


class LinksCase(unittest.TestCase):
    kind = Taps
    vdev = TAP
    extra = ""

    @classmethod
    def setUpClass(cls):
        cls.run_ = netns.Run("pce2e")
        cls.addClassCleanup(cls.run_.close)
        cls.lab = cls.kind(cls.run_)
        cls.daemon = daemon_module.Daemon(cls.lab, manifests=(), extra=cls.extra, vdev=cls.vdev)

    def port(self, name):
        return next(port for port in self.daemon.ask("status")["ports"] if port["name"] == name)

    def is_up(self, device):
        """Whether the kernel has it up, as whoever is behind it sees."""
        told = subprocess.run(["ip", "-n", self.lab.node, "-j", "link", "show", device],
                              capture_output=True, text=True, check=True).stdout
        return "UP" in json.loads(told)[0]["flags"]

    def wait_for(self, what):
        deadline = time.monotonic() + PATIENCE_S
        while not what():
            self.assertLess(time.monotonic(), deadline, self.daemon.log()[-2000:])
            time.sleep(0.1)

    def set_link(self, device, word, namespace=None):
        netns.ip_batch(namespace or self.lab.node, [f"link set {device} {word}"])


class TapLinks(LinksCase):
    def test_a_loss_is_carried_over_and_so_is_the_return(self):
        for lost, other in (("left", "right"), ("right", "left")):
            with self.subTest(lost=lost):
                self.assertTrue(self.is_up(other))
                self.set_link(lost, "down")
                self.wait_for(lambda: not self.is_up(other))
                self.assertEqual(self.port(lost)["link"], "down")
                self.assertNotIn("down_as", self.port(lost))
                self.assertEqual(self.port(other)["link"], "down")
                self.assertEqual(self.port(other)["down_as"], lost)
                self.assertIn(f"down, as {lost} is", self.daemon.cli("status")[1])
                time.sleep(2)
                self.assertFalse(self.is_up(other), "it flaps")
                self.set_link(lost, "up")
                self.wait_for(lambda: self.is_up(other))
                self.wait_for(lambda: self.port(other)["link"] == "up")
                self.assertNotIn("down_as", self.port(other))
                time.sleep(2)
                self.assertTrue(self.is_up(lost) and self.is_up(other), "it flaps")


class DeafLinks(LinksCase):
    """A device that cannot take its link down: it is said, once, and nothing pretends."""

    kind = cable_module.Cable
    vdev = daemon_module.AF_PACKET

    def test_what_cannot_be_carried_over_is_said(self):
        self.assertEqual([self.port(side)["link"] for side in ("left", "right")], ["up", "up"])
        self.set_link("eth0", "down", self.lab.hosts["left"])
        self.wait_for(lambda: self.port("right").get("cannot_follow") == "left")
        self.assertEqual(self.port("left")["link"], "down")
        self.assertEqual(self.port("right")["link"], "up")
        self.assertIn("up, though left is down", self.daemon.cli("status")[1])
        time.sleep(2)
        self.assertEqual(self.daemon.log().count("cannot take its link down"), 1)
        self.set_link("eth0", "up", self.lab.hosts["left"])
        self.wait_for(lambda: self.port("left")["link"] == "up")
        self.wait_for(lambda: "cannot_follow" not in self.port("right"))


if __name__ == "__main__":
    scenario.main()
