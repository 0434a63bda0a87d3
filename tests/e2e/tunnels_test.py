# SPDX-License-Identifier: MIT
"""The whole matrix between two nodes of an overlay: Portcullis sees the nodes' packets only.

    pod eth0 -- [left switch, 192.0.2.1] -- left [node] right -- [192.0.2.2, right switch] -- pods

The switches are the nodes: what their pods say to those of the other side goes through a tunnel.
tunnels_test.py Vxlan Vxlan6 Fragments: by the kernel's own device. Geneve Gre: by overlay.py, for kernels
without one.
"""
import os
import subprocess
import sys
import time

import daemon as daemon_module
import lab as lab_module
import netns
import probe as probe_module
import scenario

NODES = {4: ("192.0.2.1", "192.0.2.2"), 6: ("2001:db8:ffff::1", "2001:db8:ffff::2")}
POD_MTU = 1400  # Room for the outer headers.
PATIENCE_S = 5
TUNNELS = """[tunnels]
kinds = ["vxlan", "geneve", "gre", "ipip"]
endpoints = ["192.0.2.0/24", "2001:db8:ffff::/64"]
"""


class Overlay(lab_module.Lab):
    """Mode wire, with a tunnel through the wire."""

    def __init__(self, run, kind, family):
        self.kind, self.family = kind, family
        super().__init__(run, "wire")
        for namespace in set(self.namespaces.values()):
            netns.ip_batch(namespace, [f"link set eth0 mtu {POD_MTU}"])

    def _join_wire(self, switch, side):
        local, remote = NODES[self.family][:: 1 if side == "left" else -1]
        netns.ip_batch(switch, [f"addr add {local}/{24 if self.family == 4 else 64} dev wire0"
                                + (" nodad" if self.family == 6 else "")])
        lab_module.offload(switch, False, "wire0")
        if self.kind == "vxlan":
            netns.ip_batch(switch, [f"link add over0 type vxlan id 42 local {local} "
                                    f"remote {remote} dstport 4789 dev wire0"])
        else:
            overlay = os.path.join(lab_module.HERE, "overlay.py")
            process = self.run.start(
                switch, [sys.executable, overlay, "over0", self.kind, local, remote],
                stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
            if process.stdout.readline() != b"ready\n":
                raise RuntimeError(f"no overlay of {self.kind}")
        netns.ip_batch(switch, ["link set over0 up master br0"])


class OverlayCase(scenario.LabCase):
    mode = "wire"
    with_daemon = False
    kind, family = "vxlan", 4

    @classmethod
    def lab_kind(cls, run, _mode):
        return Overlay(run, cls.kind, cls.family)

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.daemon = daemon_module.Daemon(cls.lab, extra=TUNNELS, vdev=cls.vdev)


class Vxlan(OverlayCase):
    def test_clients_see_what_the_policies_of_the_pods_say(self):
        self.see_matrix()

    def test_flows_are_the_pods(self):
        line = next(line for line in self.lab.probes
                    if line.allowed and line.protocol == "TCP" and line.family == 4)
        seen, _ = probe_module.attempt_all(self.lab, [line])
        self.assertTrue(seen[line].reached)
        told = self.daemon.ask("conntrack", "list", "--address", line.source_address)["flows"]
        self.assertIn(line.destination_address, [flow["destination"] for flow in told])
        nodes = self.daemon.ask("conntrack", "list", "--address", NODES[4][0])["flows"]
        self.assertEqual([flow for flow in nodes if flow["protocol"] != "ICMP"], [])


class Fragments(OverlayCase):
    vdev = daemon_module.PCAP

    def test_fragments_of_the_nodes_packets_are_dropped(self):
        line = next(line for line in self.lab.probes
                    if line.allowed and line.protocol == "ICMP" and line.family == 4)
        before = self.drops_of("TUNNEL_FRAGMENTED")
        # The nodes' link grows narrower than what the pods send: the nodes fragment.
        switch = self.run_.prefix + "-wire-left"
        netns.ip_batch(switch, ["link set wire0 mtu 1300"])
        try:
            done = netns.inside(self.lab.namespaces[line.source], lambda: subprocess.run(
                ["ping", "-n", "-c", "2", "-w", "2", "-M", "dont", "-s", "1300",
                 line.destination_address], capture_output=True, text=True, check=False))
            self.assertNotEqual(done.returncode, 0, done.stdout)
        finally:
            netns.ip_batch(switch, ["link set wire0 mtu 1500"])
        deadline = time.monotonic() + PATIENCE_S
        while self.drops_of("TUNNEL_FRAGMENTED") == before and time.monotonic() < deadline:
            time.sleep(0.05)
        self.assertGreater(self.drops_of("TUNNEL_FRAGMENTED"), before, self.daemon.drops())


class Vxlan6(Vxlan):
    family = 6


class Geneve(Vxlan):
    kind = "geneve"


class Gre(Vxlan):
    kind = "gre"


if __name__ == "__main__":
    scenario.main()
