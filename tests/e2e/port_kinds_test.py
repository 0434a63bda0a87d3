# SPDX-License-Identifier: MIT
"""Pods' ports of every other kind come and go while a stream between other pods loses nothing.

AF_XDP over a veth; memif and vhost-user, with testpmd as the pod's own packet path, so that its
sockets speak through them. hotplug_test.py has af_packet and tap.
"""
import os
import shutil
import unittest

import late_pod
import netns
import scenario
import swaps
import testpmd
from late_pod import LATE, PORT

PATIENCE_S = 20
RATE = 1000  # Datagrams a second beside it: testpmd takes a processor.


class Kind(late_pod.LatePod):
    """What holds for each. `port_vdev`: the port's device."""
    port_vdev = None
    rounds = 12  # More than a leak of buffers, 2048 a time, would survive.
    files_a_round = 0  # That DPDK forgets to close.

    @classmethod
    def setUpClass(cls):
        if cls.port_vdev is None:
            raise unittest.SkipTest("what all kinds share")
        super().setUpClass()
        cls.socket = os.path.join(cls.run_.folder, "pod.sock")
        cls.inside = cls.lab.namespaces[LATE]
        cls.lines = cls.few(cls.lab.probes)

    @staticmethod
    def few(probes):
        """All lines that policy allows, and of the others one of each protocol, way and family."""
        denied = {(line.protocol, line.family, line.source == LATE): line
                  for line in probes if not line.allowed}
        return [line for line in probes if line.allowed] + list(denied.values())

    def device(self):
        return self.port_vdev.format(socket=self.socket)

    def add(self, vdev=None):
        super().add(vdev or self.device())

    def refused(self, vdev):
        status, _, error = self.daemon.cli("port", "add", PORT, "--vdev", vdev, "--address",
                                           self.lab.addresses(LATE)[0])
        self.assertEqual(status, 2, vdev)
        return error

    def make_pod(self):
        """The pod's side ahead of its port."""

    def wake_pod(self):
        """The pod's side after its port."""

    def end_pod(self):
        """The pod's side after its port is gone."""

    def round(self, check=None):
        """Added and removed; with a check, the pod is there meanwhile."""
        self.make_pod()
        self.add()
        if check is not None:
            self.wake_pod()
            check()
        self.port("remove", PORT)
        self.end_pod()

    def see_all(self):
        denied = self.drops_of("POLICY_DENIED")
        self.see(True, self.lines)
        self.assertGreater(self.drops_of("POLICY_DENIED"), denied)
        port = next(p for p in self.daemon.ask("status")["ports"] if p["name"] == PORT)
        self.assertGreater(min(port["rx_packets"], port["tx_packets"]), 2 * len(self.lines) // 3)
        self.assertEqual(port["link"], "up")

    def files(self):
        return len(os.listdir(f"/proc/{self.daemon.process.pid}/fd"))

    def test_comes_and_goes_beside_a_stream_that_loses_nothing(self):
        numbered = swaps.paced(self.lab, rate=RATE)
        self.assertTrue(numbered.wait_for(100, PATIENCE_S), "the stream does not run")
        others = self.names()
        self.round(self.see_all)
        self.assertEqual(self.names(), others)
        self.reaches_nothing()
        files = self.files()
        for _ in range(self.rounds):
            self.round()
        self.round(self.see_all)
        figures = numbered.stop()
        print(f"{type(self).__name__}, {self.rounds + 2} times added and removed: {figures}")
        self.assertGreater(figures.sent, RATE)
        self.assertEqual((figures.lost, figures.reordered, figures.duplicates), (0, 0, 0), figures)
        self.assertLessEqual(self.files(), files + self.files_a_round * (self.rounds + 1))


class AfXdp(Kind):
    port_vdev = "net_af_xdp79,iface=cache-1"

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.rewire(queues=1)
        status, _, error = cls.daemon.cli("port", "add", PORT, "--vdev", cls.port_vdev, "--address",
                                          cls.lab.addresses(LATE)[0])
        if status != 0:
            cls.kernel_says_no(error)
        cls.daemon.cli("port", "remove", PORT)

    @classmethod
    def kernel_says_no(cls, error):
        """A kernel without AF_XDP is no fault of ours, if the daemon says what is missing."""
        try:
            netns.inside(cls.lab.node, lambda: os.close(os.open("/proc/net/xdp", os.O_RDONLY)))
        except OSError:
            assert "XDP_SOCKETS" in error, error
            raise unittest.SkipTest(f"this kernel has no AF_XDP: {error}") from None
        raise AssertionError(error)

    @classmethod
    def rewire(cls, queues):
        """The pod's veth anew, with so many queues each way at both ends."""
        words = f"numrxqueues {queues} numtxqueues {queues}"
        netns.ip_batch(cls.lab.node, [
            f"link del {PORT}",
            f"link add {PORT} {words} type veth peer name eth0 netns {cls.inside} {words}",
            f"link set {PORT} up"])
        netns.set_sysctls(cls.lab.node, {f"ipv6/conf/{PORT}/disable_ipv6": 1})
        cls.lab.address_pod(LATE)

    def test_an_interface_with_queues_that_nobody_would_read_is_refused(self):
        self.rewire(queues=2)
        self.addCleanup(self.rewire, queues=1)
        self.assertIn("receives by 2 queues", self.refused(self.port_vdev))

    def test_an_interface_is_one_port_s(self):
        self.add()
        for _ in range(3):
            status, _, error = self.daemon.cli("port", "add", "other", "--address", "10.20.0.99",
                                               "--vdev", f"net_af_xdp78,iface={PORT}")
            self.assertEqual(status, 2)
            self.assertIn(f"{PORT} already serves port '{PORT}'", error)
        self.see_all()
        self.port("remove", PORT)

    def test_adds_that_fail_take_nothing_from_the_others(self):
        """The queue is somebody else's."""
        other = testpmd.Bridge(self.run_, self.lab.node, f"net_af_xdp0,iface={PORT}")
        for _ in range(3):
            self.assertIn("net_af_xdp takes queue 0", self.refused(self.port_vdev))
        other.stop()
        self.round(self.see_all)


class Bridged(Kind):
    """The pod's eth0 is a tap of testpmd, which moves frames between it and `pod_vdev`."""
    pod_vdev = None
    pod_first = False  # Whether the pod listens and the port calls.

    @classmethod
    def setUpClass(cls):
        if shutil.which(testpmd.TESTPMD) is None:
            raise unittest.SkipTest("there is no dpdk-testpmd")
        super().setUpClass()
        netns.ip_batch(cls.inside, ["link del eth0"])
        cls.bridge = None

    def start_bridge(self):
        if self.pod_first and os.path.exists(self.socket):
            os.unlink(self.socket)  # One that was killed leaves it, and none could listen there.
        self.bridge = testpmd.Bridge(self.run_, self.inside,
                                     self.pod_vdev.format(socket=self.socket))
        self.lab.address_pod(LATE)

    def make_pod(self):
        if self.pod_first and self.bridge is None:
            self.start_bridge()

    def wake_pod(self):
        if not self.pod_first and self.bridge is None:
            self.start_bridge()

    def end_pod(self):
        """One that calls has lost its port, and is started anew; one that listens goes on."""
        if not self.pod_first:
            self.stop_bridge()

    def stop_bridge(self):
        if self.bridge is not None:
            self.bridge.stop()
            self.bridge = None

    def tearDown(self):
        self.stop_bridge()

    def test_a_pod_that_is_killed_takes_nobody_along(self):
        numbered = swaps.paced(self.lab, rate=RATE)
        self.assertTrue(numbered.wait_for(100, PATIENCE_S), "the stream does not run")
        self.make_pod()
        self.add()
        self.wake_pod()
        self.see(True, [line for line in self.lines if line.allowed])
        self.bridge.die()
        self.bridge = None
        self.reaches_nothing()
        self.port("remove", PORT)
        self.round(self.see_all)
        figures = numbered.stop()
        self.assertEqual((figures.lost, figures.reordered, figures.duplicates), (0, 0, 0), figures)


class MemifServer(Bridged):
    files_a_round = 1  # The socket that nobody can call any more.
    port_vdev = "net_memif79,role=server,id=0,socket={socket},socket-abstract=no"
    pod_vdev = "net_memif0,role=client,id=0,socket={socket},socket-abstract=no"


class MemifClient(Bridged):
    port_vdev = "net_memif79,role=client,id=0,socket={socket},socket-abstract=no"
    pod_vdev = "net_memif0,role=server,id=0,socket={socket},socket-abstract=no"
    pod_first = True
    rounds = 3

    def end_pod(self):
        """testpmd 22.11 as a server may crash when its client goes while it polls."""
        self.stop_bridge()

    def test_a_server_that_is_not_there_is_named(self):
        self.assertIn(f"there is no socket {self.socket}; start the peer", self.refused(
            self.device()))


class VirtioUser(Bridged):
    port_vdev = "net_virtio_user79,path={socket},queue_size=1024"
    pod_vdev = "net_vhost0,iface={socket}"
    pod_first = True

    def test_a_peer_that_would_be_waited_for_is_refused(self):
        self.assertIn("would stop everything", self.refused(self.device() + ",server=1"))
        self.assertIn("there is no socket", self.refused(self.device()))


class Vhost(Bridged):
    port_vdev = "net_vhost79,iface={socket}"
    pod_vdev = "net_virtio_user0,path={socket},queue_size=1024"

    def test_a_guest_that_comes_back_goes_on_at_the_same_port(self):
        self.add()
        for _ in range(2):
            self.start_bridge()
            self.see_all()
            self.bridge.die()
            self.bridge = None
        self.port("remove", PORT)

    def test_what_has_the_name_of_its_socket_stays(self):
        precious = os.path.join(self.run_.folder, "precious")
        with open(precious, "w", encoding="ascii") as file:
            file.write("kept")
        self.assertIn(f"{precious} is there already", self.refused(
            f"net_vhost79,iface={precious}"))
        self.assertTrue(os.path.exists(precious))


if __name__ == "__main__":
    scenario.main()
