# SPDX-License-Identifier: MIT
"""portcullisd in the middle of a lab, and the command line that speaks to it."""
import json
import os
import socket
import subprocess
import time

import lab as lab_module
import netns
import shop

BUILD = os.environ.get("PORTCULLIS_BUILD", os.path.join(shop.ROOT, "build", "release"))
DAEMON = os.path.join(BUILD, "apps", "portcullisd")
CLI = os.path.join(BUILD, "apps", "portcullis")
START_PATIENCE_S = 30
# How a port takes a veth. A queue of so many frames: a busy machine may leave the daemon out for
# half a second.
AF_PACKET = "net_af_packet{index},iface={device},framecnt=2048"
# Slower, but what comes in fragments stays in them: the kernel puts those for af_packet together.
PCAP = "net_pcap{index},rx_iface_in={device},tx_iface={device}"


def quoted(values):
    return "[" + ", ".join(json.dumps(value) for value in values) + "]"


def worker_processors(workers):
    """Processors for so many workers; a single one gets its own where there are two."""
    processors = sorted(os.sched_getaffinity(0))
    # Of one processor all workers have a share, whatever numbers they name.
    return processors[-workers:] if workers <= len(processors) else list(range(workers))


def configuration(lab, socket_path, manifests, extra="", vdev=AF_PACKET, reject="drop"):
    """The TOML for a lab's mode and workers. `extra` is appended, e.g. another section."""
    processors = sorted(os.sched_getaffinity(0))
    lines = ["[eal]", f'file_prefix = "{lab.run.prefix}"', f"control_cpu = {processors[0]}",
             f"worker_cpus = {worker_processors(lab.workers)}", "telemetry = false"]
    for index, (name, device, role, addresses) in enumerate(lab.port_tables()):
        lines += [f"[ports.{name}]", f'vdev = "{vdev.format(index=index, device=device)}"',
                  f'role = "{role}"']
        if addresses:
            lines.append(f"addresses = {quoted(addresses)}")
        if name in lab.mtus:
            lines.append(f"mtu = {lab.mtus[name]}")
    if lab.mode == "wire":
        lines += ["[mode]", 'kind = "wire"', 'pairs = [["left", "right"]]']
    elif lab.mode == "mirror":
        lines += ["[mode]", 'kind = "mirror"']
    else:
        lines += ["[mode]", 'kind = "node"', f"gateways = {quoted(lab_module.UPLINK_GATEWAYS)}",
                  f"uplink_networks = {quoted(lab_module.UPLINK_NETWORKS)}"]
    lines += ["[policy]", f"manifests = {quoted(manifests)}", f'reject = "{reject}"',
              "[control]", f'socket = "{socket_path}"', extra]
    return "\n".join(lines) + "\n"


class StartFailure(Exception):
    """The daemon ended, or never said that it was ready. Carries what it printed."""


class Daemon:
    """A running portcullisd. `manifests`: what it enforces from the first packet."""

    def __init__(self, lab, manifests=(shop.SHOP,), extra="", vdev=AF_PACKET, reject="drop"):
        self.lab, folder = lab, lab.run.folder
        self.socket = os.path.join(folder, "control.sock")
        self.config = os.path.join(folder, "portcullis.toml")
        self.log_path = os.path.join(folder, "portcullisd.log")
        with open(self.config, "w", encoding="utf-8") as file:
            file.write(configuration(lab, self.socket, manifests, extra, vdev, reject))
        self.process = self._start(os.path.join(folder, "notify.sock"))

    def _start(self, notify_path):
        """Starts it as systemd would: it says READY=1 on a datagram socket."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
            notify.bind(notify_path)
            notify.settimeout(0.1)
            try:
                with open(self.log_path, "wb") as log:
                    process = self.lab.run.start(
                        self.lab.node, [DAEMON, "--config", self.config], stdout=log, stderr=log,
                        env={**os.environ, "NOTIFY_SOCKET": notify_path})
                deadline = time.monotonic() + START_PATIENCE_S
                while time.monotonic() < deadline and process.poll() is None:
                    try:
                        if b"READY=1" in notify.recv(4096):
                            return process
                    except socket.timeout:
                        pass
                netns.stop(process)
                raise StartFailure(self.log())
            finally:
                os.unlink(notify_path)

    def log(self):
        with open(self.log_path, encoding="utf-8", errors="replace") as file:
            return file.read()

    def cli(self, *words):
        """Runs `portcullis WORDS` against this daemon: (exit status, output, errors)."""
        return cli(*words, "--socket", self.socket)

    def ask(self, *words):
        """Runs a verb with -o json and gives what it says. It must succeed, or be a `no` (1)."""
        status, out, error = self.cli(*words, "-o", "json")
        if status not in (0, 1):
            raise RuntimeError(f"portcullis {' '.join(words)}: status {status}: {error or out}")
        return json.loads(out)

    def commit(self, paths, comment):
        status, out, error = self.cli("commit", *paths, "--comment", comment)
        if status != 0:
            raise RuntimeError(f"commit failed with status {status}: {error or out}")
        return out

    def drops(self):
        """Packets dropped so far, by reason."""
        return self.ask("status")["drops"]

    def stop(self):
        return netns.stop(self.process, patience_s=10)


def cli(*words, patience_s=60):
    """Runs the command line: (exit status, output, errors)."""
    done = subprocess.run([CLI, *words], capture_output=True, text=True, check=False,
                          timeout=patience_s)
    return done.returncode, done.stdout, done.stderr
