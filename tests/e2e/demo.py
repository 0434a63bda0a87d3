# SPDX-License-Identifier: MIT
"""The demonstration: the shop behind Portcullis, in node and in wire mode. See scripts/demo."""
import os
import signal
import sys
import time

import daemon as daemon_module
import lab as lab_module
import matrix
import netns
import shop
import swaps

SWAPS = 100


class Failures:
    """What went wrong, told at the end."""

    def __init__(self):
        self.told = []

    def check(self, good, text):
        print(f"  [{'ok' if good else 'FAILED'}] {text}", flush=True)
        if not good:
            self.told.append(text)


def title(text):
    print(f"\n== {text}", flush=True)


def progress(word):
    """A counter on one line, for people; silent where output is no terminal."""
    def show(done, total):
        if sys.stdout.isatty():
            end = "\r" if done < total else "\r" + " " * 60 + "\r"
            print(f"  {word} {done}/{total}", end=end, flush=True)
    return show


def offline(failures):
    title("Offline: do the policies say what was meant?")
    print("  portcullis validate --manifests examples/shop")
    status, out, error = daemon_module.cli("validate", "--manifests", shop.SHOP)
    failures.check(status == 0, "the manifests are valid: " + last_line(out or error))
    print("  portcullis test --default deny --manifests examples/shop "
          "--expect examples/shop/expect.tsv")
    status, out, error = daemon_module.cli("test", "--default", "deny", "--manifests", shop.SHOP,
                                           "--expect", shop.EXPECT)
    failures.check(status == 0, "policies against expect.tsv: " + last_line(out or error))


def last_line(text):
    return text.strip().splitlines()[-1] if text.strip() else ""


def whole_matrix(lab, daemon, failures):
    title(f"{lab.mode} mode: who reaches whom ({len(lab.probes)} attempts by curl, dig, nc, ping "
          "and an SCTP client)")
    begun = time.monotonic()
    result = matrix.run(lab, progress("tried"))
    denied = [line for line in lab.probes if not result.seen[line].reached]
    reasons = matrix.Reasons(daemon, denied)
    print("  yes: reached, over IPv4 and IPv6 alike; no:N: denied, for reason N below"
          "; !: not as meant")
    matrix.show(lab, result, reasons, print)
    print("\n  Reasons, as the running daemon explains them")
    reasons.show(print)
    print()
    for line in result.wrong[:20]:
        print(f"  not as meant: {line.source} -> {line.destination} {matrix.port_word(line)} "
              f"IPv{line.family}: {result.seen[line]}")
    families = {family: sum(line.family == family for line in lab.probes) for family in (4, 6)}
    failures.check(not result.wrong, f"clients saw what was meant (expect.tsv): "
                   f"{len(lab.probes) - len(result.wrong)} of {len(lab.probes)} "
                   f"({families[4]} over IPv4, {families[6]} over IPv6)")
    failures.check(result.policies_agree,
                   "clients saw what the policies say: " + last_line(result.policies))
    failures.check(not reasons.unexplained,
                   f"the daemon explains each of the {len(denied)} denials")
    print(f"  took {time.monotonic() - begun:.0f} s; {result.late} answers came at a second try")


def swap_under_traffic(lab, daemon, failures):
    title(f"{lab.mode} mode: {SWAPS} policy swaps under traffic")
    transfer, numbered = swaps.Iperf(lab), swaps.paced(lab)
    failures.check(numbered.wait_for(1000, 5), "UDP at 2000 a second and iperf3 run")
    before = daemon.drops()
    swapped = swaps.swap_many(daemon, SWAPS, progress("swapped"))
    dropped = {reason: count - before.get(reason, 0) for reason, count in daemon.drops().items()
               if count > before.get(reason, 0)}
    figures, moved = numbered.stop(), transfer.stop()
    print(f"  {swapped.count} swaps in {swapped.seconds:.1f} s")
    failures.check(
        figures.lost == 0 and figures.reordered == 0 and figures.sent > 0,
        f"UDP: {figures.sent} sent, {figures.received} received, {figures.lost} lost, "
        f"{figures.reordered} reordered, {figures.duplicates} twice")
    failures.check(
        moved.retransmits == 0 and moved.intervals and min(moved.intervals[:-1] or [0]) > 0,
        f"iperf3: {moved.megabytes:.0f} MB, {moved.retransmits} packets sent again, slowest half "
        f"second {min(moved.intervals[:-1] or [0]) / 62500:.0f} Mbit/s")
    failures.check(not dropped, f"packets dropped by Portcullis meanwhile: {dropped or 'none'}")


def deny_running_flows(lab, daemon, failures):
    title(f"{lab.mode} mode: a running flow is denied, then allowed again")
    transfer, numbered = swaps.Iperf(lab), swaps.paced(lab)
    failures.check(numbered.wait_for(1000, 5), "UDP at 2000 a second and iperf3 run")
    print(f"  commit without policies/{swaps.STATSD} and policies/{swaps.EXPORT}")
    daemon.commit(swaps.files_without(swaps.STATSD, swaps.EXPORT), "lock down")
    committed = numbered.received
    stopped = numbered.silent_after(0.5, 3)
    failures.check(stopped is not None, "the UDP stream stopped"
                   + (f", {numbered.received - committed} datagrams after the commit returned"
                      if stopped is not None else ": no"))
    time.sleep(0.7)
    moved = transfer.stop()
    failures.check(bool(moved.intervals) and moved.intervals[0] > 0 and moved.intervals[-1] == 0,
                   "iperf3 stopped: bytes by half second "
                   + " ".join(str(part) for part in moved.intervals))
    status, _, error = daemon.cli("rollback")
    failures.check(status == 0 and numbered.wait_for(1000, 5),
                   f"portcullis rollback: the UDP stream runs again {error.strip()}")
    numbered.stop()


def play(mode, failures):
    with netns.Run("shop") as run:
        title(f"{mode} mode: namespaces, servers, daemon")
        begun = time.monotonic()
        lab = lab_module.Lab(run, mode)
        daemon = daemon_module.Daemon(lab)
        print(f"  {len(lab.pods)} pods and the outside; portcullisd enforces examples/shop, ready "
              f"after {time.monotonic() - begun:.1f} s")
        whole_matrix(lab, daemon, failures)
        swap_under_traffic(lab, daemon, failures)
        deny_running_flows(lab, daemon, failures)
        failures.check(daemon.stop() == 0, "the daemon ended in order")


def main():
    def interrupted(number, _):
        signal.signal(number, signal.SIG_IGN)  # Once is enough: what follows is cleaning up.
        raise KeyboardInterrupt

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, interrupted)
    failures, begun = Failures(), time.monotonic()
    try:
        offline(failures)
        for mode in sys.argv[1:] or ("node", "wire"):
            play(mode, failures)
    except netns.Unavailable as problem:
        print(f"demo: {problem}", file=sys.stderr)
        return 2
    except daemon_module.StartFailure as problem:
        print(f"demo: portcullisd did not start:\n{problem}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\ndemo: interrupted; everything it started is gone", file=sys.stderr)
        return 130
    title(f"{time.monotonic() - begun:.0f} s: " + (
        "clients, policies and intent agree everywhere; no packet was lost" if not failures.told
        else f"{len(failures.told)} failed"))
    for text in failures.told:
        print(f"  FAILED: {text}")
    return 1 if failures.told else 0


if __name__ == "__main__":
    os.chdir(shop.ROOT)
    sys.exit(main())
