# SPDX-License-Identifier: MIT
"""The whole matrix in one mode: matrix_test.py NodeMatrix, or WireMatrix; or with two workers."""
import matrix
import scenario


class NodeMatrix(scenario.LabCase):
    mode = "node"

    def test_clients_see_what_was_meant_and_what_the_policies_say(self):
        result = self.see_matrix()
        # The matrix is worth its name: both families, every protocol, allowed and denied.
        for family in (4, 6):
            for protocol in ("TCP", "UDP", "SCTP", "ICMP"):
                for allowed in (True, False):
                    self.assertTrue(any((line.family, line.protocol, line.allowed)
                                        == (family, protocol, allowed) for line in result.seen),
                                    f"no line for {family} {protocol} {allowed}")

    def test_every_kind_of_denial_is_explained_by_file_and_line(self):
        denied = [line for line in self.lab.probes if not line.allowed and line.family == 4]
        reasons = matrix.Reasons(self.daemon, denied)
        self.assertEqual(reasons.unexplained, [])
        places = {place for _, _, place in reasons.groups}
        self.assertTrue(any("policies/storage.yaml:" in place for place in places), places)


class WireMatrix(NodeMatrix):
    mode = "wire"


class TwoWorkers:
    """Mixed into a matrix: af_packet cannot spread flows, so that workers hand packets over."""

    workers = 2

    def test_clients_see_what_was_meant_and_what_the_policies_say(self):
        super().test_clients_see_what_was_meant_and_what_the_policies_say()
        status = self.daemon.ask("status")
        self.assertEqual({port["spread"] for port in status["ports"]}, {"software"})
        self.assertEqual(len(status["workers"]), 2)
        for worker in status["workers"]:
            for name in ("forwarded", "handed_to_judge", "handed_to_send"):
                self.assertGreater(worker[name], 0, name)
        self.assertNotIn("HANDOVER_FULL", status["drops"])


class NodeMatrixOfTwoWorkers(TwoWorkers, NodeMatrix):
    pass


class WireMatrixOfTwoWorkers(TwoWorkers, WireMatrix):
    pass


if __name__ == "__main__":
    scenario.main()
