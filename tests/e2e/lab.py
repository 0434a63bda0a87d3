# SPDX-License-Identifier: MIT
"""The shop in network namespaces, with a place for Portcullis in the middle.

Node mode: a namespace for the node, and in it the far end of every pod's veth and an uplink.
    pod eth0 ---- NAME [node] up0 ---- eth0 world
Wire mode: two switches with the pods of one side each; the wire between them runs through the node.
    pod eth0 ---- [left switch] ---- left [node] right ---- [right switch] ---- eth0 pod, world
The kernel forwards nothing in the node's namespace and holds no address there: what arrives has
come through Portcullis.
"""
import os
import subprocess
import sys

import netns
import shop

HERE = os.path.dirname(os.path.abspath(__file__))

# Node mode: what pods take for their gateway, and the link between the node and the world.
POD_GATEWAYS = ("169.254.1.1", "fe80::1")
NODE_ADDRESSES = ("192.168.50.10", "fd00:50::10")
UPLINK_GATEWAYS = ("192.168.50.1", "fd00:50::1")
UPLINK_NETWORKS = ("192.168.50.0/24", "fd00:50::/64")
# Wire mode: the world is the router of the pods' segment.
SEGMENT_GATEWAYS = ("10.20.0.254", "fd00:20::fe")


def plug(holder, name, peer_namespace, peer="eth0"):
    """A cable: `name` in one namespace, `peer` in the other, both up, neither with an address."""
    netns.ip_batch(holder, [f"link add {name} type veth peer name {peer} netns {peer_namespace}",
                            f"link set {name} up"])
    netns.ip_batch(peer_namespace, [f"link set {peer} up"])


def make_like_a_card(namespace):
    """Gives eth0 of a namespace two habits of a network card.

    It finishes checksums and segments (offload() says of what), and takes packets in on one
    processor: a veth does so on whatever processor the sender ran, so that a socket which sends
    from two overtakes itself before Portcullis sees the packets; a card's queue has one.
    """
    offload(namespace, False)
    first = 1 << min(os.sched_getaffinity(0))
    _in_shell(namespace, f"echo {first:x} > /sys/class/net/eth0/queues/rx-0/rps_cpus")


def offload(namespace, on, device="eth0"):
    """Whether a device hands over half-made checksums and giant segments, as a veth is used to."""
    word = "on" if on else "off"
    set_offloads(namespace, f"tx {word} tso {word} gso {word} gro {word}", device)


def set_offloads(namespace, words, device="eth0"):
    """As `ethtool -K` takes them: "tso off gso off"."""
    _in_shell(namespace, f"ethtool -K {device} {words} >/dev/null")


def _in_shell(namespace, command):
    done = subprocess.run(["ip", "netns", "exec", namespace, "sh", "-ec", command],
                          capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"cannot set up eth0 of {namespace}: {done.stderr.strip()}")


def _silence(namespace, device):
    """The kernel keeps its own IPv6 off a device that DPDK owns."""
    netns.set_sysctls(namespace, {f"ipv6/conf/{device}/disable_ipv6": 1})


class Lab:
    """The namespaces of one mode, the servers in them, and where each name lives."""
    leaves_checksums = False  # Of SCTP, which probes write themselves.

    def __init__(self, run, mode):
        self.run, self.mode = run, mode
        self.mtus = {}  # Of Portcullis' ports by name, where not 1500.
        self.workers = 1
        self.pods = shop.read_pods()
        self.probes = shop.read_expectations(self.pods)
        if mode == "wire":
            self.probes = [probe for probe in self.probes if shop.crosses(probe, self.pods)]
        self.node = run.namespace(f"{mode}-node")
        self.world = run.namespace(f"{mode}-world")
        self.namespaces = {name: run.namespace(f"{mode}-{pod.name}")
                           for name, pod in self.pods.items()}
        self.namespaces.update({name: self.world for name in shop.OUTSIDE})
        (self._build_node if mode == "node" else self._build_wire)()
        self._serve()

    def addresses(self, name):
        return self.pods[name].addresses if name in self.pods else shop.OUTSIDE[name]

    # What the daemon is told about the ports, in the words of its configuration.
    def port_tables(self):
        """[(name, device, role, addresses)] of the ports that Portcullis owns."""
        if self.mode == "wire":
            return [("left", "left", "wire", ()), ("right", "right", "wire", ())]
        tables = [(pod.name, pod.name, "pod", pod.addresses) for pod in self.pods.values()]
        return tables + [("uplink", "up0", "uplink", NODE_ADDRESSES)]

    def _build_node(self):
        for name in self.pods:
            self.join_node(name)
        plug(self.node, "up0", self.world)
        _silence(self.node, "up0")
        self._address_world(UPLINK_GATEWAYS, UPLINK_NETWORKS)
        netns.ip_batch(self.world, [
            f"route add {shop.POD_NETWORKS[0]} via {NODE_ADDRESSES[0]}",
            f"route add {shop.POD_NETWORKS[1]} via {NODE_ADDRESSES[1]}"])

    def join_node(self, name):
        """A pod's veth, whose far end is in the node's namespace and has the pod's short name."""
        pod = self.pods[name]
        plug(self.node, pod.name, self.namespaces[name])
        _silence(self.node, pod.name)
        self.address_pod(name)

    def address_pod(self, name):
        """Gives a pod's eth0 its addresses and routes."""
        pod, inside = self.pods[name], self.namespaces[name]
        netns.ip_batch(inside, [
            "link set eth0 up",
            f"addr add {pod.addresses[0]}/32 dev eth0",
            f"addr add {pod.addresses[1]}/128 dev eth0 nodad",
            f"route add default via {POD_GATEWAYS[0]} dev eth0 onlink",
            f"route add default via {POD_GATEWAYS[1]} dev eth0"])
        make_like_a_card(inside)

    def _build_wire(self):
        for side in ("left", "right"):
            switch = self.run.namespace(f"wire-{side}")
            netns.ip_batch(switch, ["link add br0 type bridge mcast_snooping 0 forward_delay 0",
                                    "link set br0 up"])
            for name, pod in self.pods.items():
                if (side == "left") == shop.is_left(name, self.pods):
                    self._join(switch, pod.name, self.namespaces[name])
                    self._address_segment_pod(self.namespaces[name], pod)
            if side == "right":
                self._join(switch, "world", self.world)
            plug(self.node, side, switch, "wire0")
            _silence(self.node, side)
            self._join_wire(switch, side)
        self._address_world(SEGMENT_GATEWAYS, shop.POD_NETWORKS)

    def _join_wire(self, switch, side):
        """Brings the wire, plugged in as wire0, into the switch of a side."""
        netns.ip_batch(switch, ["link set wire0 master br0"])

    def _join(self, switch, name, namespace):
        plug(switch, name, namespace)
        netns.ip_batch(switch, [f"link set {name} master br0"])
        make_like_a_card(namespace)

    def _address_segment_pod(self, namespace, pod):
        netns.ip_batch(namespace, [
            f"addr add {pod.addresses[0]}/24 dev eth0",
            f"addr add {pod.addresses[1]}/64 dev eth0 nodad",
            f"route add default via {SEGMENT_GATEWAYS[0]}",
            f"route add default via {SEGMENT_GATEWAYS[1]}"])

    def _address_world(self, own, networks):
        lengths = [network.split("/")[1] for network in networks]
        commands = [f"addr add {own[0]}/{lengths[0]} dev eth0",
                    f"addr add {own[1]}/{lengths[1]} dev eth0 nodad"]
        for name, (ipv4, ipv6) in shop.OUTSIDE.items():
            # In node mode node-2 shares the uplink's network; the others are behind a router.
            device = "eth0" if name == "node-2" and self.mode == "node" else "lo"
            commands += [f"addr add {ipv4}/32 dev {device}",
                         f"addr add {ipv6}/128 dev {device} nodad"]
        netns.ip_batch(self.world, commands)
        make_like_a_card(self.world)

    def _serve(self):
        """Starts a listener for whatever the matrix tries to reach, and waits until all listen."""
        hosts = {name: (self.namespaces[name], shop.listeners(name, self.probes))
                 for name in self.pods}
        outside = [shop.listeners(name, self.probes) for name in shop.OUTSIDE]
        hosts["outside"] = (self.world, set().union(*outside))
        started = []
        for name, (namespace, wanted) in hosts.items():
            words = sorted(f"{protocol.lower()}:{port}" for protocol, port in wanted if port != 53)
            if any(port == 53 for _, port in wanted):
                self._serve_names(namespace)
            if words:
                started.append(self.run.start(
                    namespace, [sys.executable, os.path.join(HERE, "serve.py"), name, *words],
                    stdout=subprocess.PIPE, stderr=subprocess.DEVNULL))
        for process in started:
            if process.stdout.readline() != b"ready\n":
                raise RuntimeError(f"a server did not start: {process.args}")

    def _serve_names(self, namespace):
        """dnsmasq that knows every pod as NAME.NAMESPACE.example."""
        records = [f"--host-record={pod.name}.{pod.namespace}.example," + ",".join(pod.addresses)
                   for pod in self.pods.values()]
        self.run.start(namespace, [
            "dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null", "--no-resolv", "--no-hosts",
            "--user=root", f"--pid-file={self.run.folder}/dns-{namespace}.pid", *records],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
