# SPDX-License-Identifier: MIT
"""Datagrams in fragments: whole where policy allows them, in any order, and not at all elsewhere.

fragments_test.py NodeFragments, or WireFragments.
"""
import socket
import struct
import subprocess
import time

import daemon
import netns
import scenario

MORE = 0x2000
LARGE = 6000  # Five fragments on a link of 1500 bytes.
TRIES = 3     # A busy machine may lose a datagram; what is denied never comes through.
PATIENCE_S = 2


def fragment(line, number, offset, more, octets):
    """One fragment of a UDP datagram over IPv4, from raw bytes. The kernel adds the checksum."""
    return struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(octets), number,
                       (MORE if more else 0) | offset // 8, 64, socket.IPPROTO_UDP, 0,
                       socket.inet_aton(line.source_address),
                       socket.inet_aton(line.destination_address)) + octets


class NodeFragments(scenario.LabCase):
    mode = "node"
    vdev = daemon.PCAP
    number = 0  # Of the last datagram made from raw pieces.

    def pick(self, protocol, allowed, family):
        """A line of the matrix between two pods."""
        return next(line for line in self.lab.probes
                    if (line.protocol, line.allowed, line.family) == (protocol, allowed, family)
                    and line.port != 53 and line.source in self.lab.pods
                    and line.destination in self.lab.pods)

    def open(self, line, kind, protocol=0):
        family = socket.AF_INET6 if line.family == 6 else socket.AF_INET
        made = netns.inside(self.lab.namespaces[line.source],
                            lambda: socket.socket(family, kind, protocol))
        self.addCleanup(made.close)
        return made

    def client(self, line):
        made = self.open(line, socket.SOCK_DGRAM)
        made.bind((line.source_address, 0))
        made.settimeout(PATIENCE_S)
        return made

    def answers(self, line, client):
        """True when the pod that was meant says its name."""
        try:
            return client.recv(2048).decode().strip() == line.destination
        except socket.timeout:
            return False

    def assert_drops(self, reason, least, before):
        deadline = time.monotonic() + 5
        while self.drops_of(reason) < before + least and time.monotonic() < deadline:
            time.sleep(0.05)
        self.assertGreaterEqual(self.drops_of(reason), before + least)

    def send_pieces(self, line, pieces):
        """Sends pieces [(first, last)] of one datagram of 48 bytes; True when it is answered."""
        client = self.client(line)
        raw = self.open(line, socket.SOCK_RAW, socket.IPPROTO_RAW)
        datagram = struct.pack("!HHHH", client.getsockname()[1], line.port, 48, 0) + bytes(40)
        self.number += 1
        for begin, end in pieces:
            raw.sendto(fragment(line, self.number, begin, end < 48, datagram[begin:end]),
                       (line.destination_address, 0))
        return self.answers(line, client)

    def test_large_datagrams_arrive(self):
        for family in (4, 6):
            line = self.pick("UDP", True, family)
            client = self.client(line)

            def ask():
                client.sendto(bytes(LARGE), (line.destination_address, line.port))
                return self.answers(line, client)
            self.assertTrue(any(ask() for _ in range(TRIES)), line)

    def test_large_pings_come_back(self):
        for family in (4, 6):
            line = self.pick("ICMP", True, family)
            done = netns.inside(self.lab.namespaces[line.source], lambda: subprocess.run(
                ["ping", "-n", "-c", "1", "-w", "5", "-s", str(LARGE), line.destination_address],
                capture_output=True, text=True, check=False))
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def test_no_fragment_of_a_denied_datagram_passes(self):
        for family in (4, 6):
            line = self.pick("UDP", False, family)
            client = self.client(line)
            before = self.drops_of("POLICY_DENIED")
            client.sendto(bytes(LARGE), (line.destination_address, line.port))
            self.assertFalse(self.answers(line, client), line)
            self.assert_drops("POLICY_DENIED", 5, before)

    def test_the_first_fragment_may_come_last(self):
        line = self.pick("UDP", True, 4)
        pieces = [(32, 48), (16, 32), (0, 16)]
        self.assertTrue(any(self.send_pieces(line, pieces) for _ in range(TRIES)))

    def test_overlapping_fragments_do_not_pass(self):
        line = self.pick("UDP", True, 4)
        before = self.drops_of("FRAGMENT_OVERLAP")
        self.assertFalse(self.send_pieces(line, [(0, 24), (16, 32), (32, 48)]))
        self.assert_drops("FRAGMENT_OVERLAP", 2, before)

    def test_fragments_without_a_first_one_do_not_pass(self):
        line = self.pick("UDP", True, 4)
        before = self.drops_of("FIRST_LOGICAL_DATAGRAM_FRAGMENT_NOT_FOUND")
        self.assertFalse(self.send_pieces(line, [(16, 32), (32, 48)]))
        self.assert_drops("FIRST_LOGICAL_DATAGRAM_FRAGMENT_NOT_FOUND", 2, before)


class WireFragments(NodeFragments):
    mode = "wire"


class NodeFragmentsOfTwoWorkers(NodeFragments):
    workers = 2


if __name__ == "__main__":
    scenario.main()
