# SPDX-License-Identifier: MIT
"""NetworkPolicies as their manifests say them, read anew for Linux' second opinion.

Nothing here is asked of Portcullis: selectors, named ports and pods that count for nothing are
worked out once more from the words of the API (docs/policy_semantics.md).
"""
import collections
import glob
import ipaddress
import json
import os

import yaml

Pod = collections.namedtuple("Pod", "name_space name labels addresses ports")
# `isolates` and `rules`: by "ingress" and "egress". `subjects`: the pods selected.
Policy = collections.namedtuple("Policy", "name subjects isolates rules")
# `pods` None: the addresses of `block`, or everybody where that is None, too.
Peer = collections.namedtuple("Peer", "pods block")
Rule = collections.namedtuple("Rule", "peers ports")
Block = collections.namedtuple("Block", "network excepts")
Port = collections.namedtuple("Port", "protocol first last name")

LAST_PORT = 65535


def documents(paths):
    """Every object of every file at or below the paths."""
    for path in paths:
        below = glob.glob(os.path.join(path, "**", "*.*"), recursive=True)
        for name in sorted(below) if os.path.isdir(path) else [path]:
            with open(name, encoding="utf-8") as file:
                if name.endswith(".json"):
                    found = [json.load(file)]
                elif name.endswith((".yaml", ".yml")):
                    found = list(yaml.safe_load_all(file))
                else:
                    continue
            for document in found:
                yield from document["items"] if document["kind"] == "List" else [document]


def chosen(selector, labels):
    """Whether a label selector chooses what wears these labels. NotIn is true of a missing key."""
    wanted = selector.get("matchLabels") or {}
    if any(key not in labels or labels[key] != value for key, value in wanted.items()):
        return False
    return all(_holds(one, labels) for one in selector.get("matchExpressions") or [])


def _holds(expression, labels):
    key, operator = expression["key"], expression["operator"]
    listed = labels.get(key) in (expression.get("values") or [])
    return {"In": key in labels and listed, "NotIn": key not in labels or not listed,
            "Exists": key in labels, "DoesNotExist": key not in labels}[operator]


class World:
    """Pods and policies of a set of manifests."""

    def __init__(self, paths):
        objects = collections.defaultdict(list)
        for each in documents(paths):
            objects[each["kind"]].append(each)
        self.namespaces = {each["metadata"]["name"]: each["metadata"].get("labels") or {}
                           for each in objects["Namespace"]}
        self.pods = [_pod(each) for each in objects["Pod"] if _counts(each)]
        self._by_namespace = collections.defaultdict(list)
        for pod in self.pods:
            self._by_namespace[pod.name_space].append(pod)
        self._selected = {}
        self.policies = [self._policy(each) for each in objects["NetworkPolicy"]]

    def _select(self, name_spaces, selector):
        """Pods of these namespaces. Remembered: many policies choose the same ones."""
        key = (tuple(name_spaces), json.dumps(selector, sort_keys=True))
        if key not in self._selected:
            self._selected[key] = [pod for name in name_spaces for pod in self._by_namespace[name]
                                   if chosen(selector, pod.labels)]
        return self._selected[key]

    def _policy(self, manifest):
        own, spec = manifest["metadata"].get("namespace", "default"), manifest["spec"]
        types = spec.get("policyTypes") or (
            ["Ingress", "Egress"] if spec.get("egress") else ["Ingress"])
        rules = {"ingress": self._rules(spec.get("ingress"), "from", own),
                 "egress": self._rules(spec.get("egress"), "to", own)}
        isolates = {way: way.capitalize() in types for way in rules}
        return Policy(f"{own}/{manifest['metadata']['name']}",
                      self._select([own], spec.get("podSelector") or {}), isolates, rules)

    def _rules(self, rules, side, own):
        return [Rule([self._peer(peer, own) for peer in rule.get(side) or []]
                     or [Peer(None, None)],
                     [_port(port) for port in rule.get("ports") or []]) for rule in rules or []]

    def _peer(self, peer, own):
        if "ipBlock" in peer:
            block = peer["ipBlock"]
            return Peer(None, Block(ipaddress.ip_network(block["cidr"]),
                                    [ipaddress.ip_network(e) for e in block.get("except") or []]))
        names = [own]
        if peer.get("namespaceSelector") is not None:
            names = [name for name, labels in self.namespaces.items()
                     if chosen(peer["namespaceSelector"], labels)]
        return Peer(self._select(names, peer.get("podSelector") or {}), None)


def _counts(pod):
    """Not pods in their node's network, whose traffic is the node's, nor those that have ended."""
    return (not pod["spec"].get("hostNetwork")
            and pod["status"].get("phase") not in ("Succeeded", "Failed"))


def _pod(pod):
    ports = [(port.get("name"), port.get("protocol", "TCP"), port["containerPort"])
             for container in pod["spec"].get("containers") or []
             for port in container.get("ports") or []]
    return Pod(pod["metadata"]["namespace"], pod["metadata"]["name"],
               pod["metadata"].get("labels") or {},
               tuple(ipaddress.ip_address(each["ip"]) for each in pod["status"]["podIPs"]), ports)


def _port(port):
    protocol, number = port.get("protocol", "TCP"), port.get("port")
    if isinstance(number, str):
        return Port(protocol, None, None, number)
    if number is None:
        return Port(protocol, 0, LAST_PORT, None)
    return Port(protocol, number, port.get("endPort", number), None)


def resolved(ports, pod):
    """{(protocol, first, last)} of a rule's ports at a destination; names mean nothing without a
    pod. None: no ports were named, so any packet will do.
    """
    if not ports:
        return None
    found = {(port.protocol, port.first, port.last) for port in ports if port.name is None}
    for port in ports if pod else ():
        found |= {(protocol, number, number) for name, protocol, number in pod.ports
                  if port.name is not None and (name, protocol) == (port.name, port.protocol)}
    return frozenset(found)
