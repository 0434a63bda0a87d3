// SPDX-License-Identifier: MIT
#include "classifier/compiler/check_rules.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <iterator>
#include <mutex>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "classifier/address_order.h"
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

Failure two_owners(const IpAddress& address, std::size_t first, std::size_t second) {
  return fail(fmt::format("address {} belongs to endpoints {} and {}; it can have one owner",
                          to_string(address),
                          first,
                          second));
}

Result<void> check_owners(const RuleSet& rules, const Crew& crew) {
  std::vector<std::uint64_t> owners_v4;  // By address, then in order of endpoint.
  std::vector<std::pair<IpAddress, std::size_t>> owners_v6;
  owners_v4.reserve(rules.endpoints.size());
  for (std::size_t i = 0; i < rules.endpoints.size() && !crew.stopped(); ++i) {
    for (const IpAddress& address : rules.endpoints[i].addresses) {
      if (address.family == Family::v4) {
        owners_v4.push_back(by_address(address.v4(), static_cast<EndpointIndex>(i)));
      } else {
        owners_v6.emplace_back(address, i);
      }
    }
  }
  sort_by_address(owners_v4);
  for (std::size_t i = 1; i < owners_v4.size(); ++i) {
    const std::uint64_t first = owners_v4[i - 1];
    const std::uint64_t second = owners_v4[i];
    if (address_of(first) == address_of(second) && item_of(first) != item_of(second)) {
      return two_owners(IpAddress::from_v4(address_of(first)), item_of(first), item_of(second));
    }
  }
  std::ranges::sort(owners_v6);
  const auto found =
      std::ranges::adjacent_find(owners_v6, [](const auto& first, const auto& second) {
        return first.first == second.first && first.second != second.second;
      });
  if (found != owners_v6.end()) {
    return two_owners(found->first, found->second, std::next(found)->second);
  }
  return {};
}

/// Of the errors that several threads find, the one of the lowest index.
class FirstError {
 public:
  void add(std::size_t index, Result<void> found) {
    const std::lock_guard lock(mutex_);
    if (!error_ || index < index_) {
      index_ = index;
      error_ = std::move(found).error();
    }
  }
  [[nodiscard]] Result<void> result() && {
    return error_ ? Result<void>(Failure(*std::move(error_))) : Result<void>{};
  }

 private:
  std::mutex mutex_;  // Guards both.
  std::size_t index_ = 0;
  std::optional<Error> error_;
};

/// Checks sets, and beside them who owns the addresses: the two that take long.
Result<void> check_sets(const RuleSet& rules, Crew& crew, Result<void>& owned) {
  constexpr std::size_t kSetsPerPiece = 1024;
  const std::size_t count = rules.sets.size();
  FirstError first;
  crew.begin("check", count);
  crew.each(count / kSetsPerPiece + 2, [&](unsigned /*worker*/, std::size_t piece) {
    if (piece == 0) {
      owned = check_owners(rules, crew);
      return;
    }
    const std::size_t last = std::min(count, piece * kSetsPerPiece);
    for (std::size_t i = (piece - 1) * kSetsPerPiece; i < last && !crew.stopped(); ++i) {
      if (auto checked = check_set(rules, i); !checked) {
        return first.add(i, std::move(checked));
      }
    }
    crew.advance(kSetsPerPiece);
  });
  return std::move(first).result();
}

}  // namespace

Result<void> check_rules(const RuleSet& rules, Crew& crew) {
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
  Result<void> owned;
  PORTCULLIS_TRY_VOID(check_sets(rules, crew, owned));
  for (std::size_t i = 0; i < rules.rules.size(); ++i) {
    PORTCULLIS_TRY_VOID(check_rule(rules, i));
  }
  for (std::size_t i = 0; i < rules.static_rules.size(); ++i) {
    PORTCULLIS_TRY_VOID(check_static_rule(rules.static_rules[i], i));
  }
  return owned;
}

}  // namespace portcullis::classifier
