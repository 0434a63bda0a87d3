# SPDX-License-Identifier: MIT
"""Linux with nftables in Portcullis' place: the same lab, devices and addresses.

Node mode: a router, with the gateway's addresses at every pod's port. Wire mode: a bridge that
shows its packets to the filter of the router (br_netfilter).
"""
import os
import shutil
import subprocess

import lab as lab_module
import netns

BRIDGE_SYSCTLS = "/proc/sys/net/bridge"
TRIAL = """
add table inet portcullis_try
add chain inet portcullis_try forward { type filter hook forward priority filter; }
add rule inet portcullis_try forward ct state established accept
delete table inet portcullis_try
"""


def lack(namespace, mode):
    """What keeps nftables from being the middle here, or None."""
    if shutil.which("nft") is None:
        return "there is no nft; scripts/setup installs it"
    try:
        nft(namespace, TRIAL)
    except RuntimeError as problem:
        return f"this kernel offers no nf_tables: {problem}"
    if mode == "wire" and not netns.inside(namespace, lambda: os.path.exists(BRIDGE_SYSCTLS)):
        return "this kernel offers no br_netfilter"
    return None


def nft(namespace, commands):
    done = subprocess.run(["ip", "netns", "exec", namespace, "nft", "-f", "-"], input=commands,
                          capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(done.stderr.strip()[:1000])


class Linux:
    """with Linux(lab, ruleset): ... the lab's packets go by way of nftables meanwhile."""

    def __init__(self, lab, ruleset):
        self.lab, self.node = lab, lab.node
        self.devices = [device for _, device, _, _ in lab.port_tables()]
        self.ruleset = ruleset

    def __enter__(self):
        nft(self.node, self.ruleset)  # First: what is not allowed shall not pass in between.
        (self._route if self.lab.mode == "node" else self._bridge)()
        self._forget()
        return self

    def __exit__(self, *_):
        """Leaves the node's namespace as it was."""
        if self.lab.mode == "node":
            netns.set_sysctls(self.node, {"ipv4/ip_forward": 0, "ipv6/conf/all/forwarding": 0})
            for device in self.devices:
                netns.ip_batch(self.node, [f"addr flush dev {device}", f"route flush dev {device}"])
                netns.set_sysctls(self.node, {f"ipv6/conf/{device}/disable_ipv6": 1})
        else:
            netns.ip_batch(self.node, ["link del br0"])
        nft(self.node, "flush ruleset")
        self._forget()

    def _forget(self):
        """Hosts forget the middle that was: its link addresses, and what it said of their paths."""
        for namespace in sorted(set(self.lab.namespaces.values())):
            netns.ip_batch(namespace, ["neigh flush all"])
            netns.forget_routes(namespace)

    def _route(self):
        netns.set_sysctls(self.node, {f"ipv6/conf/{device}/disable_ipv6": 0
                                      for device in self.devices})
        commands = []
        for name, device, role, addresses in self.lab.port_tables():
            if role == "uplink":
                commands += [f"addr add {own}/{network.split('/')[1]} dev {device}"
                             for own, network in zip(addresses, lab_module.UPLINK_NETWORKS)]
                continue
            commands += [f"addr add {lab_module.POD_GATEWAYS[0]}/32 dev {device}",
                         f"addr add {lab_module.POD_GATEWAYS[1]}/64 dev {device} nodad"]
            mtu = f"mtu {self.lab.mtus[name]}" if name in self.lab.mtus else ""
            commands += [f"route add {address} dev {device} {mtu}" for address in addresses]
        commands += [f"route add default via {gateway}" for gateway in lab_module.UPLINK_GATEWAYS]
        netns.ip_batch(self.node, commands)
        netns.set_sysctls(self.node, {"ipv4/ip_forward": 1, "ipv6/conf/all/forwarding": 1})

    def _bridge(self):
        netns.ip_batch(self.node, ["link add br0 type bridge mcast_snooping 0 forward_delay 0"])
        netns.set_sysctls(self.node, {"ipv6/conf/br0/disable_ipv6": 1,
                                      "bridge/bridge-nf-call-iptables": 1,
                                      "bridge/bridge-nf-call-ip6tables": 1})
        netns.ip_batch(self.node, ["link set br0 up"] + [f"link set {device} master br0"
                                                         for device in self.devices])
