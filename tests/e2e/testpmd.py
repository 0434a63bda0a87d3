# SPDX-License-Identifier: MIT
"""A pod with a packet path of its own: testpmd between the pod's eth0 and what meets Portcullis.

    sockets of the pod -- eth0, the kernel's end of net_tap -- testpmd -- VDEV -- Portcullis' port
"""
import os
import shutil
import signal
import subprocess
import time

import netns

TESTPMD = "dpdk-testpmd"
MAC = "02:00:00:00:00:32"  # Of the pod's eth0, whoever started it: its neighbours need not learn anew.
PATIENCE_S = 20


class Bridge:
    """A running testpmd in a pod's namespace. Its memory is no hugepages', unless `memory` says so.

    It polls without end, on whatever processor has time for it: bound to one, it was seen to keep
    all others from that for a minute.
    """

    _count = 0

    def __init__(self, run, namespace, vdev, memory=("--no-huge", "-m", "96")):
        Bridge._count += 1
        self.prefix = f"{run.prefix}-bridge{Bridge._count}"
        self._log = os.path.join(run.folder, f"bridge{Bridge._count}.log")
        processors = ",".join(map(str, sorted(os.sched_getaffinity(0))))
        with open(self._log, "wb") as log:
            # Its standard input stays open: at its end testpmd ends.
            self._process = run.start(namespace, [
                "nice", "-n", "10", "stdbuf", "-o0", TESTPMD,
                f"--lcores=0@({processors}),1@({processors})",
                "--no-pci", "--no-telemetry", f"--file-prefix={self.prefix}", *memory,
                f"--vdev={vdev}", f"--vdev=net_tap0,iface=eth0,mac={MAC}", "--", "--forward-mode=io",
                "--auto-start", "--total-num-mbufs=8192", "--no-mlockall"],
                stdin=subprocess.PIPE, stdout=log, stderr=log)
        self._await(b"Press enter to exit")
        if b"ports=2 " not in self._said():  # It goes on without a device that it could not make.
            netns.stop(self._process)
            raise RuntimeError("testpmd lacks a device: " + self.log())

    def _await(self, word):
        deadline = time.monotonic() + PATIENCE_S
        while word not in self._said():
            if self._process.poll() is not None or time.monotonic() > deadline:
                netns.stop(self._process)
                raise RuntimeError("testpmd does not start: " + self.log())
            time.sleep(0.02)

    def _said(self):
        with open(self._log, "rb") as file:
            return file.read()

    def log(self):
        return self._said().decode(errors="replace")

    def die(self):
        """As a pod that is killed: nobody says goodbye."""
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()
        self._forget()

    def stop(self):
        netns.stop(self._process, patience_s=10)
        self._forget()

    def _forget(self):
        self._process.stdin.close()
        for root in ("/var/run/dpdk", "/run/dpdk"):
            shutil.rmtree(os.path.join(root, self.prefix), ignore_errors=True)
