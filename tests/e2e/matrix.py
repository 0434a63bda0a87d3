# SPDX-License-Identifier: MIT
"""The whole matrix: what clients saw, what the policies say, what was meant; and how to show it."""
import collections
import concurrent.futures
import os

import daemon as daemon_module
import probe as probe_module
import shop

COLUMNS = 7  # Of one table, so that it fits a terminal.

# `wrong`: lines where clients saw something else than expect.tsv says. `policies`: what
# `portcullis test` prints when it is given what the clients saw.
Result = collections.namedtuple("Result", "seen wrong policies_agree policies late")
# `nearness`: how telling it is as an example; 0 where a rule allows the peer but not the port.
Reason = collections.namedtuple("Reason", "direction policy place text nearness example")


def word(name, address, family):
    """How expect.tsv calls one end, so that the line is about this family."""
    return name if family == 4 and "/" in name else address


def run(lab, progress=None):
    """Tries every line and asks the policies whether they would have let the same lines through."""
    seen, late = probe_module.attempt_all(lab, lab.probes, progress)
    path = os.path.join(lab.run.folder, "seen.tsv")
    with open(path, "w", encoding="utf-8") as file:
        for line, what in seen.items():
            words = (word(line.source, line.source_address, line.family),
                     word(line.destination, line.destination_address, line.family),
                     line.protocol, str(line.port) if line.port else "-",
                     "allow" if what.reached else "deny")
            file.write("\t".join(words) + "\n")
    status, out, error = daemon_module.cli("test", "--default", "deny", "--manifests", shop.SHOP,
                                           "--expect", path)
    wrong = [line for line, what in seen.items() if what.reached != line.allowed]
    return Result(seen, wrong, status == 0, out + error, late)


def explain(daemon, line):
    """The running daemon's reason for one denied line."""
    port = ["--port", str(line.port)] if line.port else []
    told = daemon.ask("explain", "--from", line.source_address, "--to", line.destination_address,
                      "--protocol", line.protocol, *port)
    if told["verdict"] != "denied":
        return None
    direction = "egress" if told["egress"]["verdict"] == "denied" else "ingress"
    part = told[direction]
    origin, misses = part["decided_by"], part["near_misses"]
    text, nearness = part["reason"].replace(shop.ROOT + "/", ""), 3
    if misses:
        text += f"; nearest miss: {place(misses[0])} {misses[0]['text']}"
        nearness = 0 if misses[0]["peer_fits"] else 1 if misses[0]["port_fits"] else 2
    return Reason(direction, origin["policy"] if origin else "", place(origin) if origin else "",
                  text, nearness, line)


def place(origin):
    """FILE:LINE, from the root of the repository."""
    path = os.path.relpath(origin["file"], shop.ROOT) if os.path.isabs(origin["file"]) \
        else origin["file"]
    return f"{path}:{origin['line']}"


class Reasons:
    """Numbered reasons for denials: one a policy and direction, with all its lines."""

    def __init__(self, daemon, lines):
        self.numbers, self.groups, self.unexplained = {}, collections.OrderedDict(), []
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            for line, reason in zip(lines, pool.map(lambda each: explain(daemon, each), lines)):
                if reason is None:
                    self.unexplained.append(line)
                    continue
                key = (reason.direction, reason.policy, reason.place or "no policy")
                group = self.groups.setdefault(key, [])
                group.append(reason)
                self.numbers[line] = list(self.groups).index(key) + 1

    def show(self, out):
        for number, ((direction, policy, where), group) in enumerate(self.groups.items(), 1):
            title = f"{policy} ({where})" if policy else "no policy: the default, Zero Trust"
            out(f"  no:{number:<3}{direction} denied by {title}, {len(group)} lines")
            telling = min(group, key=lambda reason: reason.nearness)
            line = telling.example
            out(f"        {line.source} -> {line.destination} {port_word(line)}: {telling.text}")


def port_word(line):
    return line.protocol.lower() + (f"/{line.port}" if line.port else "")


def cell(marks):
    """One mark where the families agree, both where not."""
    return marks[0] if len(set(marks)) == 1 else "|".join(marks)


def show(lab, result, reasons, out):
    """Tables by destination namespace: a row a source, a column a destination and port."""
    groups = collections.OrderedDict()
    for line in lab.probes:
        where = line.destination.split("/")[0] if "/" in line.destination else "outside"
        groups.setdefault(where, []).append(line)
    for where, lines in groups.items():
        columns = list(collections.OrderedDict.fromkeys(
            (line.destination, line.protocol, line.port) for line in lines))
        cells = collections.defaultdict(list)
        for line in lines:
            mark = "yes" if result.seen[line].reached else f"no:{reasons.numbers.get(line, '?')}"
            mark += "!" if line in result.wrong else ""
            cells[line.source, (line.destination, line.protocol, line.port)].append(mark)
        for first in range(0, len(columns), COLUMNS):
            _show_table(lab, where, columns[first:first + COLUMNS], cells, out)


def _show_table(lab, where, columns, cells, out):
    names = [name.split("/")[-1] for name, _, _ in columns]
    ports = [protocol.lower() + (f"/{port}" if port else "") for _, protocol, port in columns]
    width = 2 + max(map(len, names + ports))
    out(f"\n  to {where}")
    for words in (names, ports):
        out("  " + " " * 24 + "".join(f"{each:>{width}}" for each in words))
    for source in list(lab.pods) + list(shop.OUTSIDE):
        marks = [cells.get((source, column)) for column in columns]
        if any(marks):
            out(f"  {source:24}" + "".join(f"{cell(m) if m else '':>{width}}" for m in marks))
