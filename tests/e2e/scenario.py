# SPDX-License-Identifier: MIT
"""What the end-to-end tests share: a lab with a daemon per test class, and the way to skip."""
import os
import sys
import unittest

import daemon as daemon_module
import lab as lab_module
import matrix
import netns
import probe as probe_module
import shop

SKIPPED = 77  # Meson's word for it.


class LabCase(unittest.TestCase):
    """One lab of `mode` for all tests of a class; `with_daemon` False leaves the middle empty."""

    mode = "node"
    workers = 1
    with_daemon = True
    vdev = daemon_module.AF_PACKET
    reject = "drop"
    lab_kind = lab_module.Lab

    @classmethod
    def setUpClass(cls):
        cls.run_ = netns.Run("pce2e")
        cls.addClassCleanup(cls.run_.close)
        cls.lab = cls.lab_kind(cls.run_, cls.mode)
        cls.lab.workers = cls.workers
        if cls.with_daemon:
            cls.daemon = daemon_module.Daemon(cls.lab, vdev=cls.vdev, reject=cls.reject)

    def line(self, source, destination, protocol, port=0, family=4):
        """One line of the matrix by its ends, also one that expect.tsv does not have."""
        word = shop.WORDS[family]
        return shop.Probe(source, destination, protocol, port, family,
                          self.lab.addresses(source)[word], self.lab.addresses(destination)[word],
                          True)

    def reaches(self, *ends_and_port, family=4):
        line = self.line(*ends_and_port, family=family)
        seen, _ = probe_module.attempt_all(self.lab, [line])
        return seen[line].reached

    def see_matrix(self):
        """Tries every line: all is as meant, as the policies say, and denials are counted."""
        before = self.drops_of("POLICY_DENIED")
        result = matrix.run(self.lab)
        wrong = [(line.source, line.destination, matrix.port_word(line), line.family,
                  result.seen[line]) for line in result.wrong]
        self.assertEqual(wrong, [], self.daemon.log()[-2000:])
        self.assertTrue(result.policies_agree, result.policies)
        denied = [line for line in result.seen if not line.allowed]
        self.assertGreaterEqual(self.drops_of("POLICY_DENIED") - before, len(denied))
        return result

    def drops_of(self, reason):
        return self.daemon.drops().get(reason, 0)


def main():
    """Runs the tests of the calling file, or says why it cannot."""
    if not os.path.exists(daemon_module.DAEMON):
        sys.exit(f"there is no {daemon_module.DAEMON}; set PORTCULLIS_BUILD to a build folder")
    try:
        with netns.Run("pcprobe") as run:
            run.namespace("try")
    except netns.Unavailable as reason:
        print(f"skipped: {reason}")
        sys.exit(SKIPPED)
    result = unittest.main(verbosity=2, exit=False).result
    if not result.wasSuccessful():
        sys.exit(1)
    # A class that this kernel cannot run skips itself; Meson hears of it where nothing was left.
    sys.exit(SKIPPED if result.skipped and result.testsRun <= len(result.skipped) else 0)
