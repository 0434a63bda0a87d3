# SPDX-License-Identifier: MIT
"""Paths that narrow on the way, and what hosts learn of it (path-MTU discovery).

    world ---- far          the world's route to "far" takes 1400 bytes, the links 1500
    node  ---- storage/db-1 mode node: the port of this pod takes 1400 bytes
Most packets forbid fragments: who sends too much must hear of it, and then get through. Of IPv4,
some allow them: the router cuts at its narrow port what is whole, and again what comes in
fragments; it gets through at once, and nobody learns of the MTU.
"""
import collections
import errno
import os
import socket
import subprocess
import sys
import time

import lab as lab_module
import netns
import probe as probe_module
import shop

HERE = os.path.dirname(os.path.abspath(__file__))
POLICIES = os.path.join(HERE, "narrow.yaml")
MTU = 1400
FAR = ("203.0.113.20", "2001:db8:113::20")
LINK = (("192.0.2.1", "fd00:99::1"), ("192.0.2.2", "fd00:99::2"))
SERVED = ("tcp:80", "udp:9000", "udp:9001")
UPLOAD = 100_000  # Octets, both ways: a question and an answer of many full segments.
# Options of Linux that Python has no names for: (level, discover, mtu), headers of IP and UDP.
DISCOVERY = {4: (socket.IPPROTO_IP, 10, 14, 28), 6: (socket.IPPROTO_IPV6, 23, 24, 48)}
MAY_FRAGMENT, NEVER_FRAGMENT = 0, 2
WHOLE = 1500  # What a host's own link takes: octets of a packet.
CUTTABLE = (WHOLE - 28, 6000)  # Octets of datagrams that may be cut: whole at first, or in five.
TRIES = 3  # A busy machine may lose a datagram; what is denied never comes through.

# What one attempt came to. `learned`: the MTU that client and server believe in, if not 1500.
Outcome = collections.namedtuple("Outcome", "reached learned")


class NarrowLab(lab_module.Lab):
    """A lab with "far" in it, and in mode node a narrow port."""

    manifests = (shop.SHOP, POLICIES)

    def __init__(self, run, mode):
        super().__init__(run, mode)
        if mode == "node":
            self.mtus["db-1"] = MTU
            self._listen("storage/db-1", "storage/db-1", "udp:9000")
        self.namespaces["far"] = far = run.namespace(f"{mode}-far")
        lab_module.plug(self.world, "far0", far)
        for namespace, device, own in ((self.world, "far0", LINK[0]), (far, "eth0", LINK[1])):
            netns.ip_batch(namespace, [f"addr add {own[0]}/30 dev {device}",
                                       f"addr add {own[1]}/126 dev {device} nodad"])
        netns.ip_batch(far, [f"addr add {FAR[0]} dev lo", f"addr add {FAR[1]} dev lo nodad"]
                       + [f"route add default via {LINK[0][word]} src {FAR[word]}"
                          for word in (0, 1)])
        netns.ip_batch(self.world, [f"route add {FAR[word]} via {LINK[1][word]} mtu {MTU}"
                                    for word in (0, 1)])
        netns.set_sysctls(self.world, {"ipv4/ip_forward": 1, "ipv6/conf/all/forwarding": 1})
        lab_module.make_like_a_card(far)
        self._listen("far", "outside", *SERVED)

    def addresses(self, name):
        return FAR if name == "far" else super().addresses(name)

    def _listen(self, where, *words):
        process = self.run.start(self.namespaces[where],
                                 [sys.executable, os.path.join(HERE, "serve.py"), *words],
                                 stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        if process.stdout.readline() != b"ready\n":
            raise RuntimeError(f"nobody can listen in {where}")

    def narrow_lines(self):
        """What is tried. `allowed` is what is meant; it only says who may try again."""
        ends = [("shop/api-1", "far", "TCP", 80, True), ("shop/api-1", "far", "UDP", 9000, True),
                ("shop/api-1", "far", "UDP", 9001, False),
                ("guest/intruder-1", "far", "TCP", 80, False),
                ("guest/intruder-1", "far", "UDP", 9000, False),
                ("far", "shop/web-1", "TCP", 80, True)]
        if self.mode == "node":
            # Denied attempts have no place here: Linux' router looks at a packet's size before it
            # asks its filter, and so tells a denied sender the MTU; Portcullis judges first.
            ends += [("shop/api-1", "storage/db-1", "TCP", 5432, True),
                     ("shop/api-1", "storage/db-1", "UDP", 9000, True)]
        return [shop.Probe(source, destination, protocol, port, family,
                           self.addresses(source)[word], self.addresses(destination)[word],
                           allowed, UPLOAD if protocol == "TCP" else WHOLE - DISCOVERY[family][3])
                for source, destination, protocol, port, allowed in ends
                for family, word in shop.WORDS.items()]

    def cuttable_lines(self):
        """Datagrams of IPv4 that routers may cut, to where there is a narrow port."""
        ends = [("shop/api-1", 9000, True), ("shop/api-1", 9001, False),
                ("guest/intruder-1", 9000, False)] if self.mode == "node" else []
        return [shop.Probe(source, "storage/db-1", "UDP", port, 4, self.addresses(source)[0],
                           self.addresses("storage/db-1")[0], allowed, octets)
                for source, port, allowed in ends for octets in CUTTABLE]


def attempt(lab, line, discover=NEVER_FRAGMENT):
    """Tries a line from ignorance, and sees what was learned."""
    here, there = lab.namespaces[line.source], lab.namespaces[line.destination]
    for namespace in (here, there):
        netns.forget_routes(namespace)
    if line.protocol == "TCP":
        reached = netns.inside(here, lambda: probe_module.attempt(lab, line).reached)
    else:
        name = probe_module.identity(lab, line)
        reached = netns.inside(here, lambda: _datagrams(line, name, discover))
    return Outcome(reached, (netns.path_mtu(here, line.destination_address),
                             netns.path_mtu(there, line.source_address)))


def _datagrams(line, identity, how):
    """Asks with the largest datagram that may go; True when one is answered by the right host."""
    level, discover, mtu, headers = DISCOVERY[line.family]
    family = socket.AF_INET if line.family == 4 else socket.AF_INET6
    size = line.octets
    with socket.socket(family, socket.SOCK_DGRAM) as client:
        client.setsockopt(level, discover, how)
        client.bind((line.source_address, 0))
        client.connect((line.destination_address, line.port))
        client.settimeout(probe_module.PATIENCE_S / TRIES)
        tries = TRIES
        while tries > 0:
            try:
                client.send(bytes(size))
                return client.recv(65536).decode().strip() == identity
            except socket.timeout:
                tries -= 1
            except OSError as problem:
                if problem.errno != errno.EMSGSIZE:
                    return False
                time.sleep(0.01)
                size, tries = client.getsockopt(level, mtu) - headers, tries - 1
    return False
