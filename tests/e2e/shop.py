# SPDX-License-Identifier: MIT
"""The example shop as its manifests and expect.tsv state it: pods, outside hosts, the matrix."""
import collections
import ipaddress
import os

import yaml

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", ".."))
SHOP = os.path.join(ROOT, "examples", "shop")
EXPECT = os.path.join(SHOP, "expect.tsv")
CLUSTER = os.path.join(SHOP, "cluster")
POLICIES = os.path.join(SHOP, "policies")

# Hosts outside the cluster, as expect.tsv describes them. All live in one namespace.
OUTSIDE = {"internet": ("203.0.113.10", "2001:db8:113::10"),
           "abuser": ("198.51.100.66", "2001:db8:51::66"),
           "node-2": ("192.168.50.12", "fd00:50::12")}
POD_NETWORKS = ("10.20.0.0/24", "fd00:20::/64")
WORDS = {4: 0, 6: 1}  # Where a family's address stands in a pair.

# In wire mode these namespaces are on the left of Portcullis, everything else is on the right.
LEFT = ("shop", "jobs", "guest")

Pod = collections.namedtuple("Pod", "namespace name addresses")


def full_name(pod):
    return f"{pod.namespace}/{pod.name}"


def read_pods():
    """Pods that have a network namespace of their own, by "namespace/name", primary address first.

    Left out, as the policies do: pods that have run to their end, and pods in their node's network.
    """
    with open(os.path.join(CLUSTER, "pods.yaml"), encoding="utf-8") as file:
        items = yaml.safe_load(file)["items"]
    pods = {}
    for item in items:
        if item["spec"].get("hostNetwork") or item["status"]["phase"] in ("Succeeded", "Failed"):
            continue
        pod = Pod(item["metadata"]["namespace"], item["metadata"]["name"],
                  tuple(entry["ip"] for entry in item["status"]["podIPs"]))
        pods[full_name(pod)] = pod
    return pods


# One line of expect.tsv: who tries whom. `source` and `destination` are names of this module's
# (a pod's full name, or a key of OUTSIDE), the addresses are those that the packets carry.
# `octets`: how much the client says at once, where that matters; the answer is as long.
Probe = collections.namedtuple(
    "Probe", "source destination protocol port family source_address destination_address allowed "
    "octets", defaults=[0])


def _resolve(word, pods, family):
    """(name, address) of a source or destination in expect.tsv."""
    if word in pods:
        return word, pods[word].addresses[WORDS[family]]
    for name, addresses in list(OUTSIDE.items()) + [(n, p.addresses) for n, p in pods.items()]:
        if word in addresses:
            return name, word
    raise ValueError(f"expect.tsv: nobody is {word}")


def _family(*words):
    """Of the first address among the words; names alone mean their primary address: IPv4."""
    for word in words:
        try:
            return ipaddress.ip_address(word).version
        except ValueError:
            continue
    return 4


def read_expectations(pods, path=EXPECT):
    probes = []
    with open(path, encoding="utf-8") as file:
        for line in file:
            if line.startswith("#") or not line.strip():
                continue
            source, destination, protocol, port, expected = line.rstrip("\n").split("\t")
            family = _family(source, destination)
            source, source_address = _resolve(source, pods, family)
            destination, destination_address = _resolve(destination, pods, family)
            probes.append(Probe(source, destination, protocol, 0 if port == "-" else int(port),
                                family, source_address, destination_address,
                                expected == "allow"))
    return probes


def crosses(probe, pods):
    """Whether a probe's packets cross Portcullis in wire mode."""
    return is_left(probe.source, pods) != is_left(probe.destination, pods)


def is_left(name, pods):
    return name in pods and pods[name].namespace in LEFT


def listeners(name, probes):
    """What a host must listen on so that each of the probes can be answered: {(protocol, port)}."""
    return {(probe.protocol, probe.port) for probe in probes
            if probe.destination == name and probe.protocol != "ICMP"}
