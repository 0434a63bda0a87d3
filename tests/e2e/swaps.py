# SPDX-License-Identifier: MIT
"""Policies swapped under traffic: iperf3 over TCP and numbered UDP, and what it cost them."""
import collections
import glob
import json
import os
import signal
import subprocess
import time

import netns
import shop
import stream

AUDIT = os.path.join(shop.ROOT, "examples", "changes", "audit.yaml")
EXPORT, STATSD = "storage-export.yaml", "shop-statsd.yaml"
IPERF_PORT = 5202
STATSD_PORT = 8126
TCP_ENDS = ("jobs/report-1", "storage/db-1")
UDP_ENDS = ("shop/api-1", "monitoring/prometheus-1")
OTHER_UDP_ENDS = ("shop/web-1", "monitoring/prometheus-1")
OTHER_STATSD_PORT = 8127
SPACING_S = 0.04

Swapped = collections.namedtuple("Swapped", "count seconds")
Transfer = collections.namedtuple("Transfer", "megabytes retransmits intervals")


def files_without(*names):
    """The shop's manifests but for some files of its policies."""
    policies = sorted(glob.glob(os.path.join(shop.POLICIES, "*.yaml")))
    return [shop.CLUSTER] + [path for path in policies if os.path.basename(path) not in names]


def swap_many(daemon, count, progress=None):
    """Commits the shop with and without the audit policy in turn. Every commit is a new table.

    At most one in SPACING_S, so that the traffic has seconds to suffer on a fast machine too.
    """
    begun = time.monotonic()
    for turn in range(count):
        time.sleep(max(0.0, begun + turn * SPACING_S - time.monotonic()))
        paths = [shop.SHOP, AUDIT] if turn % 2 == 0 else [shop.SHOP]
        daemon.commit(paths, f"swap {turn + 1}")
        if progress:
            progress(turn + 1, count)
    return Swapped(count, time.monotonic() - begun)


class Iperf:
    """A running iperf3 transfer over TCP.

    Made so that a retransmission means a lost packet: the window is smaller than a port's queue, so
    nothing overflows; the sender stays on one processor, so it cannot overtake itself in the
    kernel; it sends no probes for loss on mere suspicion, as Linux else does after a few ms; and it
    waits seconds for an answer, since a busy machine may leave the daemon out for longer than the
    usual 200 ms.
    """

    WINDOW = "64K"
    PATIENCE = "5s"

    def __init__(self, lab, family=4, seconds=300):
        word = shop.WORDS[family]
        client, server = TCP_ENDS
        netns.set_sysctls(lab.namespaces[client], {"ipv4/tcp_early_retrans": 0})
        netns.set_rto_min(lab.namespaces[client], lab.addresses(server)[word], self.PATIENCE)
        self._server = lab.run.start(lab.namespaces[server],
                                     ["iperf3", "-s", "-1", "-p", str(IPERF_PORT)],
                                     stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(0.3)
        self._output = os.path.join(lab.run.folder, f"iperf{family}-{time.monotonic_ns()}.json")
        with open(self._output, "wb") as file:
            self._client = lab.run.start(
                lab.namespaces[client],
                ["iperf3", "-c", lab.addresses(server)[word], "-B", lab.addresses(client)[word],
                 "-p", str(IPERF_PORT), "-t", str(seconds), "-i", "0.5", "-w", self.WINDOW,
                 "-A", str(min(os.sched_getaffinity(0))), "-J"],
                stdout=file, stderr=subprocess.STDOUT)

    @property
    def running(self):
        return self._client.poll() is None

    def stop(self):
        """Interrupts the transfer; gives what it moved, by half seconds too."""
        if self.running:
            self._client.send_signal(signal.SIGINT)
        try:
            self._client.wait(5)
        except subprocess.TimeoutExpired:
            self._client.kill()
            self._client.wait()
        self._server.terminate()
        self._server.wait()
        with open(self._output, encoding="utf-8") as file:
            try:
                sums = [interval["sum"] for interval in json.load(file)["intervals"]]
            except (ValueError, KeyError):
                sums = []
        return Transfer(sum(part["bytes"] for part in sums) / 1e6,
                        sum(part["retransmits"] for part in sums),
                        [part["bytes"] for part in sums])


def paced(lab, family=4, rate=2000):
    return stream.Stream(lab, UDP_ENDS, STATSD_PORT, family, rate)
