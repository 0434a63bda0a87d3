# SPDX-License-Identifier: MIT
"""A UDP stream with sequence numbers, which tells how many datagrams were lost or overtaken.

Paced: so many a second, one way. Unpaced: as fast as the path goes, by credit: the receiver sends
each datagram back and the sender keeps at most a window of them under way. The window is smaller
than any queue on the path, so nothing overflows and every loss has a cause worth finding.

    stream.py send FIGURES SOURCE DESTINATION PORT RATE|-    stream.py receive FIGURES PORT ECHO
Both keep their figures in a shared file of 64-bit counters while they run, and end on SIGTERM.
"""
import collections
import mmap
import os
import signal
import socket
import struct
import subprocess
import sys
import threading
import time

import netns

WINDOW = 64
STALL_S = 10.0
PAYLOAD = bytes(200)
FIELDS = ("sent", "arrived", "reordered", "duplicates", "stalls", "errors")

Figures = collections.namedtuple("Figures", "sent received lost reordered duplicates stalls")


class Board:
    """Counters in a file that one process writes and another reads."""

    def __init__(self, path):
        with open(path, "r+b") as file:
            self._map = mmap.mmap(file.fileno(), 8 * len(FIELDS))

    @staticmethod
    def create(path):
        with open(path, "wb") as file:
            file.write(bytes(8 * len(FIELDS)))
        return Board(path)

    def get(self, field):
        return struct.unpack_from("Q", self._map, 8 * FIELDS.index(field))[0]

    def set(self, field, value):
        struct.pack_into("Q", self._map, 8 * FIELDS.index(field), value)

    def add(self, field):
        self.set(field, self.get(field) + 1)


class Tally:
    """Sequence numbers as they arrive: how many different ones, how many late, how many twice."""

    def __init__(self, board):
        self.board, self.highest, self.count, self.seen = board, -1, 0, bytearray()

    def take(self, number):
        if number >= len(self.seen):
            self.seen.extend(bytes(number + 65536 - len(self.seen)))
        if self.seen[number]:
            self.board.add("duplicates")
            return
        self.seen[number] = 1
        if number < self.highest:
            self.board.add("reordered")
        self.highest = max(number, self.highest)
        self.count += 1
        self.board.set("arrived", self.count)


def _socket(family, buffer_bytes=1 << 23):
    made = socket.socket(family, socket.SOCK_DGRAM)
    made.setsockopt(socket.SOL_SOCKET, 33, buffer_bytes)  # SO_RCVBUFFORCE: we are root.
    return made


def receive(board, port, echo):
    tally = Tally(board)
    listener = _socket(socket.AF_INET6)
    listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    listener.bind(("::", port))
    print("ready", flush=True)
    while True:
        octets, peer = listener.recvfrom(2048)
        tally.take(struct.unpack_from("!Q", octets)[0])
        if echo:
            listener.sendto(octets, peer)


def send_paced(board, link, rate, stopping):
    start, number = time.monotonic(), 0
    while not stopping.is_set():
        ahead = start + number / rate - time.monotonic()
        if ahead > 0:
            time.sleep(ahead)
        try:
            link.send(struct.pack("!Q", number) + PAYLOAD)
        except OSError:  # An ICMP error came back; the datagram still counts as sent.
            board.add("errors")
        number += 1
        board.set("sent", number)


def send_unpaced(board, link, stopping):
    """Keeps WINDOW datagrams under way, at the end none; one that never comes back is a stall."""
    tally = Tally(board)
    link.settimeout(STALL_S)
    number = under_way = 0
    while under_way or not stopping.is_set():
        try:
            while under_way < WINDOW and not stopping.is_set():
                link.send(struct.pack("!Q", number) + PAYLOAD)
                number += 1
                under_way += 1
                board.set("sent", number)
            tally.take(struct.unpack_from("!Q", link.recv(2048))[0])
            under_way -= 1
        except socket.timeout:
            board.add("stalls")
            under_way = 0
        except OSError:
            board.add("errors")


def main():
    # A sender that changes its processor can overtake itself in the kernel; keep it on one.
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    role, board = sys.argv[1], Board(sys.argv[2])
    if role == "receive":
        receive(board, int(sys.argv[3]), sys.argv[4] == "echo")
    stopping = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stopping.set())
    source, destination, port, rate = sys.argv[3:]
    link = _socket(socket.AF_INET6 if ":" in destination else socket.AF_INET)
    link.bind((source, 0))
    link.connect((destination, int(port)))
    if rate == "-":
        send_unpaced(board, link, stopping)
    else:
        send_paced(board, link, int(rate), stopping)


class Stream:
    """A running stream between two hosts of a lab. `rate` None: unpaced."""

    _count = 0

    def __init__(self, lab, ends, port, family=4, rate=None):
        Stream._count += 1
        source, destination = ends
        word = 0 if family == 4 else 1
        base = os.path.join(lab.run.folder, f"stream{Stream._count}")
        self.unpaced = rate is None
        self._arrived, self._sent = Board.create(base + ".in"), Board.create(base + ".out")
        python = [sys.executable, os.path.abspath(__file__)]
        self._receiver = lab.run.start(
            lab.namespaces[destination],
            python + ["receive", base + ".in", str(port), "echo" if self.unpaced else "-"],
            stdout=subprocess.PIPE)
        if self._receiver.stdout.readline() != b"ready\n":
            raise RuntimeError(f"nobody can listen on UDP {port} of {destination}")
        self._sender = lab.run.start(
            lab.namespaces[source],
            python + ["send", base + ".out", lab.addresses(source)[word],
                      lab.addresses(destination)[word], str(port), str(rate or "-")])

    @property
    def received(self):
        return self._arrived.get("arrived")

    def wait_for(self, more, patience_s):
        """Whether so many more datagrams arrive within the time."""
        goal, deadline = self.received + more, time.monotonic() + patience_s
        while self.received < goal and time.monotonic() < deadline:
            time.sleep(0.01)
        return self.received >= goal

    def silent_after(self, quiet_s, patience_s):
        """Seconds until the last datagram before a silence of quiet_s, or None if it goes on."""
        start = changed = time.monotonic()
        count = self.received
        while time.monotonic() - start < patience_s:
            time.sleep(0.005)
            if self.received != count:
                count, changed = self.received, time.monotonic()
            elif time.monotonic() - changed > quiet_s:
                return changed - start
        return None

    def stop(self):
        """Ends the sender, lets the rest arrive, ends the receiver, and counts."""
        netns.stop(self._sender)
        time.sleep(0.3)
        netns.stop(self._receiver)
        sent, received = self._sent.get("sent"), self.received
        boards = (self._arrived, self._sent)  # The sender's: what came back to it.
        return Figures(sent, received, sent - received,
                       sum(board.get("reordered") for board in boards),
                       sum(board.get("duplicates") for board in boards),
                       self._sent.get("stalls"))


if __name__ == "__main__":
    main()
