# SPDX-License-Identifier: MIT
"""A second opinion: the same attempts by way of Linux' nftables, then of Portcullis, end alike.

nftables_test.py NodeOpinion, or WireOpinion. The rules for nftables are written from the manifests
(nft/), not from anything that Portcullis made of them.
"""
import collections
import concurrent.futures
import functools
import unittest

import answers
import daemon as daemon_module
import matrix
import narrow
import probe as probe_module
import scenario
from nft import manifests, middle, ruleset

LARGE = 6000  # Octets of a datagram or ping: five fragments.
PARALLEL = 64  # Most attempts are denied, which is waiting and no work.
OPEN = "table inet portcullis_peer { }"


def large_lines(lab):
    """The matrix' UDP and pings once more, in fragments."""
    return [line._replace(octets=LARGE) for line in lab.probes
            if line.protocol in ("UDP", "ICMP") and line.port != 53]


def titled(kind, line):
    return (f"{kind}: {line.source} -> {line.destination} {matrix.port_word(line)} "
            f"IPv{line.family}")


def again_if_late(attempt, line, late):
    """As probe.attempt_all(): who is meant to get through and does not tries a second time."""
    ended = attempt(line)
    return attempt(line) if line.allowed and late(ended) else ended


def outcomes(lab):
    """{what was tried: how it ended} of every kind of attempt."""
    seen, _ = probe_module.attempt_all(lab, lab.probes + large_lines(lab), parallel=PARALLEL)
    ended = {titled("fragments" if line.octets else "whole", line): what.reached
             for line, what in seen.items()}

    def note(kind, lines, attempt, late):
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            words = pool.map(lambda line: again_if_late(attempt, line, late), lines)
            ended.update(zip((titled(kind, line) for line in lines), words))

    note("nobody listens", answers.shut_lines(lab),
         lambda line: answers.at_a_shut_port(lab, line), lambda word: word == "silence")
    for what in ("reply", "error"):
        note(f"unasked {what}", answers.unasked_lines(lab),
             functools.partial(answers.unasked, lab, what=what), lambda _: False)
    # One by one: what is learned of a path belongs to a host, not to an attempt.
    for line in lab.narrow_lines():
        ended[titled("path MTU", line)] = again_if_late(
            functools.partial(narrow.attempt, lab), line, lambda outcome: not outcome.reached)
    for line in lab.cuttable_lines():
        ended[titled(f"may be cut, {line.octets} octets", line)] = again_if_late(
            functools.partial(narrow.attempt, lab, discover=narrow.MAY_FRAGMENT), line,
            lambda outcome: not outcome.reached)
    return ended


class NodeOpinion(scenario.LabCase):
    mode = "node"
    form = "maps"
    with_daemon = False
    vdev = daemon_module.PCAP  # What comes in fragments stays in them.
    lab_kind = narrow.NarrowLab

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        lack = middle.lack(cls.lab.node, cls.mode)
        if lack:
            raise unittest.SkipTest(lack)

    def test_every_attempt_ends_alike_by_way_of_nftables_and_of_portcullis(self):
        rules = ruleset.write(manifests.World(self.lab.manifests), self.form)
        with middle.Linux(self.lab, rules):
            linux = outcomes(self.lab)
        daemon = daemon_module.Daemon(self.lab, self.lab.manifests, vdev=self.vdev)
        self.addCleanup(daemon.stop)
        ours = outcomes(self.lab)
        kinds = collections.Counter((title.split(":")[0], ended) for title, ended in linux.items())
        for (kind, ended), count in sorted(kinds.items(), key=str):
            print(f"  {count:4} {kind}: {ended}")
        different = [f"{title}: {ended} by way of nftables, {ours[title]} by way of Portcullis"
                     for title, ended in linux.items() if ours[title] != ended]
        print(f"{len(linux)} attempts compared in mode {self.mode}, {len(different)} differ")
        self.assertEqual(different, [], daemon.log()[-2000:])
        self.assert_worth_its_name(linux)

    def test_what_nobody_asked_for_arrives_where_nothing_filters(self):
        with middle.Linux(self.lab, OPEN):
            for what in ("reply", "error"):
                for line in answers.unasked_lines(self.lab):
                    self.assertEqual(answers.unasked(self.lab, line, what), "arrived", line)

    def assert_worth_its_name(self, ended):
        """Each kind of attempt came to each of its ends, in both families."""
        for family in (4, 6):
            ends = {(title.split(":")[0], word) for title, word in ended.items()
                    if title.endswith(f"IPv{family}")}
            for end in (("whole", True), ("whole", False), ("fragments", True),
                        ("fragments", False), ("nobody listens", "refused"),
                        ("nobody listens", "silence"), ("unasked reply", "silence"),
                        ("unasked error", "silence"),
                        ("path MTU", narrow.Outcome(True, (narrow.MTU, None))),
                        ("path MTU", narrow.Outcome(True, (None, narrow.MTU))),
                        ("path MTU", narrow.Outcome(False, (None, None)))):
                self.assertIn(end, ends, f"IPv{family}")
        for line in self.lab.cuttable_lines():
            title = titled(f"may be cut, {line.octets} octets", line)
            self.assertEqual(ended[title], narrow.Outcome(line.allowed, (None, None)), title)


class WireOpinion(NodeOpinion):
    mode = "wire"
    form = "linear"


if __name__ == "__main__":
    scenario.main()
