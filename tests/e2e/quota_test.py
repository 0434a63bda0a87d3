# SPDX-License-Identifier: MIT
"""A namespace at its quota of flows: these go on, no more begin, and others do not feel it."""
import socket

import daemon as daemon_module
import netns
import scenario
import swaps

CLIENT, SERVER = swaps.TCP_ENDS  # Of the namespace jobs, to storage.
QUOTA = 4
PATIENCE_S = 5
REFUSED_S = 1.5  # Until a client may be sure: it sends its SYN again after a second.


class Quota(scenario.LabCase):
    mode = "wire"
    with_daemon = False

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.daemon = daemon_module.Daemon(
            cls.lab, extra=f"[conntrack.namespace_flows]\njobs = {QUOTA}\n")

    def open(self, name):
        made = netns.inside(self.lab.namespaces[name],
                            lambda: socket.socket(socket.AF_INET, socket.SOCK_STREAM))
        self.addCleanup(made.close)
        made.settimeout(PATIENCE_S)
        return made

    def connect(self, address, listener):
        client = self.open(CLIENT)
        client.connect((address, swaps.IPERF_PORT))
        server, _ = listener.accept()
        self.addCleanup(server.close)
        server.settimeout(PATIENCE_S)
        return client, server

    def stats(self):
        found = [one for one in self.daemon.ask("conntrack", "stats")["namespaces"]
                 if one["namespace"] == "jobs"]
        return found[0] if found else None

    def test_a_namespace_has_no_more_flows_than_its_quota(self):
        address = self.lab.addresses(SERVER)[scenario.shop.WORDS[4]]
        listener = self.open(SERVER)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((address, swaps.IPERF_PORT))
        listener.listen()
        connected = [self.connect(address, listener) for _ in range(QUOTA)]

        one_more = self.open(CLIENT)
        one_more.settimeout(REFUSED_S)
        with self.assertRaises(TimeoutError):
            one_more.connect((address, swaps.IPERF_PORT))
        one_more.close()
        self.assertGreaterEqual(self.drops_of("CT_NAMESPACE_QUOTA"), 1)
        stats = self.stats()
        self.assertEqual((stats["flows"], stats["flows_max"]), (QUOTA, QUOTA))
        self.assertGreaterEqual(stats["refused"], 1)
        self.assertEqual(stats["fullest"], 1)
        for client, server in connected:
            for sender, receiver in ((client, server), (server, client)):
                sender.sendall(b"hello")
                self.assertEqual(receiver.recv(100), b"hello")
        self.assertTrue(self.reaches("shop/api-1", "storage/db-1", "TCP", 5432))

        # One that is over makes room at once.
        for end in connected.pop():
            end.close()
        connected.append(self.connect(address, listener))
        self.assertEqual(self.stats()["flows"], QUOTA)


if __name__ == "__main__":
    scenario.main()
