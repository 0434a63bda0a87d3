# SPDX-License-Identifier: MIT
"""What tests share in which one pod's port comes and goes: the lab without it, and who reaches it."""
import lab as lab_module
import probe as probe_module
import scenario

LATE = "storage/cache-1"
PORT = "cache-1"
PARALLEL = 8  # A stream beside it wants some of the processor, too.


class LabWithoutOne(lab_module.Lab):
    """The shop on a node whose configuration does not know one of its pods."""

    def __init__(self, run, mode):
        super().__init__(run, mode)
        self.probes = [line for line in self.probes if LATE in (line.source, line.destination)]

    def port_tables(self):
        return [table for table in super().port_tables() if table[0] != PORT]


class LatePod(scenario.LabCase):
    mode = "node"
    lab_kind = LabWithoutOne

    def port(self, *words):
        status, out, error = self.daemon.cli("port", *words)
        self.assertEqual(status, 0, error or out)

    def add(self, vdev):
        addresses = [word for one in self.lab.addresses(LATE) for word in ("--address", one)]
        self.port("add", PORT, "--vdev", vdev, *addresses)

    def remove(self):
        self.port("remove", PORT)

    def names(self):
        return [port["name"] for port in self.daemon.ask("port", "list")["ports"]]

    def see(self, is_there, lines=None):
        """Tries every line that the pod is an end of: none works, or those that policy allows."""
        seen, _ = probe_module.attempt_all(self.lab, lines or self.lab.probes, parallel=PARALLEL)
        wrong = [(line.source, line.destination, line.protocol, line.port, line.family, what)
                 for line, what in seen.items() if what.reached != (line.allowed and is_there)]
        self.assertEqual(wrong, [], self.daemon.log()[-2000:])

    def reaches_nothing(self):
        """Of the lines that policy allows; the others would tell nothing."""
        lines = [line._replace(allowed=False) for line in self.lab.probes if line.allowed]
        seen, _ = probe_module.attempt_all(self.lab, lines, parallel=PARALLEL)
        self.assertEqual([line for line, what in seen.items() if what.reached], [])
