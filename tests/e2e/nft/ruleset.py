# SPDX-License-Identifier: MIT
"""NetworkPolicies in the words of nftables: what an administrator of Linux would write by hand.

A packet of a known connection passes. Any other goes first through what its sender's policies
allow (egress), then through what its receiver's do (ingress); what no rule accepts is dropped, as
in Portcullis' default mode, "deny". Two forms of the same:
    maps     an address finds its chain in a verdict map, pods with equal rules share a chain
    linear   one chain of all policies' rules a direction, each with its subjects
Traffic of a pod's own node is left out: a router's own packets are not forwarded.
"""
import collections
import itertools

from nft import manifests

FORMS = ("maps", "linear")
WAYS = ("egress", "ingress")
# Which address of a packet is the subject's and which the peer's, and what follows an allowance.
SUBJECT = {"egress": "saddr", "ingress": "daddr"}
PEER = {"egress": "daddr", "ingress": "saddr"}
THEN = {"egress": "return", "ingress": "accept"}
FAMILIES = {4: ("ip", "ipv4_addr"), 6: ("ip6", "ipv6_addr")}
MAP_NAMES = {(way, version): f"{way}{version}" for way in WAYS for version in FAMILIES}

HEAD = """\
  chain forward {
    type filter hook forward priority filter; policy drop;
    ct state established,related accept
    ct state invalid drop
    icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } accept
    jump egress
    goto ingress
  }
"""


class Sets:
    """Named sets of addresses; equal ones are one."""

    def __init__(self):
        self._names, self._known = {}, {}

    def match(self, side, pods):
        """[(family, match)] of packets whose `side` address is one of these pods'."""
        if id(pods) not in self._known:  # Kept along with its list, so that no id comes twice.
            self._known[id(pods)] = (pods, [(version, self._called(version, pods))
                                            for version in FAMILIES])
        return [(version, f"{FAMILIES[version][0]} {side} {name}")
                for version, name in self._known[id(pods)][1] if name]

    def _called(self, version, pods):
        addresses = frozenset(address for pod in pods for address in pod.addresses
                              if address.version == version)
        if len(addresses) < 2:
            return str(*addresses)
        return "@" + self._names.setdefault(addresses, f"s{len(self._names)}")

    def lines(self):
        for addresses, name in self._names.items():
            kind = FAMILIES[next(iter(addresses)).version][1]
            yield f"  set {name} {{ type {kind}; elements = {{ " + ", ".join(
                str(address) for address in sorted(addresses)) + " }; }"


def _address_matches(sets, side, peer):
    """[(family or None for either, match)] of a peer."""
    if peer.pods is not None:
        return sets.match(side, peer.pods)
    if peer.block is None:
        return [(None, "")]
    version = peer.block.network.version
    match = f"{FAMILIES[version][0]} {side} {peer.block.network}"
    excepts = [f" {FAMILIES[version][0]} {side} != {each}" for each in peer.block.excepts]
    return [(version, match + "".join(excepts))]


def _port_matches(ports):
    """The matches of resolved ports, a rule each: nft -f takes minutes for thousands of nameless
    sets in one transaction, and none for as many rules.
    """
    if ports is None:
        return [""]
    ranges = collections.defaultdict(set)
    for protocol, first, last in ports:
        ranges[protocol.lower()].add((first, last))
    return [_port_match(protocol, first, last) for protocol, found in sorted(ranges.items())
            for first, last in _joined(found)]


def _port_match(protocol, first, last):
    if (first, last) == (0, manifests.LAST_PORT):
        return f"meta l4proto {protocol}"
    return f"{protocol} dport {first}" + (f"-{last}" if last != first else "")


def _joined(ranges):
    """Ranges in order, those that touch or overlap made one."""
    joined = []
    for first, last in sorted(ranges):
        if joined and first <= joined[-1][1] + 1:
            joined[-1] = (joined[-1][0], max(last, joined[-1][1]))
        else:
            joined.append((first, last))
    return joined


def _grouped(ports, pods):
    """{resolved ports: [pods]}: a port's name may mean another number on every pod."""
    groups = collections.defaultdict(list)
    for pod in pods:
        groups[manifests.resolved(ports, pod)].append(pod)
    return groups


def _owners(world, peer):
    """The pods whose addresses a block holds, or all."""
    block = peer.block
    return [pod for pod in world.pods if block is None or any(
        address in block.network and not any(address in each for each in block.excepts)
        for address in pod.addresses if address.version == block.network.version)]


def _combinations(world, way, rule, subjects):
    """(subjects, peer, resolved ports) that together allow what a rule allows."""
    named = any(port.name is not None for port in rule.ports)
    for peer in rule.peers:
        if not named:
            yield subjects, peer, manifests.resolved(rule.ports, None)
        elif way == "ingress":
            for ports, group in _grouped(rule.ports, subjects).items():
                yield group, peer, ports
        elif peer.pods is not None:
            for ports, group in _grouped(rule.ports, peer.pods).items():
                yield subjects, manifests.Peer(group, None), ports
        else:
            yield subjects, peer, manifests.resolved(rule.ports, None)
            for ports, group in _grouped(rule.ports, _owners(world, peer)).items():
                yield subjects, manifests.Peer(group, None), ports


def _allowances(world, sets, way, policy, subjects):
    """[(family or None, subjects, match)] of a policy for some of its subjects."""
    for rule in policy.rules[way] if policy.isolates[way] else []:
        for group, peer, ports in _combinations(world, way, rule, subjects):
            for version, addresses in _address_matches(sets, PEER[way], peer):
                for match in _port_matches(ports):
                    yield version, group, f"{addresses} {match}".strip()


def _linear(world, sets, way):
    for policy in world.policies:
        for version, group, match in _allowances(world, sets, way, policy, policy.subjects):
            for own_version, subject in sets.match(SUBJECT[way], group):
                if version in (None, own_version):
                    yield f"    {subject} {match} {THEN[way]}"
    for _, subject in sets.match(SUBJECT[way], world.pods):
        yield f"    {subject} drop"


def _of_policy(world, sets, way, policy, pod, written):
    """The rules of a policy for one pod; `written` remembers those that are every pod's."""
    own = way == "ingress" and any(port.name is not None for rule in policy.rules[way]
                                   for port in rule.ports)
    key = (policy.name, id(pod) if own else None)
    if key not in written:
        written[key] = [f"    {match} {THEN[way]}".replace("     ", "    ")
                        for _, _, match in _allowances(world, sets, way, policy, [pod])]
    return written[key]


def _mapped(world, sets, way, out):
    """Writes the chains of one way into `out`, and gives the lines that lead to them."""
    selecting = collections.defaultdict(list)
    for policy in world.policies:
        for pod in policy.subjects:
            selecting[id(pod)].append(policy)
    chains, verdicts, written = {}, collections.defaultdict(list), {}
    for pod in world.pods:
        rules = tuple(itertools.chain.from_iterable(
            _of_policy(world, sets, way, policy, pod, written) for policy in selecting[id(pod)]))
        name = chains.setdefault(rules, f"{way}-{len(chains)}")
        for address in pod.addresses:
            verdicts[address.version].append(f"{address} : goto {name}")
    for rules, name in chains.items():
        out += [f"  chain {name} {{", *rules, "    drop", "  }"]
    lines = []
    for version, elements in verdicts.items():
        word, kind = FAMILIES[version]
        name = MAP_NAMES[way, version]
        out += [f"  map {name} {{ type {kind} : verdict; elements = {{ "
                + ", ".join(elements) + " }; }"]
        lines.append(f"    {word} {SUBJECT[way]} vmap @{name}")
    return lines


def write(world, form):
    """The table for nft -f."""
    sets, out = Sets(), []
    for way in WAYS:
        body = (_mapped(world, sets, way, out) if form == "maps"
                else list(_linear(world, sets, way)))
        # Neither end is a pod that has rules: from outside to a pod ends above, transit here.
        rest = [] if way == "egress" else [
            f"    {match} accept" for _, match in sets.match("saddr", world.pods)]
        out += [f"  chain {way} {{", *body, *rest, "  }"]
    return "\n".join(["table inet portcullis_peer {", *sets.lines(), *out]) + "\n" + HEAD + "}\n"
