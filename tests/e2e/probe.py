# SPDX-License-Identifier: MIT
"""Real clients: curl, nc, dig, ping, and SCTP by hand. One call tries one line of the matrix.

A denied client hears nothing, so waiting is all the cost: probes run side by side.
"""
import collections
import concurrent.futures
import select
import subprocess
import time

import netns
import sctp

PATIENCE_S = 1.4  # Longer than TCP's first retransmission, after one second.
PARALLEL = 32
HTTP_PORTS = (22, 80, 8080, 9090, 9100, 9101, 9153, 9187)
NAME = "web-1.shop.example"

# `reached`: the right host answered. `remark`: what the client said where that is of interest.
Seen = collections.namedtuple("Seen", "reached remark")


def _run(command, text=""):
    try:
        done = subprocess.run(command, input=text, capture_output=True, text=True, check=False,
                              timeout=PATIENCE_S)
        return done.returncode, done.stdout.strip(), done.stderr.strip()
    except subprocess.TimeoutExpired:
        return None, "", "no answer"


def _said(probe):
    """What a client says: a line as long as the probe wants it."""
    return "hello".ljust(probe.octets - 1) + "\n"


def _curl(probe):
    host = f"[{probe.destination_address}]" if probe.family == 6 else probe.destination_address
    upload = ["--data-binary", "@-", "-H", "Expect:"] if probe.octets else []
    _, out, error = _run(["curl", "-gsS", "--max-time", str(PATIENCE_S), "--noproxy", "*",
                          "--interface", probe.source_address, *upload,
                          f"http://{host}:{probe.port}/"], _said(probe))
    return out, error


def _nc_tcp(probe):
    _, out, error = _run(["nc", "-w", "2", "-s", probe.source_address, probe.destination_address,
                          str(probe.port)], _said(probe))
    return out, error


def _nc_udp(probe):
    """A datagram may be lost, so it is said three times, as any real client would."""
    with subprocess.Popen(["nc", "-u", "-s", probe.source_address, probe.destination_address,
                           str(probe.port)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                          stderr=subprocess.DEVNULL) as process:
        try:
            for _ in range(3):
                process.stdin.write(_said(probe).encode())
                process.stdin.flush()
                if select.select([process.stdout], [], [], PATIENCE_S / 4)[0]:
                    return process.stdout.readline().decode().strip(), ""
            return "", "no answer"
        except BrokenPipeError:
            return "", "refused"
        finally:
            process.kill()


def _dig(probe):
    status, out, error = _run(
        ["dig", "+short", "+time=1", "+tries=1", "-b", probe.source_address,
         f"@{probe.destination_address}", NAME, "A",
         "+tcp" if probe.protocol == "TCP" else "+notcp"])
    return (out, error) if status == 0 else ("", out or error)


def _ping(probe):
    size = ["-s", str(probe.octets)] if probe.octets else []
    status, _, error = _run(["ping", "-n", "-c", "1", "-w", "1", "-I", probe.source_address, *size,
                             probe.destination_address])
    return ("pong" if status == 0 else ""), error


def client(probe):
    """The tool that tries a line, by name and by function."""
    if probe.protocol == "ICMP":
        return "ping", _ping
    if probe.protocol == "SCTP":
        return "sctp", None
    if probe.port == 53:
        return "dig", _dig
    if probe.protocol == "UDP":
        return "nc", _nc_udp
    return ("curl", _curl) if probe.port in HTTP_PORTS or probe.octets else ("nc", _nc_tcp)


def identity(lab, probe):
    """What the right host answers."""
    if probe.protocol == "ICMP":
        return "pong"
    if probe.port == 53:
        return lab.addresses("shop/web-1")[0]
    return probe.destination if probe.destination in lab.pods else "outside"


def attempt(lab, probe):
    """Tries once. Runs in a thread of its own: it moves into the client's namespace."""
    netns.enter(lab.namespaces[probe.source])
    if probe.protocol == "SCTP":
        reached = sctp.associate(probe.source_address, probe.destination_address, probe.port,
                                 PATIENCE_S / 2, finished=not lab.leaves_checksums)
        return Seen(reached, "")
    answer, remark = client(probe)[1](probe)
    if answer and answer != identity(lab, probe):
        return Seen(False, f"somebody else answered: {answer!r}")
    return Seen(bool(answer), remark)


def attempt_all(lab, probes, progress=None, parallel=PARALLEL):
    """Tries every line, many at a time. Gives {probe: Seen} and how many had to be tried twice.

    A client that should have got through and did not tries again, as people do: on a busy machine
    an answer can come too late. Nothing that should be denied is tried twice.
    """
    seen = {}
    pool = concurrent.futures.ThreadPoolExecutor(parallel)
    try:
        futures = {pool.submit(attempt, lab, probe): probe for probe in probes}
        for done, future in enumerate(concurrent.futures.as_completed(futures), 1):
            seen[futures[future]] = future.result()
            if progress:
                progress(done, len(probes))
        late = [probe for probe, what in seen.items() if probe.allowed and not what.reached]
        time.sleep(0.2 if late else 0)
        for probe, what in zip(late, pool.map(lambda probe: attempt(lab, probe), late)):
            seen[probe] = what
    finally:
        pool.shutdown(cancel_futures=True)  # After an interruption nobody waits for the rest.
    return seen, len(late)
