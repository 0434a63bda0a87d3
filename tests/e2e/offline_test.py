# SPDX-License-Identifier: MIT
"""The command line without a daemon, on the example shop."""
import json
import os
import tempfile
import unittest

import daemon
import shop


class Offline(unittest.TestCase):
    def ok(self, *words, status=0):
        got, out, error = daemon.cli(*words)
        self.assertEqual(got, status, out + error)
        return out + error

    def test_the_shop_is_valid(self):
        self.ok("validate", "--manifests", shop.SHOP)

    def test_the_shop_does_what_was_meant(self):
        pods = shop.read_pods()
        lines = shop.read_expectations(pods)
        out = self.ok("test", "--default", "deny", "--manifests", shop.SHOP,
                      "--expect", shop.EXPECT)
        self.assertIn(f"{len(lines)} passed, 0 failed", out)

    def test_a_wrong_expectation_fails_with_the_policy_that_decides(self):
        with tempfile.NamedTemporaryFile("w", suffix=".tsv") as file:
            file.write("shop/web-1\tstorage/db-1\tTCP\t5432\tallow\n")
            file.flush()
            out = self.ok("test", "--manifests", shop.SHOP, "--expect", file.name, status=1)
        self.assertIn("0 passed, 1 failed", out)
        self.assertIn("shop/default-deny", out)

    def test_a_denial_is_explained_with_its_nearest_miss(self):
        out = self.ok("explain", "--manifests", shop.SHOP, "--from", "jobs/report-1",
                      "--to", "storage/cache-1", "--port", "7006", "-o", "json", status=1)
        told = json.loads(out)
        self.assertEqual((told["verdict"], told["egress"]["verdict"], told["ingress"]["verdict"]),
                         ("denied", "allowed", "denied"))
        miss = told["ingress"]["near_misses"][0]
        self.assertEqual(miss["policy"], "storage/cache-from-api-and-reports")
        self.assertEqual(os.path.basename(miss["file"]), "storage.yaml")
        self.assertEqual(self.line_of(miss), "  - from:")

    def test_an_allowance_names_the_rule_of_both_ends(self):
        out = self.ok("explain", "--manifests", shop.SHOP, "--from", "shop/api-2",
                      "--to", "storage/billing-1", "--protocol", "SCTP", "--port", "3868",
                      "-o", "json")
        told = json.loads(out)
        self.assertEqual([told[end]["decided_by"]["policy"] for end in ("egress", "ingress")],
                         ["shop/api-to-storage", "storage/billing-from-api"])
        self.assertEqual(told["egress"]["decided_by"]["rule"], 3)

    def test_a_daemons_static_rules_are_tested_before_they_ship(self):
        with open(os.path.join(shop.ROOT, "config", "example.toml"), encoding="utf-8") as file:
            example = file.read()
        with tempfile.NamedTemporaryFile("w", suffix=".toml") as file:
            file.write(example + """
[[static_rules]]
name = "no billing"
action = "deny"
protocol = "sctp"
destination_ports = 3868
""")
            file.flush()
            out = self.ok("explain", "--manifests", shop.SHOP, "--config", file.name,
                          "--from", "shop/api-2", "--to", "storage/billing-1",
                          "--protocol", "SCTP", "--port", "3868", status=1)
        self.assertIn("static rule no billing", out)

    @staticmethod
    def line_of(origin):
        with open(origin["file"], encoding="utf-8") as file:
            return file.read().splitlines()[origin["line"] - 1]


if __name__ == "__main__":
    unittest.main(verbosity=2)
