# SPDX-License-Identifier: MIT
"""How long a change of one pod or one policy takes, beside what Linux' filters take for the same.

    edit_latency.py [--pods N ...] [--rounds N]
A wire between two null devices, or one that a capture of flows between pods keeps busy, with so
many pods, and a tenth as many policies. Ours: from the write on the control socket to the answer,
when every worker has it; with control.state also the disk. Linux': the command with its change on
standard input, from its start to its end; there is no daemon to speak to. bench/README.md says how
to read what is printed.
"""
import argparse
import collections
import json
import os
import shutil
import socket
import statistics
import struct
import subprocess
import sys
import threading
import time

import daemon as daemon_module
import netns

APPS = 50  # Labels by which policies tell pods apart, in each namespace.
NAMESPACES = 20
PODS_A_FILE = 5000
READY_S = 300
FRAMES = 2000
AT_ONCE_S = 10

Row = collections.namedtuple("Row", "who change state milliseconds")


def address(number):
    return f"10.{(number >> 16) & 255}.{(number >> 8) & 255}.{number & 255}"


def pod(number, name=None):
    return {"apiVersion": "v1", "kind": "Pod",
            "metadata": {"name": name or f"pod-{number}", "namespace": f"ns-{number % NAMESPACES}",
                         "labels": {"app": f"app-{number // NAMESPACES % APPS}",
                                    "unique": f"u-{number}"}},
            "spec": {"nodeName": f"node-{number % 100}"}, "status": {"podIP": address(number)}}


def policy(number, port):
    space, app = number % NAMESPACES, number // NAMESPACES
    return {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy",
            "metadata": {"name": f"policy-{number}", "namespace": f"ns-{space}"},
            "spec": {"podSelector": {"matchLabels": {"app": f"app-{app % APPS}"}},
                     "ingress": [{"from": [{"podSelector": {"matchLabels":
                                                            {"app": f"app-{(app * 7) % APPS}"}}}],
                                  "ports": [{"port": port}]}]}}


def write_world(folder, pods, policies):
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(folder)
    objects = [{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": f"ns-{i}"}}
               for i in range(NAMESPACES)]
    objects += [policy(i, 1000 + i % 5000) for i in range(policies)]
    parts = [objects] + [[pod(i) for i in range(first, min(first + PODS_A_FILE, pods))]
                         for first in range(0, pods, PODS_A_FILE)]
    for index, part in enumerate(parts):
        with open(os.path.join(folder, f"{index}.json"), "w", encoding="utf-8") as file:
            json.dump({"apiVersion": "v1", "kind": "List", "items": part}, file)


def write_capture(path, pods):
    """UDP between pods, a flow a frame."""
    with open(path, "wb") as file:
        file.write(struct.pack("<IHHIIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1))
        for i in range(FRAMES):
            src, dst = (socket.inet_aton(address(i * k % pods)) for k in (7919, 104729))
            header = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 46, 0, 0, 64, 17, 0, src, dst)
            total = sum(struct.unpack(">10H", header))
            total = (total & 0xFFFF) + (total >> 16)
            header = header[:10] + struct.pack(">H", ~(total + (total >> 16)) & 0xFFFF) + header[12:]
            udp = struct.pack(">HHHH", 30000 + i, 1000, 26, 0) + bytes(18)
            frame = bytes.fromhex("020000000001020000000002") + b"\x08\x00" + header + udp
            file.write(struct.pack("<IIII", 0, 0, len(frame), len(frame)) + frame)


class Client:
    """A connection to a control socket."""

    def __init__(self, connection):
        self.connection = connection
        self.answers = connection.makefile("rb")

    def call(self, method, params):
        """(milliseconds, result)."""
        line = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).encode()
        begin = time.perf_counter()
        self.connection.sendall(line + b"\n")
        answer = self.answers.readline()
        took = (time.perf_counter() - begin) * 1000
        answer = json.loads(answer)
        if "error" in answer:
            raise RuntimeError(f"{method}: {answer['error']['message']}")
        return took, answer["result"]

    def write(self, step, objects):
        text = json.dumps({"apiVersion": "v1", "kind": "List", "items": objects})
        return self.call("edit", {"steps": [{"do": step, "manifests": [{"name": "edit.json",
                                                                       "text": text}]}]})

    def remove(self, step, names):
        return self.call("edit", {"steps": [{"do": step, "names": names}]})


class Ours(Client):
    """A daemon, and a connection to its control socket."""

    def __init__(self, run, namespace, world, state, vdevs):
        folder = run.folder
        self.socket_path = os.path.join(folder, "control.sock")
        config = os.path.join(folder, "portcullis.toml")
        processors = sorted(os.sched_getaffinity(0))
        lines = ["[eal]", f'file_prefix = "{run.prefix}"', f"control_cpu = {processors[0]}",
                 f"worker_cpus = [{processors[-1]}]", "telemetry = false",
                 "[ports.left]", f'vdev = "{vdevs[0]}"', 'role = "wire"',
                 "[ports.right]", f'vdev = "{vdevs[1]}"', 'role = "wire"',
                 "[mode]", 'kind = "wire"', 'pairs = [["left", "right"]]',
                 "[policy]", f'manifests = ["{world}"]',
                 "[control]", f'socket = "{self.socket_path}"',
                 f'state = "{state}"' if state else ""]
        with open(config, "w", encoding="utf-8") as file:
            file.write("\n".join(lines) + "\n")
        self.log_path = os.path.join(folder, "portcullisd.log")
        with open(self.log_path, "wb") as log:
            self.process = run.start(namespace, [daemon_module.DAEMON, "--config", config],
                                     stdout=log, stderr=log)
        super().__init__(self.connect())

    def connect(self):
        deadline = time.monotonic() + READY_S
        while time.monotonic() < deadline and self.process.poll() is None:
            connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            try:
                connection.connect(self.socket_path)
                return connection
            except OSError:
                connection.close()
                time.sleep(0.1)
        with open(self.log_path, encoding="utf-8", errors="replace") as file:
            raise RuntimeError("the daemon did not start:\n" + file.read())

    def stop(self):
        self.connection.close()
        netns.stop(self.process, patience_s=20)


def measure_ours(ours, who, state, pods, rounds):
    first, _ = ours.write("pod.add", [pod(pods, "first")])
    times = collections.defaultdict(list)
    for i in range(rounds):
        new = pod(pods + 1 + i % 4096, f"new-{i}")
        took, _ = ours.write("pod.add", [new])
        times["pod added"].append(took)
        took, _ = ours.remove("pod.remove", [f"{new['metadata']['namespace']}/new-{i}"])
        times["pod removed"].append(took)
    batch = [pod(pods + 5000 + i, f"batch-{i}") for i in range(10_000)]
    took, _ = ours.write("pod.add", batch)
    times["10,000 pods added, one batch"].append(took)
    for i in range(max(5, rounds // 20)):
        took, _ = ours.write("policy.set", [policy(3, 20_000 + i)])
        times["policy changed"].append(took)
    times |= measure_at_once(ours, pods)
    yield Row(who, "pod added, the first time", state, [first])
    for change, values in times.items():
        yield Row(who, change, state, values)


def measure_at_once(ours, pods):
    """Times of batches of pods, as fast as they are taken, while another client changes policies."""
    times = {"1,000 pods set, policies too": [], "policy changed, pods too": []}
    pod_times, policy_times = times.values()
    deadline = time.monotonic() + AT_ONCE_S
    other = Client(ours.connect())

    def change_policies():
        while time.monotonic() < deadline:
            policies = len(policy_times)
            policy_times.append(other.write("policy.set", [policy(7, 30_000 + policies)])[0])

    thread = threading.Thread(target=change_policies)
    thread.start()
    while time.monotonic() < deadline:
        # Each batch moves the pods of the one before it to other addresses.
        first = pods + 20_000 + len(pod_times) % 2 * 1000
        pod_times.append(ours.write("pod.set", [pod(first + i, f"moving-{i}")
                                                for i in range(1000)])[0])
    thread.join()
    other.connection.close()
    print(f"at once: {1000 * len(pod_times) / AT_ONCE_S:.0f} pods and "
          f"{len(policy_times) / AT_ONCE_S:.0f} policies a second")
    return times


def run_timed(namespace, command, text):
    """Milliseconds of a command in a namespace with `text` on its standard input."""
    def body():
        begin = time.perf_counter()
        done = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
        took = (time.perf_counter() - begin) * 1000
        if done.returncode != 0:
            raise RuntimeError(f"{' '.join(command)}: {done.stderr.strip()[:500]}")
        return took
    return netns.inside(namespace, body)


def measure_ipset(namespace, pods, rounds):
    members = "\n".join(f"add pods {address(i)}" for i in range(pods))
    restore = ["ipset", "restore"]
    run_timed(namespace, restore, f"create pods hash:ip maxelem {4 * pods}\n{members}\n")
    times = [[run_timed(namespace, restore, f"{verb} pods {address(pods + 1)}\n")
              for verb in ("add", "del")] for _ in range(rounds)]
    yield Row("ipset restore", "pod added", "kernel", [pair[0] for pair in times])
    yield Row("ipset restore", "pod removed", "kernel", [pair[1] for pair in times])


def measure_nft(namespace, pods, policies, rounds):
    load = ["nft", "-f", "-"]
    members = ", ".join(address(i) for i in range(pods))
    rules = "\n".join(f"ip saddr @pods tcp dport {1000 + i % 5000} accept" for i in range(policies))
    run_timed(namespace, load, f"table inet t {{ set pods {{ type ipv4_addr; elements = {{ {members}"
              f" }} }}\nchain c {{\n{rules}\n}}\n}}\n")
    element = f"element inet t pods {{ {address(pods + 1)} }}\n"
    times = [[run_timed(namespace, load, f"{verb} {element}") for verb in ("add", "delete")]
             for _ in range(rounds)]
    yield Row("nft -f", "pod added", "kernel", [pair[0] for pair in times])
    yield Row("nft -f", "pod removed", "kernel", [pair[1] for pair in times])
    yield Row("nft -f", "policy changed", "kernel", [
        run_timed(namespace, load, f"insert rule inet t c ip saddr @pods tcp dport {20_000 + i} "
                                   "accept\n") for i in range(max(5, rounds // 20))])


def measure_iptables(namespace, policies, rounds):
    restore = ["iptables-restore", "--noflush"]
    rules = "\n".join(f"-A INPUT -s {address(i)} -p tcp --dport {1000 + i % 5000} -j ACCEPT"
                      for i in range(policies))
    run_timed(namespace, restore, f"*filter\n{rules}\nCOMMIT\n")
    yield Row("iptables-restore", "policy changed", "kernel", [
        run_timed(namespace, restore, f"*filter\n-I INPUT 1 -s {address(i)} -j ACCEPT\nCOMMIT\n")
        for i in range(max(5, rounds // 20))])


def shown(rows):
    print(f"{'who':18} {'change':30} {'state':14} {'p50 ms':>9} {'p99 ms':>9} {'n':>5}")
    for row in rows:
        values = sorted(row.milliseconds)
        p99 = values[min(len(values) - 1, len(values) * 99 // 100)]
        print(f"{row.who:18} {row.change:30} {row.state:14} {statistics.median(values):9.2f} "
              f"{p99:9.2f} {len(values):5}", flush=True)


def measure(run, pods, rounds):
    policies = pods // 10
    print(f"\n{pods} pods, {policies} policies", flush=True)
    world = os.path.join(run.folder, "world")
    capture = os.path.join(run.folder, "flows.pcap")
    write_world(world, pods, policies)
    write_capture(capture, pods)
    sink = "net_null1,no-rx=1"
    idle = ("net_null0,no-rx=1", sink)
    busy = (f"net_pcap0,rx_pcap={capture},infinite_rx=1", sink)
    namespace = run.namespace(f"ours{pods}")
    for state, folder, vdevs in (("idle", "", idle), ("idle, disk", "state", idle),
                                 ("load", "", busy)):
        ours = Ours(run, namespace, world, folder and os.path.join(run.folder, f"{folder}{pods}"),
                    vdevs)
        try:
            shown(measure_ours(ours, "portcullis", state, pods, rounds))
        finally:
            ours.stop()
    linux = run.namespace(f"linux{pods}")
    for tool, rows in (("ipset", measure_ipset(linux, pods, rounds)),
                       ("nft", measure_nft(linux, pods, policies, rounds)),
                       ("iptables-restore", measure_iptables(linux, policies, rounds))):
        if shutil.which(tool):
            shown(rows)
        else:
            print(f"{tool} is not installed: apt-get install {tool.split('-')[0]}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--pods", type=int, nargs="+", default=[10_000, 100_000])
    parser.add_argument("--rounds", type=int, default=500, help="single pods of each kind")
    options = parser.parse_args()
    try:
        with netns.Run("edits") as run:
            for pods in options.pods:
                measure(run, pods, options.rounds)
    except netns.Unavailable as why:
        sys.exit(f"edit_latency: {why}")


if __name__ == "__main__":
    main()
