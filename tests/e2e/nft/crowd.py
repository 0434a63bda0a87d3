# SPDX-License-Identifier: MIT
"""Thousands of policies around the shop, in the shape of bench/corpus.h, as JSON manifests.

Namespaces, apps of 3 to 50 replicas scattered over nodes, policies that select one app each by its
label; peers are apps of the own namespace, of others, whole namespaces and blocks. None of them
selects a pod of the shop, so what the shop may do stays as it is. Equal seeds give equal crowds.
"""
import ipaddress
import json
import os
import random

PODS_PER_NODE = 80
PODS = int(ipaddress.ip_address("10.64.0.0"))    # A /24 a node.
NODES = int(ipaddress.ip_address("172.16.0.0"))
WELL_KNOWN = (53, 80, 443, 3000, 3306, 5432, 5672, 6379, 8000, 8080, 8443, 9090, 9092, 9200, 27017)
NAME = "kubernetes.io/metadata.name"


def write(folder, pods, policies, seed=1):
    """Writes the manifests into a folder, a file a kind; gives the folder."""
    crowd = _Crowd(random.Random(seed), pods)
    for kind, items in (("namespaces", crowd.namespaces()), ("nodes", crowd.nodes()),
                        ("pods", crowd.pods()),
                        ("policies", [crowd.policy(number) for number in range(policies)])):
        with open(os.path.join(folder, f"{kind}.json"), "w", encoding="utf-8") as file:
            json.dump({"apiVersion": "v1", "kind": "List", "items": items}, file)
    return folder


class _Crowd:
    def __init__(self, chance, pods):
        self.chance = chance
        self.teams = [f"team-{number:03}" for number in range(min(200, max(5, pods // 50)))]
        self.apps = []  # (namespace, name, replicas)
        self.by_team = {team: [] for team in self.teams}
        self.count = pods
        while pods > 0:
            replicas = min(pods, int(3 + 47 * chance.random() ** 3.5))
            app = (chance.choice(self.teams), f"app-{len(self.apps):06}", replicas)
            self.apps.append(app)
            self.by_team[app[0]].append(app)
            pods -= replicas

    def namespaces(self):
        return [{"apiVersion": "v1", "kind": "Namespace",
                 "metadata": {"name": team, "labels": {NAME: team}}} for team in self.teams]

    def nodes(self):
        return [{"apiVersion": "v1", "kind": "Node", "metadata": {"name": f"crowd-{number}"},
                 "status": {"addresses": [{"type": "InternalIP",
                                           "address": str(ipaddress.ip_address(NODES + number))}]}}
                for number in range(-(-self.count // PODS_PER_NODE))]

    def pods(self):
        """An app's addresses do not aggregate: its replicas lie on nodes drawn by chance."""
        places = [(number % -(-self.count // PODS_PER_NODE), number // -(-self.count
                   // PODS_PER_NODE)) for number in range(self.count)]
        self.chance.shuffle(places)
        pods = []
        for team, app, replicas in self.apps:
            for replica in range(replicas):
                node, host = places[len(pods)]
                address = str(ipaddress.ip_address(PODS + node * 256 + 2 + host))
                pods.append({"apiVersion": "v1", "kind": "Pod",
                             "metadata": {"name": f"{app}-{replica:02}", "namespace": team,
                                          "labels": {"app": app}},
                             "spec": {"nodeName": f"crowd-{node}",
                                      "containers": [{"name": "app", "image": "app"}]},
                             "status": {"phase": "Running", "podIP": address,
                                        "podIPs": [{"ip": address}]}})
        return pods

    def policy(self, number):
        team, app, _ = self.chance.choice(self.apps)
        spec = {"podSelector": {"matchLabels": {"app": app}}, "policyTypes": ["Ingress"],
                "ingress": self._rules(team, "from")}
        if self.chance.random() < 0.5:
            spec["policyTypes"].append("Egress")
            spec["egress"] = self._rules(team, "to")
        return {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy",
                "metadata": {"name": f"policy-{number:06}", "namespace": team}, "spec": spec}

    def _rules(self, team, side):
        return [{side: [self._peer(team) for _ in range(self.chance.randint(1, 3))],
                 "ports": self._ports()} for _ in range(self.chance.randint(1, 2))]

    def _peer(self, team):
        die = self.chance.randrange(100)
        if die < 60:
            return {"podSelector": {"matchLabels": {"app": self.chance.choice(
                self.by_team[team])[1]}}}
        if die < 85:
            other, app, _ = self.chance.choice(self.apps)
            return {"namespaceSelector": {"matchLabels": {NAME: other}},
                    "podSelector": {"matchLabels": {"app": app}}}
        if die < 95:
            return {"namespaceSelector": {"matchLabels": {NAME: self.chance.choice(self.teams)}}}
        length = self.chance.randint(12, 24)
        network = ipaddress.ip_network((self.chance.getrandbits(32), length), strict=False)
        inside = int(network.network_address) + self.chance.randrange(network.num_addresses)
        hole = ipaddress.ip_network((inside, length + self.chance.randint(1, 4)), strict=False)
        return {"ipBlock": {"cidr": str(network), "except": [str(hole)]}}

    def _ports(self):
        """Empty, in one rule of ten: every port."""
        ports = []
        for _ in range(self.chance.choices((0, 1, 2, 3), (10, 60, 20, 10))[0]):
            port = {"protocol": self.chance.choices(("TCP", "UDP"), (9, 1))[0]}
            if self.chance.random() < 0.9:
                port["port"] = self.chance.choice(WELL_KNOWN)
            else:
                port["port"] = self.chance.randint(1024, 61_000)
                port["endPort"] = port["port"] + self.chance.randrange(4000)
            ports.append(port)
        return ports
