# SPDX-License-Identifier: MIT
"""iperf3 through Portcullis and through Linux' nftables under the same policies, in one run.

    beside_nftables.py [--policies N] [--pods N] [--rounds N] [--seconds N]
Two pods of the shop in namespaces, the node between them (mode node), and around them a crowd of
pods and policies (nft/crowd.py). Contestants take turns round by round. bench/README.md says how
to read what is printed.
"""
import argparse
import collections
import json
import os
import platform
import socket
import statistics
import subprocess
import sys
import time

import daemon as daemon_module
import lab as lab_module
import netns
import shop
import swaps
from nft import crowd, manifests, middle, ruleset

CONNECTS = 200
CONNECT_PORT = 5201
OPEN = "table inet portcullis_peer { }"

# `middle` makes what stands between the pods; `whole`: whether they hand over segments of 64 KB.
Contestant = collections.namedtuple("Contestant", "name middle whole")
# Megabits a second from client to server and back (iperf3 -R), and how long connect() takes.
Taken = collections.namedtuple("Taken", "forward backward resent connect_us ready_s")


class Portcullis:
    """with Portcullis(lab, paths): ... as middle.Linux."""

    shown = False

    def __init__(self, lab, paths):
        self.lab, self.paths, self.daemon = lab, paths, None

    def __enter__(self):
        self.daemon = daemon_module.Daemon(self.lab, self.paths)
        if not Portcullis.shown:
            ready = next(line for line in self.daemon.log().splitlines() if " ready: " in line)
            print("portcullis:" + ready.split(" ready:")[1].rsplit(", socket", 1)[0])
            Portcullis.shown = True

    def __exit__(self, *_):
        self.daemon.stop()


def iperf(lab, seconds, *options):
    """(Mbit/s that arrived, segments sent again) of one TCP transfer."""
    client, server = swaps.TCP_ENDS
    listener = lab.run.start(lab.namespaces[server],
                             ["iperf3", "-s", "-1", "-p", str(swaps.IPERF_PORT)],
                             stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        time.sleep(0.3)
        done = netns.inside(lab.namespaces[client], lambda: subprocess.run(
            ["iperf3", "-c", lab.addresses(server)[0], "-B", lab.addresses(client)[0], "-J",
             "-p", str(swaps.IPERF_PORT), "-t", str(seconds), "-O", "1", *options],
            capture_output=True, text=True, check=False, timeout=seconds + 20))
        told = json.loads(done.stdout)
        if "error" in told:
            raise RuntimeError(f"iperf3: {told['error']}")
        return (told["end"]["sum_received"]["bits_per_second"] / 1e6,
                told["end"]["sum_sent"].get("retransmits", 0))
    finally:
        netns.stop(listener)


def connect_us(lab):
    """The median time of connect(), each a new flow that the whole of the rules must judge."""
    client, server = swaps.TCP_ENDS
    address = lab.addresses(server)[0]

    def body():
        times = []
        for _ in range(CONNECTS):
            with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as one:
                one.settimeout(5)
                begun = time.perf_counter()
                one.connect((address, CONNECT_PORT))
                times.append(1e6 * (time.perf_counter() - begun))
        return statistics.median(times)
    return netns.inside(lab.namespaces[client], body)


def take(lab, contestant, seconds):
    for name in swaps.TCP_ENDS:
        lab_module.offload(lab.namespaces[name], contestant.whole)
    begun = time.monotonic()
    with contestant.middle():
        ready_s = time.monotonic() - begun
        connect = connect_us(lab)  # First: neighbours are found meanwhile, too.
        forward, resent = iperf(lab, seconds)
        backward, resent_back = iperf(lab, seconds, "-R")
    return Taken(forward, backward, resent + resent_back, connect, ready_s)


def contestants(lab, paths):
    world = manifests.World(paths)
    # The shop's policies stand in the middle: a linear chain is gone through by half.
    crowded = [policy for policy in world.policies if policy.name.startswith("team-")]
    half = len(crowded) // 2
    world.policies = (crowded[:half] + [policy for policy in world.policies
                                        if not policy.name.startswith("team-")] + crowded[half:])
    tables = {form: ruleset.write(world, form) for form in ruleset.FORMS}
    for form, text in tables.items():
        rules = sum(line.endswith((" accept", " return", " drop")) for line in text.splitlines())
        print(f"nftables, {form}: {rules} rules, {len(text) >> 10} KiB of text")
    maps, linear = (lambda form=form: middle.Linux(lab, tables[form]) for form in ruleset.FORMS)
    return [Contestant("portcullis", lambda: Portcullis(lab, paths), False),
            Contestant("nftables_maps", maps, False),
            Contestant("nftables_linear", linear, False),
            Contestant("no_filter", lambda: middle.Linux(lab, OPEN), False),
            Contestant("nftables_maps_segments", maps, True)]


def report(taken):
    print(f"\n{'':24}{'forward':>10}{'back (-R)':>11}{'resent':>8}{'connect':>10}{'ready':>8}")
    print(f"{'':24}{'Mbit/s':>10}{'Mbit/s':>11}{'':>8}{'us':>10}{'s':>8}")
    middles = {name: Taken(*map(statistics.median, zip(*rounds)))
               for name, rounds in taken.items()}
    for name, one in middles.items():
        print(f"{name:24}{one.forward:10.0f}{one.backward:11.0f}{one.resent:8.0f}"
              f"{one.connect_us:10.0f}{one.ready_s:8.1f}")
    print()
    for name, one in middles.items():
        print(f"MEASURED iperf3_{name}_forward {one.forward:.0f} Mbit/s")
        print(f"MEASURED iperf3_{name}_backward {one.backward:.0f} Mbit/s")
        print(f"MEASURED connect_{name} {one.connect_us:.0f} us")
    for form in ruleset.FORMS:
        for way in ("forward", "backward"):
            share = (getattr(middles["portcullis"], way)
                     / getattr(middles[f"nftables_{form}"], way))
            print(f"MEASURED iperf3_portcullis_over_nftables_{form}_{way} {share:.2f} x")


def measure(options):
    with netns.Run("beside") as run:
        lab = lab_module.Lab(run, "node")
        lack = middle.lack(lab.node, "node")
        if lack:
            raise netns.Unavailable(lack)
        folder = os.path.join(run.folder, "crowd")
        os.mkdir(folder)
        paths = (shop.SHOP, crowd.write(folder, options.pods, options.policies))
        print(f"{options.policies} policies and {options.pods} pods beside the shop's; "
              f"iperf3 over TCP, {options.seconds} s, the median of {options.rounds} rounds")
        print(f"Linux {platform.release()}, {len(os.sched_getaffinity(0))} processors, "
              f"load average {os.getloadavg()[0]:.2f}")
        taken = collections.defaultdict(list)
        group = contestants(lab, paths)
        for number in range(options.rounds):
            for contestant in group:
                one = take(lab, contestant, options.seconds)
                taken[contestant.name].append(one)
                print(f"round {number + 1}: {contestant.name}: {one.forward:.0f} and "
                      f"{one.backward:.0f} Mbit/s, connect {one.connect_us:.0f} us", flush=True)
        report(taken)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--policies", type=int, default=10_000)
    parser.add_argument("--pods", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=3)
    try:
        measure(parser.parse_args())
    except netns.Unavailable as problem:
        print(f"bench-nftables: {problem}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
