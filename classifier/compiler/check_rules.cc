// SPDX-License-Identifier: MIT
#include "classifier/compiler/check_rules.h"

#include <algorithm>
#include <cstddef>
#include <functional>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "classifier/key.h"
#include "classifier/verdict.h"

namespace portcullis::classifier {
namespace {

constexpr std::size_t kRulesMax = (std::size_t{1} << 30U) - kBuiltinRules;
/// An outcome of the filter names one in 30 bits, the last of which stands for none.
constexpr std::size_t kStaticRulesMax = std::size_t{1} << 28U;

Result<void> check_prefix(const Prefix& prefix) {
  if (prefix.length > prefix.address.width() ||
      prefix_of(prefix.address, prefix.length) != prefix) {
    return fail(fmt::format("block {} has host bits; clear them", to_string(prefix)));
  }
  return {};
}

}  // namespace

Result<void> check_set(const RuleSet& rules, std::size_t index) {
  const AddressSet& set = rules.sets[index];
  if (std::ranges::adjacent_find(set.endpoints, std::greater_equal<>{}) != set.endpoints.end()) {
    return fail(fmt::format("the endpoints of set {} are not sorted and unique", index));
  }
  if (!set.endpoints.empty() && set.endpoints.back() >= rules.endpoints.size()) {
    return fail(fmt::format(
        "set {} names endpoint {} of {}", index, set.endpoints.back(), rules.endpoints.size()));
  }
  for (const Block& block : set.blocks) {
    PORTCULLIS_TRY_VOID(check_prefix(block.cidr));
    for (const Prefix& except : block.except) {
      PORTCULLIS_TRY_VOID(check_prefix(except));
    }
  }
  return {};
}

Result<void> check_rule(const RuleSet& rules, std::size_t index) {
  const Rule& rule = rules.rules[index];
  if (rule.action == Action::none) {
    return {};
  }
  const auto check = [&](std::string_view what, std::size_t named, std::size_t count) {
    return named < count
               ? Result<void>{}
               : fail(fmt::format("rule {} names {} {} of {}", index, what, named, count));
  };
  PORTCULLIS_TRY_VOID(check("subject set", rule.subjects, rules.sets.size()));
  PORTCULLIS_TRY_VOID(check("peer set", rule.peers, rules.sets.size()));
  PORTCULLIS_TRY_VOID(check("port set", rule.ports, rules.port_sets.size()));
  return {};
}

Result<void> check_endpoint(const RuleSet& rules, std::size_t index) {
  const EndpointIndex node = rules.endpoints[index].node;
  return node == kNoEndpoint || node < rules.endpoints.size()
             ? Result<void>{}
             : fail(fmt::format(
                   "endpoint {} runs on endpoint {} of {}", index, node, rules.endpoints.size()));
}

namespace {

Result<void> check_static_rule(const StaticRule& rule, std::size_t index) {
  const auto refuse = [&](std::string_view what) {
    return fail(fmt::format("static rule {}: {}", index, what));
  };
  for (const auto* prefix : {&rule.src, &rule.dst}) {
    if (*prefix) {
      PORTCULLIS_TRY_VOID(check_prefix(**prefix));
    }
  }
  if (rule.src && rule.dst && rule.src->address.family != rule.dst->address.family) {
    return refuse("its source and its destination are of different families");
  }
  for (const Interval* interval : {&rule.src_ports, &rule.dst_ports, &rule.icmp}) {
    if (interval->first > interval->last) {
      return refuse(fmt::format("an interval ends ahead of its begin, at {}", interval->last));
    }
  }
  if ((rule.tcp_flags & ~rule.tcp_flags_mask) != 0) {
    return refuse("it wants TCP flags that its mask leaves out");
  }
  if (rule.tcp_flags_mask != 0 && rule.protocol != kProtocolTcp) {
    return refuse("it has TCP flags, and its protocol is not TCP");
  }
  if (rule.icmp != Interval{} && rule.protocol != kProtocolIcmp &&
      rule.protocol != kProtocolIcmpv6) {
    return refuse("it has an ICMP type, and its protocol is neither ICMP nor ICMPv6");
  }
  return {};
}

Result<void> check_owners(const RuleSet& rules) {
  std::vector<std::pair<IpAddress, std::size_t>> owners;
  for (std::size_t i = 0; i < rules.endpoints.size(); ++i) {
    for (const IpAddress& address : rules.endpoints[i].addresses) {
      owners.emplace_back(address, i);
    }
  }
  std::ranges::sort(owners);
  const auto two_owners = [](const auto& a, const auto& b) {
    return a.first == b.first && a.second != b.second;
  };
  const auto found = std::ranges::adjacent_find(owners, two_owners);
  if (found != owners.end()) {
    return fail(fmt::format("address {} belongs to endpoints {} and {}; it can have one owner",
                            to_string(found->first),
                            found->second,
                            std::next(found)->second));
  }
  return {};
}

}  // namespace

Result<void> check_rules(const RuleSet& rules) {
  if (rules.static_rules.size() > kStaticRulesMax ||
      rules.rules.size() > kRulesMax - rules.static_rules.size()) {
    return fail(fmt::format("{} rules and {} static rules are more than can be named ({} and {})",
                            rules.rules.size(),
                            rules.static_rules.size(),
                            kRulesMax - kStaticRulesMax,
                            kStaticRulesMax));
  }
  for (const Prefix& prefix : rules.pod_cidrs) {
    PORTCULLIS_TRY_VOID(check_prefix(prefix));
  }
  for (std::size_t i = 0; i < rules.endpoints.size(); ++i) {
    PORTCULLIS_TRY_VOID(check_endpoint(rules, i));
  }
  for (std::size_t i = 0; i < rules.sets.size(); ++i) {
    PORTCULLIS_TRY_VOID(check_set(rules, i));
  }
  for (std::size_t i = 0; i < rules.rules.size(); ++i) {
    PORTCULLIS_TRY_VOID(check_rule(rules, i));
  }
  for (std::size_t i = 0; i < rules.static_rules.size(); ++i) {
    PORTCULLIS_TRY_VOID(check_static_rule(rules.static_rules[i], i));
  }
  return check_owners(rules);
}

}  // namespace portcullis::classifier
