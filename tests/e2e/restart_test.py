# SPDX-License-Identifier: MIT
"""A daemon with a state folder is killed, again and again, and goes on where it was.

    PORTCULLIS_KILLS    how often the daemon is killed amid commits; 4 unless said
"""
import glob
import os
import random
import threading
import time

import daemon as daemon_module
import scenario
import shop
import swaps

KILLS = int(os.environ.get("PORTCULLIS_KILLS", "4"))
# A way that the policies of one file open, and one that others do.
TAKEN_AWAY = "monitoring.yaml"
DENIED = ("monitoring/prometheus-1", "shop/web-1", "TCP", 9100)
KEPT = ("shop/api-1", "storage/db-1", "TCP", 5432)


class Committer(threading.Thread):
    """Commits the shop with and without the audit policy in turn, until the daemon is gone."""

    def __init__(self, daemon):
        super().__init__()
        self.daemon_ = daemon
        self.acknowledged = []  # Revision and digest, as the daemon said them.

    def run(self):
        for turn in range(1_000_000):
            paths = [shop.SHOP, swaps.AUDIT] if turn % 2 == 0 else [shop.SHOP]
            try:
                answer = self.daemon_.ask("commit", *paths)
            except RuntimeError:
                return
            self.acknowledged.append((answer["revision"], answer["digest"]))


class Restart(scenario.LabCase):
    mode = "wire"
    with_daemon = False

    def setUp(self):
        self.state = os.path.join(self.run_.folder, self._testMethodName)

    def start(self):
        daemon = daemon_module.Daemon(self.lab, extra=f'state = "{self.state}"')
        self.addCleanup(daemon.stop)
        return daemon

    @staticmethod
    def kill(daemon):
        daemon.process.kill()
        daemon.process.wait()

    def test_what_was_committed_is_enforced_again_from_the_first_packet(self):
        daemon = self.start()
        self.assertTrue(self.reaches(*DENIED))
        daemon.commit(swaps.files_without(TAKEN_AWAY), "no monitoring")
        before = daemon.ask("status")["running"]
        self.kill(daemon)
        daemon = self.start()
        after = daemon.ask("status")["running"]
        self.assertEqual({name: before[name] for name in ("revision", "digest", "time", "comment")},
                         {name: after[name] for name in ("revision", "digest", "time", "comment")})
        self.assertFalse(self.reaches(*DENIED))
        self.assertTrue(self.reaches(*KEPT))
        status, out, error = daemon.cli("rollback", "1")
        self.assertEqual(status, 0, out + error)
        self.assertTrue(self.reaches(*DENIED))

    def test_a_trial_ends_with_the_daemon(self):
        daemon = self.start()
        status, out, error = daemon.cli("commit", *swaps.files_without(TAKEN_AWAY),
                                        "--confirm", "10m")
        self.assertEqual(status, 0, out + error)
        self.kill(daemon)
        daemon = self.start()
        self.assertIn("revision 2 was not confirmed", daemon.ask("status")["running"]["comment"])
        self.assertTrue(self.reaches(*DENIED))

    def test_a_damaged_content_gives_way_to_the_one_before(self):
        daemon = self.start()
        first = daemon.ask("status")["running"]["digest"]
        known = set(glob.glob(os.path.join(self.state, "contents", "*")))
        daemon.commit([shop.SHOP, swaps.AUDIT], "audit")
        self.kill(daemon)
        (newest,) = set(glob.glob(os.path.join(self.state, "contents", "*"))) - known
        with open(newest, "r+b") as file:
            file.truncate(1000)
        daemon = self.start()
        self.assertEqual(daemon.ask("status")["running"]["digest"], first)
        self.assertIn("is damaged", daemon.log())

    def test_no_acknowledged_commit_is_lost_by_a_kill(self):
        chance = random.Random(20261127)
        daemon = self.start()
        both = {daemon.ask("status")["running"]["digest"],
                daemon.ask("commit", shop.SHOP, swaps.AUDIT)["digest"]}
        for _ in range(KILLS):
            committer = Committer(daemon)
            committer.start()
            deadline = time.monotonic() + 20
            while not committer.acknowledged and time.monotonic() < deadline:
                time.sleep(0.005)
            time.sleep(chance.uniform(0, 0.3))
            self.kill(daemon)
            committer.join()
            last, digest = committer.acknowledged[-1]
            daemon = self.start()
            running = daemon.ask("status")["running"]
            self.assertIn(running["revision"], (last, last + 1))
            meant = digest if running["revision"] == last else (both - {digest}).pop()
            self.assertEqual(running["digest"], meant)


if __name__ == "__main__":
    scenario.main()
