// SPDX-License-Identifier: MIT
#include "control/rule_ledger.h"

#include <algorithm>
#include <array>
#include <map>
#include <string_view>
#include <tuple>
#include <unordered_set>
#include <utility>

#include <fmt/format.h>

#include "base/check.h"
#include "classifier/verdict.h"

namespace portcullis::control {
namespace {

using classifier::Direction;
using policy::NetworkPolicy;
using policy::RuleOrigin;

/// By Builtin.
constexpr std::array<std::string_view, 7> kBuiltinNames{
    "no_subject", "default_allow", "default_deny", "self", "own_node", "unidentified", "transit"};

std::string builtin_name(classifier::RuleId id) {
  return id < kBuiltinNames.size() ? std::string(kBuiltinNames.at(id)) : "reserved";
}

/// A digest of what one rule of a policy says: the policy with everything else taken out.
std::string content_of(const NetworkPolicy& whole, const RuleOrigin& origin) {
  const bool egress = origin.direction == Direction::egress;
  NetworkPolicy only{.name_space = whole.name_space,
                     .name = whole.name,
                     .subjects = whole.subjects,
                     .isolates_ingress = !egress,
                     .isolates_egress = egress};
  if (origin.rule != RuleOrigin::kIsolation) {
    const auto& rules = egress ? whole.egress : whole.ingress;
    (egress ? only.egress : only.ingress).push_back(rules.at(origin.rule - 1));
  }
  return policy::digest(only);
}

}  // namespace

std::vector<RuleKey> rule_keys(const policy::Snapshot& snapshot, const policy::Lowered& lowered) {
  std::unordered_map<std::string, const NetworkPolicy*> policies;
  for (const NetworkPolicy& one : snapshot.policies) {
    policies.emplace(one.name_space + "/" + one.name, &one);
  }
  using Place = std::tuple<std::string, Direction, std::uint32_t>;
  std::map<Place, std::string> keys;
  std::map<std::string, std::size_t> twins;  // Equal rules of one policy are told apart by order.
  for (const RuleOrigin& origin : lowered.provenance) {
    const Place place{origin.policy, origin.direction, origin.rule};
    if (origin.is_static || keys.contains(place)) {
      continue;
    }
    const auto found = policies.find(origin.policy);
    PORTCULLIS_CHECK(found != policies.end());
    std::string key =
        fmt::format("{} {} {}", origin.kind, origin.policy, content_of(*found->second, origin));
    const std::size_t twin = twins[key]++;
    keys.emplace(place, fmt::format("{} {}", key, twin));
  }
  std::vector<RuleKey> result;
  result.reserve(lowered.rules.rules.size());
  for (const classifier::Rule& rule : lowered.rules.rules) {
    const RuleOrigin& origin = lowered.provenance.at(rule.provenance);
    result.push_back(
        {.key = keys.at({origin.policy, origin.direction, origin.rule}), .origin = origin});
  }
  for (const classifier::StaticRule& rule : lowered.rules.static_rules) {
    // They do not change while a daemon runs, so their order is name enough.
    result.push_back(
        {.key = fmt::format("static rule {}", result.size() - lowered.rules.rules.size()),
         .origin = lowered.provenance.at(rule.provenance)});
  }
  return result;
}

std::optional<RuleName> name_of(std::span<const RuleKey> keys, classifier::RuleId rule) {
  if (classifier::is_builtin(rule)) {
    return RuleName{.builtin = builtin_name(rule)};
  }
  const std::size_t index = classifier::rule_index(rule);
  if (index >= keys.size()) {
    return std::nullopt;
  }
  return RuleName{.origin = keys[index].origin};
}

void RuleLedger::add(Packets& packets, std::span<const dataplane::RuleHits> hits) const {
  for (const dataplane::RuleHits& hit : hits) {
    if (hit.packets == 0) {
      continue;
    }
    if (classifier::is_builtin(hit.rule)) {
      packets[builtin_name(hit.rule)] += hit.packets;
    } else if (const std::size_t index = classifier::rule_index(hit.rule); index < keys_.size()) {
      packets[keys_[index].key] += hit.packets;
    }
  }
}

void RuleLedger::add(ByNamespace& measured, std::span<const dataplane::RuleHits> hits) const {
  for (const dataplane::RuleHits& hit : hits) {
    if (classifier::is_builtin(hit.rule) || classifier::rule_index(hit.rule) >= keys_.size()) {
      continue;
    }
    const RuleOrigin& origin = keys_[classifier::rule_index(hit.rule)].origin;
    if (origin.is_static) {
      continue;
    }
    const std::string_view name =
        std::string_view(origin.policy).substr(0, origin.policy.find('/'));
    auto found = measured.find(name);
    if (found == measured.end()) {
      found = measured.emplace(std::string(name), ByMeasure<std::uint64_t>{}).first;
    }
    // A policy denies only by isolating.
    const bool denies = origin.rule == RuleOrigin::kIsolation;
    found->second[static_cast<std::size_t>(Measure::denied)] += denies ? hit.packets : 0;
    found->second[static_cast<std::size_t>(Measure::resets)] += hit.resets;
  }
}

void RuleLedger::keep(std::span<const dataplane::RuleHits> retired) {
  add(past_, retired);
  add(past_measured_, retired);
}

RuleLedger::ByNamespace RuleLedger::by_namespace(std::span<const dataplane::RuleHits> hits) const {
  ByNamespace measured = past_measured_;
  add(measured, hits);
  return measured;
}

void RuleLedger::replace(std::vector<RuleKey> keys, std::span<const dataplane::RuleHits> retired) {
  keep(retired);
  keys_ = std::move(keys);
  std::unordered_set<std::string_view> living(kBuiltinNames.begin(), kBuiltinNames.end());
  for (const RuleKey& one : keys_) {
    living.insert(one.key);
  }
  std::erase_if(past_, [&](const auto& entry) { return !living.contains(entry.first); });
}

std::vector<RuleTotal> RuleLedger::totals(std::span<const dataplane::RuleHits> hits) const {
  Packets packets = past_;
  add(packets, hits);
  std::vector<RuleTotal> totals;
  for (const std::string_view name : kBuiltinNames) {
    if (const auto found = packets.find(std::string(name)); found != packets.end()) {
      totals.push_back({.name = {.builtin = found->first}, .packets = found->second});
    }
  }
  for (const RuleKey& one : keys_) {
    // Several rules of a table may have come from one of a policy: the first speaks for all.
    if (const auto found = packets.find(one.key); found != packets.end()) {
      totals.push_back({.name = {.origin = one.origin}, .packets = found->second});
      packets.erase(found);
    }
  }
  std::stable_sort(totals.begin(), totals.end(), [](const auto& a, const auto& b) {
    return a.packets > b.packets;
  });
  return totals;
}

}  // namespace portcullis::control
