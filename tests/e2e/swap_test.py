# SPDX-License-Identifier: MIT
"""A hundred swaps under traffic lose and reorder nothing; a new denial reaches running flows."""
import time

import scenario
import stream
import swaps

SWAPS = 100
PATIENCE_S = 20


class NodeSwap(scenario.LabCase):
    mode = "node"

    def swap_under(self, numbered):
        """Runs all the swaps under the streams and one TCP transfer; nothing may be lost."""
        transfer = swaps.Iperf(self.lab)
        for each in numbered:
            self.assertTrue(each.wait_for(100, PATIENCE_S), "the stream does not run")
        before = self.daemon.drops()
        swapped = swaps.swap_many(self.daemon, SWAPS)
        drops = self.daemon.drops()
        figures, moved = [each.stop() for each in numbered], transfer.stop()
        print(f"{self.mode}: {SWAPS} swaps in {swapped.seconds:.1f} s; {figures}; {moved[:2]}")
        for each in figures:
            self.assertGreater(each.sent, 1000)
            self.assertEqual((each.lost, each.reordered, each.duplicates, each.stalls),
                             (0, 0, 0, 0), each)
        self.assertEqual(moved.retransmits, 0)
        self.assertNotIn((0, 0), zip(moved.intervals, moved.intervals[1:]), "iperf3 stood still")
        self.assertEqual(drops, before, "Portcullis dropped packets meanwhile")

    def test_paced_streams_lose_nothing(self):
        self.swap_under([swaps.paced(self.lab, family=4), self.other_paced(family=6)])

    def other_paced(self, family):
        return stream.Stream(self.lab, swaps.OTHER_UDP_ENDS, swaps.OTHER_STATSD_PORT, family, 1000)

    def test_an_unpaced_stream_loses_nothing(self):
        self.swap_under([stream.Stream(self.lab, swaps.UDP_ENDS, swaps.STATSD_PORT, 4)])

    def test_an_unpaced_ipv6_stream_loses_nothing(self):
        self.swap_under([stream.Stream(self.lab, swaps.UDP_ENDS, swaps.STATSD_PORT, 6)])

    def test_both_sets_of_policies_are_enforced_in_turn(self):
        for paths, allowed in (([swaps.shop.SHOP, swaps.AUDIT], True), ([swaps.shop.SHOP], False)):
            self.daemon.commit(paths, "turn")
            for family in (4, 6):
                self.assertEqual(self.reaches(*self.audited_ends(), "TCP", 5432, family=family),
                                 allowed)

    @staticmethod
    def audited_ends():
        return "node-2", "storage/db-1"


class NodeDenial(scenario.LabCase):
    """Apart from the swaps: a transfer that was cut off goes on trying, and its tries are drops."""

    mode = "node"

    def test_a_new_denial_stops_running_flows_and_rollback_lets_them_go_on(self):
        transfer, numbered = swaps.Iperf(self.lab), swaps.paced(self.lab)
        self.addCleanup(numbered.stop)
        self.assertTrue(numbered.wait_for(500, PATIENCE_S))
        before = self.drops_of("POLICY_DENIED")
        flows = self.daemon.ask("commit", *swaps.files_without(swaps.STATSD, swaps.EXPORT))["flows"]
        # The stream, and both connections of iperf3.
        self.assertGreaterEqual(flows["denied"], 3)
        self.assertGreaterEqual(flows["ended"], 3)
        self.assertIsNotNone(numbered.silent_after(0.5, 3), "the stream goes on")
        self.assertGreater(self.drops_of("POLICY_DENIED"), before)
        time.sleep(1)
        moved = transfer.stop()
        self.assertGreater(moved.intervals[0], 0)
        self.assertEqual(moved.intervals[-1], 0, "iperf3 goes on")
        self.assertFalse(self.reaches("jobs/report-1", "storage/db-1", "TCP", 5201))
        status, _, error = self.daemon.cli("rollback")
        self.assertEqual(status, 0, error)
        self.assertTrue(numbered.wait_for(500, PATIENCE_S), "the stream does not come back")
        self.assertTrue(self.reaches("jobs/report-1", "storage/db-1", "TCP", 5201))


    def test_a_change_on_trial_is_undone_by_itself(self):
        numbered = swaps.paced(self.lab)
        self.addCleanup(numbered.stop)
        self.assertTrue(numbered.wait_for(500, PATIENCE_S))
        tried = self.daemon.ask("commit", *swaps.files_without(swaps.STATSD), "--confirm", "3s")
        self.assertIsNotNone(numbered.silent_after(0.5, 3), "the stream goes on")
        self.assertTrue(numbered.wait_for(500, PATIENCE_S), "the stream does not come back")
        status = self.daemon.ask("status")
        self.assertEqual(status["last_undone"]["revision"], tried["revision"])
        self.assertEqual(status["running"]["rollback_to"], tried["trial"]["base"])


class WireSwap(NodeSwap):
    mode = "wire"

    # In wire mode node-2 and the database are on the same side; nothing there crosses Portcullis.
    test_both_sets_of_policies_are_enforced_in_turn = None


class WireDenial(NodeDenial):
    mode = "wire"


class NodeSwapOfTwoWorkers(NodeSwap):
    workers = 2


class WireSwapOfTwoWorkers(WireSwap):
    workers = 2


if __name__ == "__main__":
    scenario.main()
