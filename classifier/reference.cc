// SPDX-License-Identifier: MIT
// The linear matcher, step by step as rule.h counts them.
#include "classifier/reference.h"

#include <algorithm>
#include <numeric>

namespace portcullis::classifier {
namespace {

bool in_block(const Block& block, const IpAddress& address) {
  const auto holds_address = [&](const Prefix& prefix) { return prefix.contains(address); };
  return block.cidr.contains(address) && std::ranges::none_of(block.except, holds_address);
}

}  // namespace

Reference::Reference(const RuleSet& rules) : rules_(rules) {
  for (std::size_t i = 0; i < rules.endpoints.size(); ++i) {
    for (const IpAddress& address : rules.endpoints[i].addresses) {
      endpoints_.emplace(address, static_cast<EndpointIndex>(i));
    }
  }
  ordered_.resize(rules.rules.size());
  std::iota(ordered_.begin(), ordered_.end(), std::size_t{0});
  std::ranges::stable_sort(ordered_, {}, [&](std::size_t i) { return rules.rules[i].order; });
}

Verdict Reference::lookup(const Flow& flow) const {
  if (const auto decided = decide_by_static_rules(flow)) {  // Step 0.
    return {.egress = *decided, .ingress = *decided};
  }
  return {.egress = decide(Direction::egress, flow), .ingress = decide(Direction::ingress, flow)};
}

std::optional<Decision> Reference::decide_by_static_rules(const Flow& flow) const {
  for (std::size_t i = 0; i < rules_.static_rules.size(); ++i) {
    const StaticRule& rule = rules_.static_rules[i];
    if (!matches(rule, flow)) {
      continue;
    }
    if (rule.action == Action::pass) {
      return std::nullopt;
    }
    const RuleId id = rule_id(rules_.rules.size() + i);
    return rule.action == Action::allow ? Decision::allow(id) : Decision::deny(id);
  }
  return std::nullopt;
}

bool Reference::matches(const StaticRule& rule, const Flow& flow) {
  const auto holds = [](const Interval& interval, std::uint16_t number) {
    return interval.first <= number && number <= interval.last;
  };
  return (!rule.src || rule.src->contains(flow.src)) &&
         (!rule.dst || rule.dst->contains(flow.dst)) &&
         (!rule.protocol || *rule.protocol == flow.protocol) &&
         holds(rule.src_ports, flow.src_port) && holds(rule.dst_ports, flow.dst_port) &&
         holds(rule.icmp, flow.icmp) && (flow.tcp_flags & rule.tcp_flags_mask) == rule.tcp_flags;
}

Decision Reference::decide(Direction direction, const Flow& flow) const {
  const bool egress = direction == Direction::egress;
  const IpAddress& subject = egress ? flow.src : flow.dst;
  const IpAddress& peer = egress ? flow.dst : flow.src;
  if (!is_workload(subject)) {  // Step 1.
    return without_subject(subject, peer);
  }
  if (subject == peer) {  // Step 2.
    return Decision::allow(rule_id(Builtin::self));
  }
  if (const auto decided = decide_in_tier(direction, Tier::admin, flow)) {  // Step 3.
    return *decided;
  }
  if (is_own_node(subject, peer)) {  // Step 4.
    return Decision::allow(rule_id(Builtin::own_node));
  }
  for (const Tier tier : {Tier::network_policy, Tier::baseline}) {  // Step 5.
    if (const auto decided = decide_in_tier(direction, tier, flow)) {
      return *decided;
    }
  }
  return rules_.default_mode == DefaultMode::deny  // Step 6.
             ? Decision::deny(rule_id(Builtin::default_deny))
             : Decision::allow(rule_id(Builtin::default_allow));
}

Decision Reference::without_subject(const IpAddress& subject, const IpAddress& peer) const {
  if (rules_.default_mode == DefaultMode::deny) {
    const auto holds_subject = [&](const Prefix& prefix) { return prefix.contains(subject); };
    if (std::ranges::any_of(rules_.pod_cidrs, holds_subject)) {
      return Decision::deny(rule_id(Builtin::unidentified));
    }
    if (!is_workload(peer)) {
      return Decision::deny(rule_id(Builtin::transit));
    }
  }
  return Decision::allow(rule_id(Builtin::no_subject));
}

std::optional<Decision> Reference::decide_in_tier(Direction direction,
                                                  Tier tier,
                                                  const Flow& flow) const {
  for (const std::size_t i : ordered_) {
    const Rule& rule = rules_.rules[i];
    if (rule.direction != direction || rule.tier != tier || rule.action == Action::none ||
        !matches(rule, flow)) {
      continue;
    }
    switch (rule.action) {
      case Action::allow:
        return Decision::allow(rule_id(i));
      case Action::deny:
        return Decision::deny(rule_id(i));
      case Action::pass:
      case Action::none:
        return std::nullopt;
    }
  }
  return std::nullopt;
}

bool Reference::matches(const Rule& rule, const Flow& flow) const {
  const bool egress = rule.direction == Direction::egress;
  return holds(rules_.sets[rule.subjects], egress ? flow.src : flow.dst) &&
         holds(rules_.sets[rule.peers], egress ? flow.dst : flow.src) &&
         holds(rules_.port_sets[rule.ports], flow.protocol, flow.dst_port);
}

bool Reference::holds(const AddressSet& set, const IpAddress& address) const {
  const EndpointIndex owner = endpoint_of(address);
  return set.everything ||
         (owner != kNoEndpoint && std::ranges::binary_search(set.endpoints, owner)) ||
         std::ranges::any_of(set.blocks,
                             [&](const Block& block) { return in_block(block, address); });
}

bool Reference::holds(const PortSet& ports, std::uint8_t protocol, std::uint16_t port) {
  const auto in_range = [&](const PortRange& range) {
    return range.protocol == protocol && range.first <= port && port <= range.last;
  };
  return ports.everything || std::ranges::any_of(ports.ranges, in_range);
}

EndpointIndex Reference::endpoint_of(const IpAddress& address) const {
  const auto found = endpoints_.find(address);
  return found == endpoints_.end() ? kNoEndpoint : found->second;
}

bool Reference::is_workload(const IpAddress& address) const {
  const EndpointIndex owner = endpoint_of(address);
  return owner != kNoEndpoint && rules_.endpoints[owner].kind == Endpoint::Kind::workload;
}

bool Reference::is_own_node(const IpAddress& subject, const IpAddress& peer) const {
  const EndpointIndex owner = endpoint_of(peer);
  return owner != kNoEndpoint && rules_.endpoints[owner].kind == Endpoint::Kind::node &&
         rules_.endpoints[endpoint_of(subject)].node == owner;
}

}  // namespace portcullis::classifier
