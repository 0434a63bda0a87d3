# SPDX-License-Identifier: MIT
"""Mode mirror at a hub: two hosts talk past Portcullis, which judges what it sees and says nothing.

    10.20.0.11 eth0 ---- [hub br0] ---- eth0 10.20.0.21
                            |
                     tap0 -- span [node]
A bridge that forgets every address at once sends each frame to all of its ports, as a SPAN port gets
them, and needs nothing of the kernel that a bridge has not.
"""
import json
import os
import socket
import subprocess
import time
import unittest

import daemon as daemon_module
import lab as lab_module
import netns
import scenario
import shop

WEB, API = "shop/web-1", "shop/api-1"
ALLOWED, DENIED = 8080, 8081  # Of the api, to the web.
PATIENCE_S = 10


class Hub:
    """What a daemon needs of a lab: the run, the node, the mode and its ports."""

    mode = "mirror"
    mtus = {}
    workers = 1

    def __init__(self, run):
        self.run = run
        self.node, self.hub = run.namespace("mirror-node"), run.namespace("mirror-hub")
        netns.ip_batch(self.hub, ["link add br0 type bridge mcast_snooping 0 forward_delay 0 "
                                  "ageing_time 0", "link set br0 up"])
        pods = shop.read_pods()
        self.hosts, self.addresses = {}, {}
        for index, name in enumerate((WEB, API)):
            self.hosts[name] = run.namespace(f"mirror-host{index}")
            self.addresses[name] = pods[name].addresses[0]
            lab_module.plug(self.hub, f"host{index}", self.hosts[name])
            netns.ip_batch(self.hub, [f"link set host{index} master br0"])
            netns.ip_batch(self.hosts[name], [f"addr add {self.addresses[name]}/24 dev eth0"])
            lab_module.make_like_a_card(self.hosts[name])
        # Ahead of the port: the kernel must not speak there, not even once.
        netns.set_sysctls(self.node, {"ipv6/conf/default/disable_ipv6": 1})
        lab_module.plug(self.node, "span", self.hub, "tap0")
        netns.ip_batch(self.hub, ["link set tap0 master br0"])

    def port_tables(self):
        return [("span", "span", "mirror", ())]

    def came_out(self):
        """Frames that the hub got from the port that Portcullis listens at."""
        told = subprocess.run(["ip", "-n", self.hub, "-s", "-j", "link", "show", "tap0"],
                              capture_output=True, text=True, check=True).stdout
        return json.loads(told)[0]["stats64"]["rx"]["packets"]

    def socket(self, name, kind=socket.SOCK_STREAM):
        made = netns.inside(self.hosts[name], lambda: socket.socket(socket.AF_INET, kind))
        made.settimeout(PATIENCE_S)
        return made


class Mirror(unittest.TestCase):
    workers = 1

    @classmethod
    def setUpClass(cls):
        cls.run_ = netns.Run("pce2e")
        cls.addClassCleanup(cls.run_.close)
        cls.hub = Hub(cls.run_)
        cls.hub.workers = cls.workers
        cls.daemon = daemon_module.Daemon(cls.hub)

    def connect(self, port):
        """A connection from the web to the api, past Portcullis: (client, server)."""
        with self.hub.socket(API) as listener:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind((self.hub.addresses[API], port))
            listener.listen()
            client = self.hub.socket(WEB)
            self.addCleanup(client.close)
            client.connect((self.hub.addresses[API], port))
            server, _ = listener.accept()
            self.addCleanup(server.close)
        server.settimeout(PATIENCE_S)
        return client, server

    def say(self, client, server):
        client.sendall(b"question")
        self.assertEqual(server.recv(100), b"question")
        server.sendall(b"answer")
        self.assertEqual(client.recv(100), b"answer")

    def total(self, name):
        """A counter, of all workers together."""
        return sum(worker[name] for worker in self.daemon.ask("status")["workers"])

    def counts(self, name, least):
        """Waits until the counter is so large."""
        deadline = time.monotonic() + PATIENCE_S
        while self.total(name) < least and time.monotonic() < deadline:
            time.sleep(0.02)
        self.assertGreaterEqual(self.total(name), least, self.daemon.log()[-2000:])

    def flows(self, client):
        """Those of one connection: one, or none."""
        port = client.getsockname()[1]
        return self.daemon.ask("conntrack", "list", "--port", str(port))["flows"]

    def tearDown(self):
        self.assertEqual(self.hub.came_out(), 0)
        self.assertEqual(self.daemon.ask("status")["ports"][0]["tx_packets"], 0)

    def test_what_is_allowed_counts_in_both_directions(self):
        forwarded, dropped = self.total("forwarded"), self.total("dropped")
        client, server = self.connect(ALLOWED)
        self.say(client, server)
        # Handshake, question, answer, and what acknowledges them.
        self.counts("forwarded", forwarded + 5)
        self.assertEqual(self.total("dropped"), dropped)
        flow, = self.flows(client)
        self.assertEqual((flow["source"], flow["state"]), (self.hub.addresses[WEB], "established"))
        self.assertEqual(flow["ingress"]["policy"], "shop/api-from-web")
        status = self.daemon.ask("status")
        self.assertEqual(status["mode"], "mirror")
        self.assertIn("shop/api-from-web", [rule.get("policy") for rule in status["rules"]])

    def test_what_is_denied_goes_on_and_is_counted(self):
        before = self.daemon.drops().get("POLICY_DENIED", 0)
        client, server = self.connect(DENIED)
        self.say(client, server)
        deadline = time.monotonic() + PATIENCE_S
        while self.daemon.drops().get("POLICY_DENIED", 0) < before + 5:
            self.assertLess(time.monotonic(), deadline, self.daemon.drops())
            time.sleep(0.02)
        self.assertEqual(self.flows(client), [])

    def test_a_connection_that_is_older_than_what_is_known_is_picked_up(self):
        client, server = self.connect(ALLOWED)
        self.say(client, server)
        self.counts("flows", 1)
        self.daemon.cli("conntrack", "flush", "--all")
        self.assertEqual(self.flows(client), [])
        self.say(client, server)
        deadline = time.monotonic() + PATIENCE_S
        while not self.flows(client) and time.monotonic() < deadline:
            time.sleep(0.02)
        self.assertEqual(self.flows(client)[0]["source"], self.hub.addresses[WEB])

    def test_a_person_is_told_that_nothing_is_enforced(self):
        _, out, _ = self.daemon.cli("status")
        self.assertIn("mirror (judges copies, forwards nothing)", out)
        self.assertIn("WOULD DROP", out)

    def test_answers_are_refused_with_their_line(self):
        path = os.path.join(self.run_.folder, "wrong.toml")
        with open(path, "w", encoding="utf-8") as file:
            file.write(daemon_module.configuration(self.hub, "unused.sock", [], reject="reset"))
        done = subprocess.run([daemon_module.DAEMON, "--check", "--config", path],
                              capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 2)
        self.assertRegex(done.stderr, r"wrong\.toml:\d+:\d+: policy\.reject: .*answers nobody")


class MirrorOfTwoWorkers(Mirror):
    workers = 2

    def test_one_port_is_shared(self):
        status = self.daemon.ask("status")
        self.assertEqual([port["spread"] for port in status["ports"]], ["software"])
        self.assertEqual(len(status["workers"]), 2)


if __name__ == "__main__":
    scenario.main()
