# SPDX-License-Identifier: MIT
"""Node mode is a router: it counts hops, says what is unreachable, and believes no false source."""
import errno
import socket
import subprocess

import daemon as daemon_module
import lab as lab_module
import netns
import raw as raw_packets
import scenario


class Router(scenario.LabCase):
    mode = "node"

    def ping(self, source, destination, *options, family=4):
        word = scenario.shop.WORDS[family]
        return netns.inside(self.lab.namespaces[source], lambda: subprocess.run(
            ["ping", "-n", "-c", "2", "-i", "0.3", "-W", "1", *options,
             self.lab.addresses(destination)[word]],
            capture_output=True, text=True, check=False).stdout)

    def test_a_packet_loses_one_hop_on_the_way(self):
        self.assertIn("ttl=63", self.ping("shop/api-1", "storage/cache-1"))
        self.assertIn("ttl=63", self.ping("shop/api-1", "storage/cache-1", family=6))

    def test_a_packet_without_hops_left_comes_back_as_time_exceeded(self):
        before = self.drops_of("TTL_EXCEEDED")
        out = self.ping("shop/api-1", "storage/cache-1", "-t", "1")
        self.assertIn("Time to live exceeded", out)
        self.assertIn(f"From {lab_module.NODE_ADDRESSES[0]}", out)
        out = self.ping("shop/api-1", "storage/cache-1", "-t", "1", family=6)
        self.assertIn("Time exceeded: Hop limit", out)
        self.assertIn(f"From {lab_module.NODE_ADDRESSES[1]}", out)
        self.assertGreaterEqual(self.drops_of("TTL_EXCEEDED"), before + 4)

    def test_a_false_source_goes_nowhere(self):
        listener = netns.inside(self.lab.namespaces["monitoring/prometheus-1"],
                                lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        self.addCleanup(listener.close)
        destination = self.lab.addresses("monitoring/prometheus-1")[0]
        listener.bind((destination, 8126))
        listener.settimeout(1)
        raw = netns.inside(self.lab.namespaces["shop/api-1"], lambda: socket.socket(
            socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW))
        self.addCleanup(raw.close)
        own, other = (self.lab.addresses(name)[0] for name in ("shop/api-1", "shop/api-2"))
        raw.sendto(raw_packets.ipv4_udp(own, destination, 8126, b"true"), (destination, 0))
        self.assertEqual(listener.recv(100), b"true")  # The way is open for its own address ...
        before = self.drops_of("INVALID_SOURCE_IP")
        raw.sendto(raw_packets.ipv4_udp(other, destination, 8126, b"liar"), (destination, 0))
        with self.assertRaises(socket.timeout):
            listener.recv(100)  # ... and shut for one that would be allowed elsewhere.
        self.assertEqual(self.drops_of("INVALID_SOURCE_IP"), before + 1)

    def say(self, client, server, text):
        """Whether what the client says comes to the server."""
        client.sendall(text)
        server.settimeout(2)
        try:
            return server.recv(100) == text
        except socket.timeout:
            return False

    def connection(self, listener, source):
        client = netns.inside(self.lab.namespaces[source],
                              lambda: socket.socket(socket.AF_INET, socket.SOCK_STREAM))
        self.addCleanup(client.close)
        client.settimeout(10)
        client.connect(listener.getsockname())
        server, _ = listener.accept()
        self.addCleanup(server.close)
        return client, server

    def test_a_flow_that_is_flushed_is_known_no_more(self):
        listener = netns.inside(self.lab.namespaces["storage/cache-1"],
                                lambda: socket.socket(socket.AF_INET, socket.SOCK_STREAM))
        self.addCleanup(listener.close)
        listener.bind((self.lab.addresses("storage/cache-1")[0], 7001))
        listener.listen()
        listener.settimeout(10)
        client, server = self.connection(listener, "shop/api-1")
        self.assertTrue(self.say(client, server, b"one"))
        ends = ("--from", "shop/api-1", "--to", "storage/cache-1",
                "--port", str(client.getsockname()[1]))
        flow = self.daemon.ask("conntrack", "list", *ends)["flows"]
        self.assertEqual([one["state"] for one in flow], ["established"])
        before = self.drops_of("UNKNOWN_CONNECTION_TRACKING_STATE")
        self.assertEqual(self.daemon.ask("conntrack", "flush", *ends)["ended"], 1)
        self.assertFalse(self.say(client, server, b"two"))  # In mid-stream of no known flow ...
        self.assertGreater(self.drops_of("UNKNOWN_CONNECTION_TRACKING_STATE"), before)
        self.assertEqual(self.daemon.ask("conntrack", "list", *ends)["matched"], 0)
        client, server = self.connection(listener, "shop/api-1")
        self.assertTrue(self.say(client, server, b"three"))  # ... and a new one begins as ever.


class LostGateway(scenario.LabCase):
    mode = "node"
    with_daemon = False

    def test_what_is_behind_a_gateway_that_does_not_answer_is_unreachable(self):
        netns.ip_batch(self.lab.world, [f"addr del {lab_module.UPLINK_GATEWAYS[0]}/24 dev eth0"])
        daemon = daemon_module.Daemon(self.lab)
        client = netns.inside(self.lab.namespaces["shop/web-1"],
                              lambda: socket.socket(socket.AF_INET, socket.SOCK_STREAM))
        self.addCleanup(client.close)
        client.settimeout(20)
        with self.assertRaises(OSError) as failure:
            client.connect((self.lab.addresses("internet")[0], 80))
        self.assertEqual(failure.exception.errno, errno.EHOSTUNREACH, failure.exception)
        self.assertGreater(daemon.drops()["NEIGHBOUR_UNRESOLVED"], 0)


class RouterOfTwoWorkers(Router):
    workers = 2


class LostGatewayOfTwoWorkers(LostGateway):
    workers = 2


if __name__ == "__main__":
    scenario.main()
