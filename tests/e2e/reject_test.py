# SPDX-License-Identifier: MIT
"""With `policy.reject = "reset"` a denied client hears so at once, as Linux tells its programs."""
import errno
import socket
import time

import netns
import scenario
import swaps

CLIENT, SERVER = swaps.TCP_ENDS
SHUT_PORT = 5999  # No policy opens it.
PATIENCE_S = 5
FAMILIES = {4: socket.AF_INET, 6: socket.AF_INET6}


class NodeReject(scenario.LabCase):
    mode = "node"
    reject = "reset"

    def open(self, name, family, kind):
        """A socket in a pod, bound to its address."""
        made = netns.inside(self.lab.namespaces[name],
                            lambda: socket.socket(FAMILIES[family], kind))
        self.addCleanup(made.close)
        made.settimeout(PATIENCE_S)
        return made

    def address(self, name, family):
        return self.lab.addresses(name)[scenario.shop.WORDS[family]]

    def test_a_denied_tcp_client_is_refused(self):
        for family in FAMILIES:
            before = self.drops_of("POLICY_DENIED")
            client = self.open(CLIENT, family, socket.SOCK_STREAM)
            begun = time.monotonic()
            with self.assertRaises(ConnectionRefusedError):
                client.connect((self.address(SERVER, family), SHUT_PORT))
            # Ahead of the kernel's second try, so by the answer to the first.
            self.assertLess(time.monotonic() - begun, 0.9)
            self.assertEqual(self.drops_of("POLICY_DENIED"), before + 1)

    def test_a_denied_udp_client_hears_that_it_is_prohibited(self):
        for family, meaning in ((4, errno.EHOSTUNREACH), (6, errno.EACCES)):
            client = self.open(CLIENT, family, socket.SOCK_DGRAM)
            client.connect((self.address(SERVER, family), SHUT_PORT))
            client.send(b"hello")
            with self.assertRaises(OSError) as heard:
                client.recv(100)
            self.assertEqual(heard.exception.errno, meaning)

    def test_both_ends_of_a_connection_that_a_commit_denies_are_reset(self):
        for family in FAMILIES:
            listener = self.open(SERVER, family, socket.SOCK_STREAM)
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind((self.address(SERVER, family), swaps.IPERF_PORT))
            listener.listen()
            client = self.open(CLIENT, family, socket.SOCK_STREAM)
            client.connect((self.address(SERVER, family), swaps.IPERF_PORT))
            server, _ = listener.accept()
            self.addCleanup(server.close)
            server.settimeout(PATIENCE_S)
            client.sendall(b"hello")
            self.assertEqual(server.recv(100), b"hello")
            flows = self.daemon.ask("commit", *swaps.files_without(swaps.EXPORT))["flows"]
            self.addCleanup(self.daemon.commit, [scenario.shop.SHOP], "as before")
            self.assertEqual((flows["denied"], flows["ended"]), (1, 1))
            for end in (client, server):
                end.send(b"still there?")
                with self.assertRaises(ConnectionResetError):
                    end.recv(100)
            self.daemon.commit([scenario.shop.SHOP], "as before")


class WireReject(NodeReject):
    mode = "wire"


if __name__ == "__main__":
    scenario.main()
