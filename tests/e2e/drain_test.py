# SPDX-License-Identifier: MIT
"""A connection that a commit denies: it goes on for as long as it drains, or until it ends."""
import socket
import time

import netns
import scenario
import swaps

CLIENT, SERVER = swaps.TCP_ENDS
DRAIN_S = 6
PATIENCE_S = 5


class NodeDrain(scenario.LabCase):
    mode = "node"
    reject = "reset"

    def setUp(self):
        self.addCleanup(self.daemon.commit, [scenario.shop.SHOP], "as before")
        self.address_ = self.lab.addresses(SERVER)[scenario.shop.WORDS[4]]
        self.listener = self.open(SERVER)
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.listener.bind((self.address_, swaps.IPERF_PORT))
        self.listener.listen()

    def open(self, name):
        made = netns.inside(self.lab.namespaces[name],
                            lambda: socket.socket(socket.AF_INET, socket.SOCK_STREAM))
        self.addCleanup(made.close)
        made.settimeout(PATIENCE_S)
        return made

    def connect(self):
        client = self.open(CLIENT)
        client.connect((self.address_, swaps.IPERF_PORT))
        server, _ = self.listener.accept()
        self.addCleanup(server.close)
        server.settimeout(PATIENCE_S)
        return client, server

    def deny(self, *words):
        return self.daemon.ask("commit", *swaps.files_without(swaps.EXPORT), *words)["flows"]

    def exchange(self, client, server):
        for sender, receiver in ((client, server), (server, client)):
            sender.sendall(b"hello")
            self.assertEqual(receiver.recv(100), b"hello")

    def refuse_new_ones(self):
        with self.assertRaises(ConnectionRefusedError):
            self.open(CLIENT).connect((self.address_, swaps.IPERF_PORT))

    def test_a_connection_drains(self):
        client, server = self.connect()
        begun = time.monotonic()
        flows = self.deny("--established", "drain", "--drain", f"{DRAIN_S}s")
        self.assertEqual((flows["denied"], flows["ended"]), (1, 0))
        self.exchange(client, server)
        self.refuse_new_ones()
        self.assertEqual(self.daemon.ask("status")["drain"]["revision"],
                         self.daemon.ask("status")["running"]["revision"])
        while self.daemon.ask("status")["drain"] is not None:
            self.assertLess(time.monotonic() - begun, DRAIN_S + PATIENCE_S)
            self.exchange(client, server)
            time.sleep(0.3)
        self.assertGreaterEqual(time.monotonic() - begun, DRAIN_S)
        for end in (client, server):
            end.send(b"still there?")
            with self.assertRaises(ConnectionResetError):
                end.recv(100)

    def test_a_connection_is_kept_until_another_commit_decides(self):
        client, server = self.connect()
        flows = self.deny("--established", "keep")
        self.assertEqual((flows["denied"], flows["ended"]), (1, 0))
        self.exchange(client, server)
        self.refuse_new_ones()
        answer = self.daemon.ask("commit", *swaps.files_without(swaps.EXPORT, "monitoring.yaml"))
        self.assertEqual(answer["flows"]["ended"], 1)
        client.send(b"still there?")
        with self.assertRaises(ConnectionResetError):
            client.recv(100)


class WireDrain(NodeDrain):
    mode = "wire"


if __name__ == "__main__":
    scenario.main()
