// SPDX-License-Identifier: MIT
#include "control/rule_ledger.h"

#include <algorithm>
#include <array>
#include <iterator>
#include <map>
#include <string_view>
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

/// Of a rule that is none of the built-in ones; null: there is none.
const RuleKey* find(const RuleKeys& keys, classifier::RuleId rule) {
  const std::size_t index = classifier::rule_index(rule);
  const std::size_t rules = keys.rules.size();
  if (index >= rules + keys.static_rules.size()) {
    return nullptr;
  }
  const RuleKey& key = index < rules ? keys.rules[index] : keys.static_rules[index - rules];
  return key.key.empty() ? nullptr : &key;
}

/// Of rules of one policy, in order. Equal ones among them are told apart by their order.
std::vector<RuleKey> keys_of(const NetworkPolicy& policy, std::span<const RuleOrigin> origins) {
  std::map<std::string, std::size_t> twins;
  std::vector<RuleKey> keys;
  keys.reserve(origins.size());
  for (const RuleOrigin& origin : origins) {
    const bool continues = !keys.empty() && keys.back().origin.direction == origin.direction &&
                           keys.back().origin.rule == origin.rule;
    if (continues) {
      keys.push_back({keys.back().key, origin});
      continue;
    }
    const std::string content =
        fmt::format("{} {} {}", origin.kind, origin.policy, content_of(policy, origin));
    keys.push_back({fmt::format("{} {}", content, twins[content]++), origin});
  }
  return keys;
}

}  // namespace

RuleKeys rule_keys(const policy::Snapshot& snapshot, const policy::Lowered& lowered) {
  std::unordered_map<std::string, const NetworkPolicy*> policies;
  for (const NetworkPolicy& one : snapshot.policies) {
    policies.emplace(one.name_space + "/" + one.name, &one);
  }
  RuleKeys keys;
  keys.rules.reserve(lowered.rules.rules.size());
  // Rules of one policy stand together.
  std::vector<RuleOrigin> origins;
  const auto& rules = lowered.rules.rules;
  for (std::size_t i = 0; i < rules.size(); ++i) {
    origins.push_back(lowered.provenance[rules[i].provenance]);
    if (i + 1 == rules.size() ||
        lowered.provenance[rules[i + 1].provenance].policy != origins.back().policy) {
      const auto found = policies.find(origins.back().policy);
      PORTCULLIS_CHECK(found != policies.end());
      std::vector<RuleKey> made = keys_of(*found->second, origins);
      std::move(made.begin(), made.end(), std::back_inserter(keys.rules));
      origins.clear();
    }
  }
  for (const classifier::StaticRule& rule : lowered.rules.static_rules) {
    // They do not change while a daemon runs, so their order is name enough.
    keys.static_rules.push_back({.key = fmt::format("static rule {}", keys.static_rules.size()),
                                 .origin = lowered.provenance[rule.provenance]});
  }
  return keys;
}

std::vector<RuleChange> rule_changes(std::span<const policy::Replaced<NetworkPolicy>> changed,
                                     const policy::Rulebook::Entry& entry) {
  std::map<std::string, std::pair<std::vector<std::uint32_t>, std::vector<RuleOrigin>>> come;
  std::vector<RuleChange> changes;
  for (const auto& [slot, origin] : entry.origins) {
    if (origin) {
      auto& [slots, origins] = come[origin->policy];
      slots.push_back(slot);
      origins.push_back(*origin);
    } else {
      changes.push_back({.slot = slot});
    }
  }
  for (const policy::Replaced<NetworkPolicy>& one : changed) {
    const auto found = come.find(one.key.first + "/" + one.key.second);
    if (!one.after || found == come.end()) {
      continue;
    }
    const auto& [slots, origins] = found->second;
    std::vector<RuleKey> keys = keys_of(*one.after, origins);
    for (std::size_t i = 0; i < keys.size(); ++i) {
      changes.push_back({.slot = slots[i], .key = std::move(keys[i])});
    }
  }
  return changes;
}

std::optional<RuleName> name_of(const RuleKeys& keys, classifier::RuleId rule) {
  if (classifier::is_builtin(rule)) {
    return RuleName{.builtin = builtin_name(rule)};
  }
  const RuleKey* const key = find(keys, rule);
  return key == nullptr ? std::nullopt : std::optional(RuleName{.origin = key->origin});
}

void RuleLedger::add(Packets& packets, std::span<const dataplane::RuleHits> hits) const {
  for (const dataplane::RuleHits& hit : hits) {
    if (hit.packets == 0) {
      continue;
    }
    if (classifier::is_builtin(hit.rule)) {
      packets[builtin_name(hit.rule)] += hit.packets;
    } else if (const RuleKey* const key = find(keys_, hit.rule)) {
      packets[key->key] += hit.packets;
    }
  }
}

void RuleLedger::add(ByNamespace& measured, std::span<const dataplane::RuleHits> hits) const {
  for (const dataplane::RuleHits& hit : hits) {
    const RuleKey* const key = classifier::is_builtin(hit.rule) ? nullptr : find(keys_, hit.rule);
    if (key == nullptr || key->origin.is_static) {
      continue;
    }
    const RuleOrigin& origin = key->origin;
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

void RuleLedger::replace(RuleKeys keys, std::span<const dataplane::RuleHits> retired) {
  keep(retired);
  keys_ = std::move(keys);
  std::unordered_set<std::string_view> living(kBuiltinNames.begin(), kBuiltinNames.end());
  for (const auto* const list : {&keys_.rules, &keys_.static_rules}) {
    for (const RuleKey& one : *list) {
      living.insert(one.key);
    }
  }
  std::erase_if(past_, [&](const auto& entry) { return !living.contains(entry.first); });
}

void RuleLedger::change(std::span<const RuleChange> changes,
                        std::span<const dataplane::RuleHits> retired) {
  keep(retired);
  std::unordered_set<std::string> gone;
  for (const RuleChange& change : changes) {
    keys_.rules.resize(std::max<std::size_t>(keys_.rules.size(), change.slot + std::size_t{1}));
    gone.insert(keys_.rules[change.slot].key);
    keys_.rules[change.slot] = change.key;
  }
  // A key is of one policy only, all of whose rules are among the changes.
  for (const RuleChange& change : changes) {
    gone.erase(keys_.rules[change.slot].key);
  }
  for (const std::string& key : gone) {
    past_.erase(key);
  }
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
  for (const auto* const list : {&keys_.rules, &keys_.static_rules}) {
    for (const RuleKey& one : *list) {
      // Several rules of a table may have come from one of a policy: the first speaks for all.
      if (const auto found = packets.find(one.key); found != packets.end()) {
        totals.push_back({.name = {.origin = one.origin}, .packets = found->second});
        packets.erase(found);
      }
    }
  }
  std::stable_sort(totals.begin(), totals.end(), [](const auto& a, const auto& b) {
    return a.packets > b.packets;
  });
  return totals;
}

}  // namespace portcullis::control
