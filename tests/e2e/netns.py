# SPDX-License-Identifier: MIT
"""Network namespaces that one run makes, the processes it starts in them, and their end.

Every name carries the run's own prefix, so runs side by side do not meet. Everything that was
started is ended by its process id and every namespace deleted, whatever happened in between.
"""
import ctypes
import json
import os
import shutil
import signal
import subprocess
import tempfile
import threading

CLONE_NEWNET = 0x40000000
_libc = ctypes.CDLL(None, use_errno=True)


class Unavailable(Exception):
    """This machine or user cannot make network namespaces."""


def enter(namespace):
    """Moves the calling thread, and what it starts from now on, into a namespace."""
    fd = os.open(f"/run/netns/{namespace}", os.O_RDONLY)
    try:
        if _libc.setns(fd, CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), f"cannot enter the namespace {namespace}")
    finally:
        os.close(fd)


def inside(namespace, function):
    """Calls function() from a thread of its own inside a namespace, and gives back its result."""
    outcome = {}

    def body():
        try:
            enter(namespace)
            outcome["value"] = function()
        except BaseException as error:  # Handed to the caller's thread below.
            outcome["error"] = error

    thread = threading.Thread(target=body)
    thread.start()
    thread.join()
    if "error" in outcome:
        raise outcome["error"]
    return outcome["value"]


def ip_batch(namespace, lines):
    """Runs ip(8) commands in one namespace, all in one process."""
    done = subprocess.run(["ip", "-n", namespace, "-batch", "-"], input="\n".join(lines) + "\n",
                          capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"ip in {namespace}: {done.stderr.strip()}\n" + "\n".join(lines))


def set_rto_min(namespace, destination, least):
    """TCP to this address waits so long ("5s") for an answer before it sends anything again."""
    found = subprocess.run(["ip", "-n", namespace, "-j", "route", "get", destination],
                           capture_output=True, text=True, check=True)
    way = json.loads(found.stdout)[0]
    gateway = f"via {way['gateway']} onlink" if "gateway" in way else ""
    ip_batch(namespace, [f"route replace {destination} dev {way['dev']} {gateway} rto_min {least}"])


def forget_routes(namespace):
    """What a host has learned of its paths, such as their MTU."""
    for family in ("-4", "-6"):
        subprocess.run(["ip", "-n", namespace, family, "route", "flush", "cache"], check=True,
                       capture_output=True)


def path_mtu(namespace, destination):
    """The MTU that a host has learned of its path to an address, or None."""
    found = subprocess.run(["ip", "-n", namespace, "-j", "route", "get", destination],
                           capture_output=True, text=True, check=True)
    return next((each["mtu"] for each in json.loads(found.stdout)[0].get("metrics", [])
                 if "mtu" in each), None)


def set_sysctls(namespace, settings):
    """Writes {path below /proc/sys/net: value} in a namespace."""
    def write():
        for path, value in settings.items():
            with open(f"/proc/sys/net/{path}", "w", encoding="ascii") as file:
                file.write(str(value))
    inside(namespace, write)


class Run:
    """One run: its prefix, its folder for sockets and logs, its namespaces and processes.

    with Run("shop") as run: ... ends everything on the way out.
    """

    def __init__(self, word):
        if os.geteuid() != 0:
            raise Unavailable("root is needed to make network namespaces")
        self.prefix = f"{word}{os.getpid()}"
        self.folder = tempfile.mkdtemp(prefix=f"portcullis-{self.prefix}-")
        self._namespaces = []
        self._processes = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def namespace(self, word):
        """Makes a namespace with no forwarding and a loopback that is up; gives its full name."""
        name = f"{self.prefix}-{word}"
        done = subprocess.run(["ip", "netns", "add", name], capture_output=True, text=True,
                              check=False)
        if done.returncode != 0:
            raise Unavailable(f"cannot make a network namespace: {done.stderr.strip()}")
        self._namespaces.append(name)
        set_sysctls(name, {"ipv4/ip_forward": 0, "ipv6/conf/all/forwarding": 0,
                           "ipv6/conf/default/accept_ra": 0, "ipv6/conf/default/accept_dad": 0,
                           "ipv4/conf/all/rp_filter": 0, "ipv4/conf/default/rp_filter": 0,
                           "ipv4/icmp_ratelimit": 0, "ipv6/icmp/ratelimit": 0})
        ip_batch(name, ["link set lo up"])
        return name

    def start(self, namespace, command, **options):
        """Starts a process inside a namespace; stop() or the end of the run ends it."""
        options.setdefault("stdin", subprocess.DEVNULL)
        process = inside(namespace, lambda: subprocess.Popen(command, **options))
        self._processes.append(process)
        return process

    def close(self):
        for process in reversed(self._processes):
            stop(process)
            if process.stdout:
                process.stdout.close()
        self._processes.clear()
        for name in reversed(self._namespaces):
            subprocess.run(["ip", "netns", "del", name], capture_output=True, check=False)
        self._namespaces.clear()
        shutil.rmtree(self.folder, ignore_errors=True)
        for root in ("/var/run/dpdk", "/run/dpdk"):
            shutil.rmtree(os.path.join(root, self.prefix), ignore_errors=True)


def stop(process, patience_s=3.0):
    """Ends a process we started: asks first, then insists. Gives its exit status."""
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(patience_s)
        except subprocess.TimeoutExpired:
            process.kill()
    return process.wait()
