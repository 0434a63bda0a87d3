// SPDX-License-Identifier: MIT
#include "policy/lower.h"

#include <algorithm>
#include <iterator>
#include <numeric>
#include <set>
#include <span>
#include <tuple>
#include <utility>
#include <variant>

#include "policy/lowering/endpoints.h"
#include "policy/lowering/pod_index.h"
#include "policy/lowering/rule_words.h"
#include "policy/lowering/set_pool.h"
#include "policy/lowering/set_words.h"

namespace portcullis::policy {

namespace {

using classifier::AddressSet;
using classifier::Block;
using classifier::EndpointIndex;
using classifier::PortSet;
using classifier::Rule;

class Lowering {
 public:
  Lowering(const Snapshot& snapshot, Population population)
      : snapshot_(snapshot),
        population_(std::move(population)),
        index_(population_.workloads, snapshot.namespaces),
        pool_(out_.rules) {}

  Lowered run(classifier::DefaultMode mode);

 private:
  void index_addresses();
  void lower_policy(const NetworkPolicy& policy);
  [[nodiscard]] AddressSet contents(const SetWords& words) const;
  [[nodiscard]] Positions select(const SetWords& words) const;
  [[nodiscard]] std::vector<PortSet> meanings(const SetWords& destinations) const;
  [[nodiscard]] PortSet meaning_on_pod(const PolicyRule& rule, EndpointIndex pod) const {
    return meaning_on(rule, population_.workloads[pod]->ports);
  }
  /// Calls visit(address, pod) for pods' addresses in a block.
  template <typename Visit>
  void visit_addresses(const Block& block, Visit visit) const;

  const Snapshot& snapshot_;
  Population population_;
  PodIndex index_;
  Lowered out_;
  SetPool pool_;
  std::vector<std::pair<IpAddress, EndpointIndex>> pod_addresses_;  // Sorted.
};

Lowered Lowering::run(classifier::DefaultMode mode) {
  out_.warnings = std::move(population_.warnings);
  out_.rules.default_mode = mode;
  index_addresses();
  std::vector<const NetworkPolicy*> policies;
  policies.reserve(snapshot_.policies.size());
  for (const NetworkPolicy& policy : snapshot_.policies) {
    policies.push_back(&policy);
  }
  std::sort(policies.begin(), policies.end(), [](const auto* a, const auto* b) {
    return std::tie(a->name_space, a->name) < std::tie(b->name_space, b->name);
  });
  for (const NetworkPolicy* const policy : policies) {
    lower_policy(*policy);
  }
  out_.rules.pod_cidrs = std::move(population_.pod_cidrs);
  out_.rules.endpoints = std::move(population_.endpoints);
  out_.endpoints = std::move(population_.names);
  return std::move(out_);
}

void Lowering::index_addresses() {
  for (std::size_t i = 0; i < population_.workloads.size(); ++i) {
    for (const IpAddress& address : population_.endpoints[i].addresses) {
      pod_addresses_.emplace_back(address, static_cast<EndpointIndex>(i));
    }
  }
  std::sort(pod_addresses_.begin(), pod_addresses_.end());
}

void Lowering::lower_policy(const NetworkPolicy& policy) {
  const std::vector<RuleWords> words =
      words_of(policy, [&](const SetWords& destinations) { return meanings(destinations); });
  const auto intern = [&](const SetWords& set) {
    return pool_.intern(key_of(set), [&] { return contents(set); });
  };
  auto& rules = out_.rules.rules;
  const std::size_t first = rules.size();
  for (const RuleWords& one : words) {
    out_.provenance.push_back(origin_of(policy, one));
    Rule rule = rule_of(one);
    rule.subjects = intern(one.subjects);
    rule.peers = intern(one.peers);
    rule.ports = pool_.intern(one.ports);
    rule.provenance = static_cast<std::uint32_t>(out_.provenance.size() - 1);
    rules.push_back(rule);
  }
  std::vector<std::string> doubts =
      doubts_of(policy, words, std::span(rules).subspan(first), [&](classifier::SetIndex set) {
        return out_.rules.sets[set] == AddressSet{};
      });
  std::move(doubts.begin(), doubts.end(), std::back_inserter(out_.warnings));
}

/// A block's destinations are the pods at its addresses; those that are no pod's have no names.
AddressSet Lowering::contents(const SetWords& words) const {
  AddressSet set;
  set.everything = is_everything(words);
  if (set.everything) {
    return set;
  }
  set.endpoints = select(words);
  if (!words.meaning) {
    set.blocks = blocks_of(words);
    return set;
  }
  std::erase_if(set.endpoints, [&](EndpointIndex pod) {
    return meaning_on_pod(*words.rule, pod) != *words.meaning;
  });
  for (const Block& block : blocks_of(words)) {
    visit_addresses(block, [&](const IpAddress& address, EndpointIndex pod) {
      if (meaning_on_pod(*words.rule, pod) == *words.meaning) {
        set.blocks.push_back({prefix_of(address, address.width()), {}});
      }
    });
  }
  std::sort(set.blocks.begin(), set.blocks.end());
  set.blocks.erase(std::unique(set.blocks.begin(), set.blocks.end()), set.blocks.end());
  return set;
}

/// The pods of its selectors, be their ports what they may.
Positions Lowering::select(const SetWords& words) const {
  const std::string& name_space = words.policy->name_space;
  if (words.side == SetWords::Side::subjects) {
    return index_.select(name_space, words.policy->subjects);
  }
  Positions picked;
  if (words.rule->peers.empty()) {
    picked.resize(population_.workloads.size());
    std::iota(picked.begin(), picked.end(), EndpointIndex{0});
  }
  for (const Peer& peer : words.rule->peers) {
    const auto* const wanted = std::get_if<PodPeer>(&peer);
    if (wanted == nullptr) {
      continue;
    }
    Positions pods = index_.select(name_space, *wanted);
    if (picked.empty()) {
      picked = std::move(pods);
      continue;
    }
    Positions joined;
    joined.reserve(picked.size() + pods.size());
    std::set_union(
        picked.begin(), picked.end(), pods.begin(), pods.end(), std::back_inserter(joined));
    picked = std::move(joined);
  }
  return picked;
}

template <typename Visit>
void Lowering::visit_addresses(const Block& block, Visit visit) const {
  const IpAddress last = last_address(block.cidr);
  auto held = std::lower_bound(pod_addresses_.begin(),
                               pod_addresses_.end(),
                               std::pair(first_address(block.cidr), EndpointIndex{0}));
  for (; held != pod_addresses_.end() && held->first <= last; ++held) {
    const IpAddress& address = held->first;
    const bool excepted = std::any_of(block.except.begin(),
                                      block.except.end(),
                                      [&](const Prefix& hole) { return hole.contains(address); });
    if (!excepted) {
      visit(address, held->second);
    }
  }
}

std::vector<PortSet> Lowering::meanings(const SetWords& destinations) const {
  std::set<PortSet> found;
  for (const EndpointIndex pod : select(destinations)) {
    found.insert(meaning_on_pod(*destinations.rule, pod));
  }
  for (const Block& block : blocks_of(destinations)) {
    visit_addresses(block, [&](const IpAddress& /*address*/, EndpointIndex pod) {
      found.insert(meaning_on_pod(*destinations.rule, pod));
    });
  }
  found.erase(PortSet{});
  return {found.begin(), found.end()};
}

}  // namespace

Result<Lowered> lower(const Snapshot& snapshot, const LowerOptions& options) {
  PORTCULLIS_TRY(Population population, populate(snapshot, options));
  return Lowering(snapshot, std::move(population)).run(options.default_mode);
}

void add_static_rules(const std::vector<NamedStaticRule>& rules, Lowered& lowered) {
  for (const NamedStaticRule& one : rules) {
    classifier::StaticRule rule = one.rule;
    rule.provenance = static_cast<std::uint32_t>(lowered.provenance.size());
    lowered.provenance.push_back(
        {.kind = "static rule", .policy = one.name, .where = one.where, .is_static = true});
    lowered.rules.static_rules.push_back(rule);
  }
}

}  // namespace portcullis::policy
