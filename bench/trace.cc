// SPDX-License-Identifier: MIT
// Traces over a policy-shaped world.
#include <algorithm>
#include <cmath>

#include "bench/corpus.h"
#include "classifier/lookup.h"

namespace portcullis::bench {
namespace {

using namespace classifier;

constexpr std::size_t kTraceKeys = 262'144;
constexpr std::size_t kSkewedFlows = 65'536;
constexpr double kZipfExponent = 1.1;

class TraceMaker {
 public:
  TraceMaker(const World& world, const Table& table)
      : rules_(world.rules), table_(table), pods_(world.shape.pods), random_(~world.shape.seed) {
    for (std::size_t i = 0; i < rules_.rules.size(); ++i) {
      const Rule& rule = rules_.rules[i];
      if (rule.action == Action::allow && has_any(rules_.sets[rule.subjects]) &&
          has_any(rules_.sets[rule.peers])) {
        allow_rules_.push_back(i);
      }
    }
  }

  Key4 mixed() {
    const std::size_t die = below(10);
    if (die < 5) {
      return allowed();
    }
    return die < 9 ? uniform() : from_or_to_outside();
  }

  /// From now on, one end of every flow is one of these pods, sorted. What a mixed trace has of
  /// such flows stays in proportion.
  void keep_to(std::vector<EndpointIndex> local) {
    local_ = std::move(local);
    std::erase_if(allow_rules_, [&](std::size_t i) {
      const Rule& rule = rules_.rules[i];
      return !has_local(rules_.sets[rule.subjects]) && !has_local(rules_.sets[rule.peers]);
    });
  }

  Key4 mixed_local() {
    // Of 50 allowed flows, 40 pod pairs and 10 with one pod, twice as many of the former touch it.
    const std::size_t die = below(95);
    if (die < 50) {
      Key4 key = allowed();
      while (!is_local(key.src) && !is_local(key.dst)) {
        key = allowed();
      }
      return key;
    }
    const std::uint32_t pod = pod_address(local_[below(local_.size())]);
    const std::uint32_t other =
        die < 90 ? pod_address(below(pods_)) : static_cast<std::uint32_t>(random_());
    return below(2) == 0 ? with_port(pod, other, any_ports()) : with_port(other, pod, any_ports());
  }

  Key4 uniform() {
    return with_port(pod_address(below(pods_)), pod_address(below(pods_)), any_ports());
  }

  Key4 denied() {
    while (true) {
      const Key4 key = uniform();
      if (!is_allowed(key)) {
        return key;
      }
    }
  }

  /// A flow that some rule was written for and that both ends let through.
  Key4 allowed() {
    while (true) {
      const Rule& rule = rules_.rules[allow_rules_[below(allow_rules_.size())]];
      const std::uint32_t subject = address_in(rules_.sets[rule.subjects]);
      const std::uint32_t peer = address_in(rules_.sets[rule.peers]);
      const PortSet& ports = rules_.port_sets[rule.ports];
      const bool egress = rule.direction == Direction::egress;
      const Key4 key = with_port(egress ? subject : peer, egress ? peer : subject, ports);
      if (is_allowed(key)) {
        return key;
      }
    }
  }

  Key4 of_kind(TraceKind kind) {
    switch (kind) {
      case TraceKind::allowed:
        return allowed();
      case TraceKind::uniform:
        return uniform();
      case TraceKind::denied:
        return denied();
      case TraceKind::mixed:
      case TraceKind::skewed:
        break;
    }
    return mixed();
  }

  std::size_t below(std::size_t end) { return random_() % end; }
  double unit() { return std::uniform_real_distribution<double>(0, 1)(random_); }

 private:
  /// A namespace without apps makes an empty set.
  static bool has_any(const AddressSet& set) {
    return !set.endpoints.empty() || !set.blocks.empty();
  }
  [[nodiscard]] bool has_local(const AddressSet& set) const {
    return std::ranges::any_of(set.endpoints, [&](EndpointIndex endpoint) {
      return std::ranges::binary_search(local_, endpoint);
    });
  }
  [[nodiscard]] bool is_local(std::uint32_t address) const {
    return std::ranges::any_of(
        local_, [&](EndpointIndex endpoint) { return pod_address(endpoint) == address; });
  }

  bool is_allowed(const Key4& key) const {
    Verdict verdict;
    lookup(table_, std::span(&key, 1), std::span(&verdict, 1));
    return verdict.allowed();
  }

  std::uint32_t pod_address(std::size_t endpoint) const {
    return rules_.endpoints[endpoint].addresses[0].v4();
  }

  std::uint32_t address_in(const AddressSet& set) {
    const std::size_t choice = below(set.endpoints.size() + set.blocks.size());
    if (choice < set.endpoints.size()) {
      return pod_address(set.endpoints[choice]);
    }
    const Prefix& cidr = set.blocks[choice - set.endpoints.size()].cidr;
    const auto host = static_cast<std::uint32_t>(random_()) & (0xffff'ffffU >> cidr.length);
    return cidr.address.v4() | host;
  }

  Key4 from_or_to_outside() {
    const auto outside = static_cast<std::uint32_t>(random_());
    const std::uint32_t pod = pod_address(below(pods_));
    return below(2) == 0 ? with_port(outside, pod, any_ports())
                         : with_port(pod, outside, any_ports());
  }

  const PortSet& any_ports() { return rules_.port_sets[below(rules_.port_sets.size())]; }

  Key4 with_port(std::uint32_t src, std::uint32_t dst, const PortSet& ports) {
    Key4 key{.src = src,
             .dst = dst,
             .src_port = static_cast<std::uint16_t>(32'768 + below(28'000)),
             .dst_port = static_cast<std::uint16_t>(random_()),
             .protocol = kProtocolTcp};
    if (!ports.everything) {
      const PortRange& range = ports.ranges[below(ports.ranges.size())];
      const std::size_t width = range.last - range.first + std::size_t{1};
      key.protocol = range.protocol;
      key.dst_port = static_cast<std::uint16_t>(range.first + below(width));
    }
    return key;
  }

  const RuleSet& rules_;
  const Table& table_;
  std::size_t pods_;
  std::mt19937_64 random_;
  std::vector<std::size_t> allow_rules_;
  std::vector<EndpointIndex> local_;
};

/// Draws flow numbers so that the n-th most frequent comes up n^-1.1 as often as the first.
std::vector<std::size_t> zipf_draws(TraceMaker& maker, std::size_t flows, std::size_t draws) {
  std::vector<double> cumulative;
  double sum = 0;
  for (std::size_t i = 1; i <= flows; ++i) {
    sum += std::pow(static_cast<double>(i), -kZipfExponent);
    cumulative.push_back(sum);
  }
  std::vector<std::size_t> out;
  for (std::size_t i = 0; i < draws; ++i) {
    const auto found = std::ranges::lower_bound(cumulative, maker.unit() * sum);
    out.push_back(
        std::min<std::size_t>(static_cast<std::size_t>(found - cumulative.begin()), flows - 1));
  }
  return out;
}

}  // namespace

const char* to_string(TraceKind kind) {
  switch (kind) {
    case TraceKind::allowed:
      return "allowed";
    case TraceKind::skewed:
      return "skewed";
    case TraceKind::uniform:
      return "uniform";
    case TraceKind::denied:
      return "denied";
    case TraceKind::mixed:
      break;
  }
  return "mixed";
}

std::vector<Key4> make_trace(const World& world, const Table& table, TraceKind kind) {
  TraceMaker maker(world, table);
  const std::size_t flow_count = kind == TraceKind::skewed ? kSkewedFlows : kTraceKeys;
  std::vector<Key4> flows;
  for (std::size_t i = 0; i < flow_count; ++i) {
    flows.push_back(maker.of_kind(kind));
  }
  if (kind != TraceKind::skewed) {
    return flows;
  }
  std::vector<Key4> keys;
  for (const std::size_t flow : zipf_draws(maker, kSkewedFlows, kTraceKeys)) {
    keys.push_back(flows[flow]);
  }
  return keys;
}

std::vector<Key4> make_node_trace(const World& world,
                                  const Table& table,
                                  EndpointIndex node,
                                  std::size_t count) {
  std::vector<EndpointIndex> local;
  for (EndpointIndex i = 0; i < world.rules.endpoints.size(); ++i) {
    if (world.rules.endpoints[i].node == node) {
      local.push_back(i);
    }
  }
  TraceMaker maker(world, table);
  maker.keep_to(std::move(local));
  std::vector<Key4> keys;
  for (std::size_t i = 0; i < count; ++i) {
    keys.push_back(maker.mixed_local());
  }
  return keys;
}

}  // namespace portcullis::bench
