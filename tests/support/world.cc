// SPDX-License-Identifier: MIT
#include "tests/support/world.h"

#include <algorithm>
#include <array>
#include <random>
#include <set>
#include <string>

#include <fmt/format.h>

namespace portcullis::test {

namespace {

using namespace policy;
using classifier::Block;
using classifier::kProtocolIcmp;
using classifier::kProtocolIcmpv6;
using classifier::kProtocolSctp;
using classifier::kProtocolTcp;
using classifier::kProtocolUdp;

constexpr std::array<const char*, 4> kKeys{"app", "env", "a.b/app", "App"};
constexpr std::array<const char*, 4> kValues{"x", "y", "", "X"};
constexpr std::array<const char*, 3> kPortNames{"http", "dns", "metrics"};
constexpr std::array<std::uint8_t, 3> kProtocols{kProtocolTcp, kProtocolUdp, kProtocolSctp};
constexpr std::array<std::uint16_t, 8> kPorts{1, 53, 80, 81, 443, 8080, 65534, 65535};

/// Draws a world. Every choice goes through below(), so that a seed says everything.
class Dice {
 public:
  Dice(std::uint64_t seed, const WorldSize& size) : random_(seed), size_(size) {}

  World roll() {
    add_namespaces();
    add_nodes();
    add_pods();
    add_policies();
    world_.options.default_mode =
        chance(50) ? classifier::DefaultMode::deny : classifier::DefaultMode::kubernetes;
    if (chance(60)) {
      world_.options.pod_cidrs.push_back(block_v4(24));
    }
    if (chance(40)) {
      world_.options.pod_cidrs.push_back(block_v6(120));
    }
    return std::move(world_);
  }

 private:
  unsigned below(unsigned bound) { return static_cast<unsigned>(random_() % bound); }
  unsigned between(unsigned low, unsigned high) { return low + below(high - low + 1); }
  bool chance(unsigned percent) { return below(100) < percent; }
  template <typename Items>
  auto one_of(const Items& items) {
    return items[below(static_cast<unsigned>(items.size()))];
  }

  Labels labels();
  Requirement requirement();
  Selector selector();
  IpAddress address_v4();
  IpAddress address_v6();
  Prefix block_v4(unsigned length);
  Prefix block_v6(unsigned length);
  Block block();
  Peer peer();
  PolicyPort port();
  PolicyRule rule(unsigned number);
  std::vector<ContainerPort> container_ports();
  void add_namespaces();
  void add_nodes();
  void add_pods();
  void add_host_pod(Pod& pod);
  void add_policies();

  std::mt19937_64 random_;
  WorldSize size_;
  World world_;
  std::vector<std::string> namespaces_;
  std::set<IpAddress> taken_;
};

Labels Dice::labels() {
  Labels labels;
  for (const char* key : kKeys) {
    if (chance(45)) {
      labels.emplace_back(key, one_of(kValues));
    }
  }
  std::sort(labels.begin(), labels.end());
  return labels;
}

Requirement Dice::requirement() {
  Requirement drawn{one_of(kKeys), static_cast<Requirement::Operator>(below(4)), {}};
  if (drawn.op == Requirement::Operator::in || drawn.op == Requirement::Operator::not_in) {
    for (unsigned left = between(1, 3); left > 0; --left) {
      drawn.values.emplace_back(one_of(kValues));
    }
  }
  return drawn;
}

Selector Dice::selector() {
  Selector drawn;
  for (unsigned left = chance(30) ? 0 : 1 + below(2); left > 0; --left) {
    drawn.requirements.push_back(requirement());
  }
  return drawn;
}

/// 32 addresses across two neighbouring /24: few, so that everything overlaps. More where there
/// are more pods.
IpAddress Dice::address_v4() {
  return IpAddress::from_v4(0x0a0000f0U + below(std::max(32U, 2 * size_.pods_max)));
}

IpAddress Dice::address_v6() {
  return IpAddress::from_v6(
      {0xfd,
       0,
       0,
       0,
       0,
       0,
       0,
       0,
       0,
       0,
       0,
       0,
       0,
       0,
       0,
       static_cast<std::uint8_t>(below(std::clamp(2 * size_.pods_max, 32U, 256U)))});
}

Prefix Dice::block_v4(unsigned length) {
  return prefix_of(chance(90) ? address_v4() : IpAddress::from_v4(0xc0a80900U + below(8)), length);
}

Prefix Dice::block_v6(unsigned length) {
  return prefix_of(address_v6(), length);
}

Block Dice::block() {
  constexpr std::array<unsigned, 8> kLengths{0, 8, 23, 24, 28, 29, 31, 32};
  const bool v6 = chance(30);
  const unsigned shift = v6 ? 96 : 0;
  const unsigned length = one_of(kLengths) + (v6 && chance(80) ? shift : 0);
  Block drawn{v6 ? block_v6(length) : block_v4(length), {}};
  const unsigned width = v6 ? 128 : 32;
  // Nested and repeated exceptions: each lies inside the block, some inside one another.
  for (unsigned left = below(4); left > 0 && length < width; --left) {
    IpAddress inside = v6 ? address_v6() : address_v4();
    if (!drawn.cidr.contains(inside)) {
      inside = chance(50) ? first_address(drawn.cidr) : last_address(drawn.cidr);
    }
    drawn.except.push_back(prefix_of(inside, length + 1 + below(width - length)));
  }
  return drawn;
}

Peer Dice::peer() {
  if (chance(35)) {
    return block();
  }
  PodPeer drawn;
  if (chance(50)) {
    drawn.namespaces = selector();
  }
  if (!drawn.namespaces || chance(60)) {
    drawn.pods = selector();
  }
  return drawn;
}

PolicyPort Dice::port() {
  PolicyPort drawn{one_of(kProtocols), "", {}, {}};
  if (chance(60)) {
    drawn.protocol = kProtocolTcp;
  }
  switch (below(4)) {
    case 0:
      break;
    case 1:
      drawn.name = one_of(kPortNames);
      break;
    case 2:
      drawn.first = drawn.last = one_of(kPorts);
      break;
    default:
      drawn.first = one_of(kPorts);
      drawn.last = std::max(*drawn.first, one_of(kPorts));
  }
  return drawn;
}

PolicyRule Dice::rule(unsigned number) {
  PolicyRule drawn;
  for (unsigned left = chance(20) ? 0 : 1 + below(3); left > 0; --left) {
    drawn.peers.push_back(peer());
  }
  for (unsigned left = chance(25) ? 0 : 1 + below(3); left > 0; --left) {
    drawn.ports.push_back(port());
  }
  drawn.where = {"policies.yaml", 100 + number, 3};
  return drawn;
}

std::vector<ContainerPort> Dice::container_ports() {
  std::vector<ContainerPort> ports;
  for (unsigned left = below(5); left > 0; --left) {
    ports.push_back({chance(80) ? one_of(kPortNames) : "", one_of(kProtocols), one_of(kPorts)});
  }
  return ports;
}

void Dice::add_namespaces() {
  const unsigned count = between(1, size_.namespaces_max);
  for (unsigned i = 0; i < count; ++i) {
    namespaces_.push_back(fmt::format("ns-{}", i));
    if (chance(85)) {
      world_.snapshot.namespaces.push_back({namespaces_.back(), labels(), {}});
    }
  }
}

void Dice::add_nodes() {
  const unsigned count = between(0, size_.nodes_max);
  for (unsigned i = 0; i < count; ++i) {
    Node node{fmt::format("node-{}", i), labels(), {}, {}, {}};
    if (chance(90)) {
      // A node's own address may lie among its pods'.
      node.addresses.push_back(chance(20) ? address_v4() : IpAddress::from_v4(0xc0a80900U + i));
    }
    if (chance(50)) {
      node.addresses.push_back(address_v6());
    }
    std::erase_if(node.addresses,
                  [&](const IpAddress& address) { return !taken_.insert(address).second; });
    if (chance(70)) {
      node.pod_cidrs.push_back(block_v4(28));
    }
    if (chance(40)) {
      node.pod_cidrs.push_back(block_v6(124));
    }
    world_.snapshot.nodes.push_back(std::move(node));
  }
}

void Dice::add_pods() {
  const unsigned pods_count = between(1, size_.pods_max);
  for (unsigned i = 0; i < pods_count; ++i) {
    Pod pod;
    pod.name_space = one_of(namespaces_);
    pod.name = fmt::format("pod-{:02}", i);
    pod.labels = labels();
    pod.ports = container_ports();
    pod.where = {"pods.yaml", i + 1, 1};
    if (chance(80)) {
      // One more than there are nodes: a node that only pods speak of.
      const auto nodes_count = static_cast<unsigned>(world_.snapshot.nodes.size());
      const unsigned node = below(nodes_count + 1);
      pod.node = fmt::format("node-{}", node);
      if (node == nodes_count && chance(60)) {
        pod.host_addresses.push_back(IpAddress::from_v4(0xc0a80900U + node));
      }
    }
    if (chance(12)) {
      add_host_pod(pod);
    } else {
      pod.terminated = chance(15);
      if (chance(92)) {
        pod.addresses.push_back(address_v4());
      }
      if (chance(50)) {
        pod.addresses.insert(chance(30) ? pod.addresses.begin() : pod.addresses.end(),
                             address_v6());
      }
    }
    if (!pod.terminated && !pod.host_network) {
      std::erase_if(pod.addresses,
                    [&](const IpAddress& address) { return !taken_.insert(address).second; });
    }
    world_.snapshot.pods.push_back(std::move(pod));
  }
  auto& pods = world_.snapshot.pods;
  std::sort(pods.begin(), pods.end(), [](const Pod& a, const Pod& b) {
    return std::tie(a.name_space, a.name) < std::tie(b.name_space, b.name);
  });
}

void Dice::add_host_pod(Pod& pod) {
  pod.host_network = true;
  pod.terminated = chance(10);
  for (const Node& node : world_.snapshot.nodes) {
    if (node.name == pod.node) {
      pod.addresses = node.addresses;
    }
  }
  if (pod.addresses.empty()) {
    pod.addresses = pod.host_addresses;
  }
}

void Dice::add_policies() {
  const unsigned count = between(0, size_.policies_max);
  for (unsigned i = 0; i < count; ++i) {
    NetworkPolicy policy;
    policy.name_space = one_of(namespaces_);
    policy.name = fmt::format("policy-{}", i);
    policy.subjects = selector();
    policy.isolates_ingress = chance(70);
    policy.isolates_egress = chance(60);
    policy.where = {"policies.yaml", i + 1, 1};
    for (unsigned left = below(4); left > 0; --left) {
      policy.ingress.push_back(rule(left));
    }
    for (unsigned left = below(4); left > 0; --left) {
      policy.egress.push_back(rule(left));
    }
    world_.snapshot.policies.push_back(std::move(policy));
  }
  auto& policies = world_.snapshot.policies;
  std::sort(policies.begin(), policies.end(), [](const auto& a, const auto& b) {
    return std::tie(a.name_space, a.name) < std::tie(b.name_space, b.name);
  });
}

/// Collects every boundary that a world's text mentions.
class Boundaries {
 public:
  void mark(const World& world);
  void store(World& world) const;

 private:
  void mark(const IpAddress& address) {
    addresses_.insert({previous_address(address), address, next_address(address)});
  }
  void mark(const Prefix& prefix) {
    mark(first_address(prefix));
    mark(last_address(prefix));
  }
  void mark(const PolicyRule& rule);
  void mark_port(std::uint16_t port) {
    for (const std::uint8_t protocol : kProtocols) {
      ports_.insert({protocol, port});
    }
  }

  std::set<IpAddress> addresses_;
  std::set<std::pair<std::uint8_t, std::uint16_t>> ports_;
};

void Boundaries::mark(const PolicyRule& rule) {
  for (const Peer& peer : rule.peers) {
    if (const auto* block = std::get_if<Block>(&peer)) {
      mark(block->cidr);
      for (const Prefix& hole : block->except) {
        mark(hole);
      }
    }
  }
  for (const PolicyPort& port : rule.ports) {
    if (port.first) {
      mark_port(static_cast<std::uint16_t>(*port.first - 1));
      mark_port(*port.first);
      mark_port(*port.last);
      mark_port(static_cast<std::uint16_t>(*port.last + 1));
    }
  }
}

void Boundaries::mark(const World& world) {
  for (const Pod& pod : world.snapshot.pods) {
    addresses_.insert(pod.addresses.begin(), pod.addresses.end());
    addresses_.insert(pod.host_addresses.begin(), pod.host_addresses.end());
    for (const ContainerPort& port : pod.ports) {
      mark_port(port.number);
    }
  }
  for (const Node& node : world.snapshot.nodes) {
    addresses_.insert(node.addresses.begin(), node.addresses.end());
    for (const Prefix& cidr : node.pod_cidrs) {
      mark(cidr);
    }
  }
  for (const Prefix& cidr : world.options.pod_cidrs) {
    mark(cidr);
  }
  for (const NetworkPolicy& policy : world.snapshot.policies) {
    for (const auto* rules : {&policy.ingress, &policy.egress}) {
      for (const PolicyRule& rule : *rules) {
        mark(rule);
      }
    }
  }
  addresses_.insert({IpAddress::from_v4(0x08080808), IpAddress::from_v6({0x20, 0x01, 0x0d, 0xb8})});
  mark_port(0);
  mark_port(65535);
  ports_.insert({{kProtocolIcmp, 0}, {kProtocolIcmpv6, 0}, {47, 0}, {255, 0}, {0, 0}});
}

void Boundaries::store(World& world) const {
  for (const IpAddress& address : addresses_) {
    (address.family == Family::v4 ? world.addresses_v4 : world.addresses_v6).push_back(address);
  }
  world.ports.assign(ports_.begin(), ports_.end());
}

}  // namespace

World random_world(std::uint64_t seed, const WorldSize& size) {
  World world = Dice(seed, size).roll();
  Boundaries boundaries;
  boundaries.mark(world);
  boundaries.store(world);
  return world;
}

}  // namespace portcullis::test
