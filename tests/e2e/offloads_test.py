# SPDX-License-Identifier: MIT
"""Hosts that leave checksums to a device that a veth has not, as every veth does unasked.

offloads_test.py NodeOffloads, or WireOffloads. The other tests have switched it off.
"""
import collections

import lab as lab_module
import probe as probe_module
import scenario

LARGE = 300_000  # Of one request, and of its answer: many packets.


class Careless(lab_module.Lab):
    """The shop as veths come."""
    leaves_checksums = True

    def __init__(self, run, mode):
        super().__init__(run, mode)
        self.set_offloads("tx on tso on gso on gro on")

    def set_offloads(self, words):
        for namespace in set(self.namespaces.values()):
            lab_module.set_offloads(namespace, words)


class NodeOffloads(scenario.LabCase):
    mode = "node"
    lab_kind = Careless

    def finished(self):
        return sum(worker["checksums_finished"] for worker in self.daemon.ask("status")["workers"])

    def test_clients_see_what_was_meant(self):
        before = self.finished()
        result = self.see_matrix()
        spoken = collections.Counter(line.protocol for line in result.seen if line.allowed)
        self.assertGreater(self.finished() - before, spoken["TCP"] + spoken["UDP"] + spoken["SCTP"])

    def test_large_requests_pass_once_senders_cut_their_packets(self):
        self.lab.set_offloads("tso off gso off")
        self.addCleanup(self.lab.set_offloads, "tso on gso on")
        lines = [next(line for line in self.lab.probes if line.allowed and line.family == family
                      and line.protocol == "TCP" and line.port in probe_module.HTTP_PORTS)
                 for family in (4, 6)]
        seen, _ = probe_module.attempt_all(
            self.lab, [line._replace(octets=LARGE) for line in lines])
        self.assertTrue(all(what.reached for what in seen.values()), seen)

    def test_the_start_says_what_to_do_at_the_other_end(self):
        self.assertIn("is a veth", self.daemon.log())
        self.assertIn("ethtool -K DEVICE tso off gso off", self.daemon.log())


class WireOffloads(NodeOffloads):
    mode = "wire"


if __name__ == "__main__":
    scenario.main()
