# SPDX-License-Identifier: MIT
"""A pod's port comes and goes by control message, and a stream between other pods loses nothing."""
import late_pod
import netns
import scenario
import swaps
from late_pod import LATE, PORT

VETH = "net_af_packet77,iface=cache-1,framecnt=2048"
TAP = "net_tap78,iface=tap78"
PATIENCE_S = 20


class NodeHotplug(late_pod.LatePod):
    def add(self, vdev=VETH):
        super().add(vdev)

    def test_a_pod_comes_and_goes_and_comes_again(self):
        allowed = [line for line in self.lab.probes if line.allowed]
        self.assertGreater(len(allowed), 2)
        self.assertGreater(len(self.lab.probes), 2 * len(allowed))
        numbered = swaps.paced(self.lab)
        self.assertTrue(numbered.wait_for(100, PATIENCE_S), "the stream does not run")
        others = self.names()
        self.reaches_nothing()
        for _ in range(2):
            self.add()
            self.assertEqual(self.names(), [*others, PORT])
            self.see(True)
            before = self.drops_of("NO_ROUTE")
            self.port("remove", PORT)
            self.assertEqual(self.names(), others)
            self.reaches_nothing()
            self.assertGreater(self.drops_of("NO_ROUTE"), before)
        for _ in range(20):
            self.add()
            self.port("remove", PORT)
        figures = numbered.stop()
        print(f"{self.workers} workers, 22 times added and removed: {figures}")
        self.assertGreater(figures.sent, 1000)
        self.assertEqual((figures.lost, figures.reordered, figures.duplicates), (0, 0, 0), figures)

    def test_a_pod_that_is_gone_already_leaves_by_its_name(self):
        self.add()
        netns.ip_batch(self.lab.node, ["link del cache-1"])
        self.port("remove", PORT)
        status, _, error = self.daemon.cli("port", "add", PORT, "--vdev", VETH, "--address",
                                           self.lab.addresses(LATE)[0])
        self.assertEqual(status, 2)
        self.assertIn("the interface it uses is there", error)
        self.lab.join_node(LATE)
        self.add()
        self.see(True)
        self.port("remove", PORT)

    def test_a_tap_is_a_port_as_well(self):
        """The pod is at a bridge, and so is the tap's kernel end."""
        self.add(TAP)
        netns.set_sysctls(self.lab.node, {"ipv6/conf/tap78/disable_ipv6": 1,
                                          "ipv6/conf/default/disable_ipv6": 1})
        netns.ip_batch(self.lab.node, [
            "link set tap78 address 02:00:00:00:00:78",  # Else it has the port's own.
            "link add br78 type bridge mcast_snooping 0 forward_delay 0", "link set br78 up",
            "link set tap78 master br78", "link set cache-1 master br78", "link set tap78 up"])
        self.addCleanup(netns.ip_batch, self.lab.node, ["link del br78"])
        # The router's MAC is another one than on the veth.
        netns.ip_batch(self.lab.namespaces[LATE], ["neigh flush dev eth0"])
        self.see(True)
        self.port("remove", PORT)
        self.reaches_nothing()

    def test_what_cannot_be_a_port_is_refused(self):
        others = self.names()
        for name, vdev, address, said in (
                ("web-1", VETH, "10.20.0.99", "there is a port 'web-1' already"),
                ("web-9", "net_af_packet0,iface=cache-1", "10.20.0.99", "already serves port"),
                ("web-9", VETH, self.lab.addresses("shop/web-1")[0], "is already an address of port"),
                ("web-9", "net_pcap9,tx_pcap=x", "10.20.0.99", "its driver must be one of")):
            status, _, error = self.daemon.cli("port", "add", name, "--vdev", vdev, "--address",
                                               address)
            self.assertEqual(status, 2)
            self.assertIn(said, error)
        status, _, error = self.daemon.cli("port", "remove", "uplink")
        self.assertEqual(status, 2)
        self.assertIn("only pods' ports go", error)
        self.assertEqual(self.names(), others)


class NodeHotplugOfTwoWorkers(NodeHotplug):
    workers = 2


if __name__ == "__main__":
    scenario.main()
