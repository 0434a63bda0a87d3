# SPDX-License-Identifier: MIT
"""When things go wrong: a daemon that cannot start, a commit that cannot be, a daemon that dies."""
import os
import time

import daemon as daemon_module
import scenario
import shop
import swaps

PATIENCE_S = 20


class Faults(scenario.LabCase):
    mode = "wire"
    with_daemon = False

    def write(self, name, text):
        path = os.path.join(self.run_.folder, name)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        return path

    def start(self, manifests=(shop.SHOP,), extra=""):
        daemon = daemon_module.Daemon(self.lab, manifests, extra)
        self.addCleanup(daemon.stop)
        return daemon

    def assert_no_start(self, words, **options):
        with self.assertRaises(daemon_module.StartFailure) as failure:
            self.start(**options)
        for word in words:
            self.assertIn(word, str(failure.exception))

    def test_an_unknown_key_stops_the_start_with_its_line(self):
        self.assert_no_start(["portcullis.toml:", "flow_max", "flows_max"],
                             extra="[conntrack]\nflow_max = 100")

    def test_a_wrong_manifest_stops_the_start_with_its_line(self):
        wrong = self.write("wrong.yaml", "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\n"
                           "metadata: {name: a}\nspec: {podSelector: {}, ingres: []}\n")
        self.assert_no_start(["wrong.yaml:4", "ingres"], manifests=[wrong])

    def test_a_manifest_that_is_not_there_stops_the_start(self):
        self.assert_no_start(["nowhere.yaml"], manifests=["nowhere.yaml"])

    def test_a_device_that_is_not_there_stops_the_start_with_the_ports_name(self):
        tables = self.lab.port_tables
        self.lab.port_tables = lambda: [(name, "absent0", role, addresses)
                                        for name, _, role, addresses in tables()]
        self.addCleanup(setattr, self.lab, "port_tables", tables)
        self.assert_no_start(["left", "absent0"])

    def test_a_commit_with_an_error_changes_nothing(self):
        daemon = self.start()
        before = daemon.ask("status")
        wrong = self.write("bad.yaml", "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\n"
                           "metadata: {name: a, namespace: shop}\n"
                           "spec: {podSelector: {}, policyTypes: [Sideways]}\n")
        status, out, error = daemon.cli("commit", shop.SHOP, wrong)
        self.assertEqual(status, 2)
        self.assertIn("bad.yaml:4", out + error)
        after = daemon.ask("status")
        self.assertEqual((before["epoch"], before["running"]["digest"]),
                         (after["epoch"], after["running"]["digest"]))
        self.assertIn("Sideways", after["last_refused"]["message"])
        self.assertTrue(self.reaches("shop/api-1", "storage/db-1", "TCP", 5432))

    def test_a_killed_daemon_lets_nothing_through_and_a_new_one_takes_over(self):
        daemon = self.start()
        numbered = swaps.paced(self.lab)
        self.addCleanup(numbered.stop)
        self.assertTrue(numbered.wait_for(500, PATIENCE_S))
        daemon.process.kill()
        daemon.process.wait()
        time.sleep(0.3)
        count = numbered.received
        time.sleep(1)
        self.assertEqual(numbered.received, count, "packets pass without a daemon")
        self.assertFalse(self.reaches("shop/api-1", "storage/db-1", "TCP", 5432))
        self.start()
        self.assertTrue(numbered.wait_for(500, PATIENCE_S), "the stream does not come back")
        self.assertFalse(self.reaches("guest/intruder-1", "storage/db-1", "TCP", 5432))

    def test_sigterm_ends_it_in_order(self):
        daemon = self.start()
        self.assertEqual(daemon.stop(), 0)
        self.assertFalse(os.path.exists(daemon.socket))


if __name__ == "__main__":
    scenario.main()
