// SPDX-License-Identifier: MIT
#include "policy/lower.h"

#include <algorithm>
#include <iterator>
#include <map>
#include <optional>
#include <tuple>
#include <utility>

#include <fmt/format.h>

#include "policy/lowering/endpoints.h"
#include "policy/lowering/pod_index.h"
#include "policy/lowering/set_pool.h"

namespace portcullis::policy {

namespace {

using classifier::AddressSet;
using classifier::Block;
using classifier::Direction;
using classifier::EndpointIndex;
using classifier::PortRange;
using classifier::PortSet;

/// One variant of a policy's rule: named ports may make several of it.
struct Variant {
  AddressSet subjects;
  AddressSet peers;
  PortSet ports;
};

/// A NetworkPolicy with the pods it selects.
struct Subject {
  const NetworkPolicy* policy = nullptr;
  Positions pods;
};

std::string title(const NetworkPolicy& policy) {
  return fmt::format(
      "NetworkPolicy {}/{} ({})", policy.name_space, policy.name, to_string(policy.where));
}

const char* to_word(Direction direction) {
  return direction == Direction::ingress ? "ingress" : "egress";
}

class Lowering {
 public:
  Lowering(const Snapshot& snapshot, Population population)
      : snapshot_(snapshot),
        population_(std::move(population)),
        index_(population_.workloads, snapshot.namespaces),
        pool_(out_.rules) {}

  Lowered run(classifier::DefaultMode mode);

 private:
  void select_subjects();
  void index_addresses();
  void lower_direction(Direction direction);
  void lower_rule(const Subject& subject, Direction direction, std::size_t number);
  [[nodiscard]] AddressSet peers_of(const NetworkPolicy& policy, const PolicyRule& rule) const;
  [[nodiscard]] std::vector<Variant> named_by_subject(const Positions& subjects,
                                                      const PolicyRule& rule,
                                                      const AddressSet& peers) const;
  [[nodiscard]] std::vector<Variant> named_by_peer(const Positions& subjects,
                                                   const PolicyRule& rule,
                                                   const AddressSet& peers) const;
  [[nodiscard]] PortSet resolve(const PolicyRule& rule, EndpointIndex pod) const;
  void append(classifier::Rule rule, Variant variant);

  const Snapshot& snapshot_;
  Population population_;
  PodIndex index_;
  Lowered out_;
  SetPool pool_;
  std::vector<Subject> subjects_;
  std::vector<std::pair<IpAddress, EndpointIndex>> pod_addresses_;  // Sorted.
};

Lowered Lowering::run(classifier::DefaultMode mode) {
  out_.warnings = std::move(population_.warnings);
  out_.rules.default_mode = mode;
  select_subjects();
  index_addresses();
  lower_direction(Direction::egress);
  lower_direction(Direction::ingress);
  out_.rules.pod_cidrs = std::move(population_.pod_cidrs);
  out_.rules.endpoints = std::move(population_.endpoints);
  out_.endpoints = std::move(population_.names);
  return std::move(out_);
}

void Lowering::select_subjects() {
  for (const NetworkPolicy& policy : snapshot_.policies) {
    Positions pods = index_.select(policy.name_space, policy.subjects);
    if (pods.empty()) {
      out_.warnings.push_back(title(policy) + " selects no pod");
      continue;
    }
    subjects_.push_back({&policy, std::move(pods)});
  }
  std::sort(subjects_.begin(), subjects_.end(), [](const Subject& a, const Subject& b) {
    return std::tie(a.policy->name_space, a.policy->name) <
           std::tie(b.policy->name_space, b.policy->name);
  });
}

void Lowering::index_addresses() {
  for (std::size_t i = 0; i < population_.workloads.size(); ++i) {
    for (const IpAddress& address : population_.endpoints[i].addresses) {
      pod_addresses_.emplace_back(address, static_cast<EndpointIndex>(i));
    }
  }
  std::sort(pod_addresses_.begin(), pod_addresses_.end());
}

/// Allow rules of every policy come first, so that a later policy's allow precedes an earlier
/// policy's isolation: policies are additive.
void Lowering::lower_direction(Direction direction) {
  const auto isolates = [&](const NetworkPolicy& policy) {
    return direction == Direction::ingress ? policy.isolates_ingress : policy.isolates_egress;
  };
  for (const Subject& subject : subjects_) {
    const auto& rules =
        direction == Direction::ingress ? subject.policy->ingress : subject.policy->egress;
    for (std::size_t i = 0; isolates(*subject.policy) && i < rules.size(); ++i) {
      lower_rule(subject, direction, i + 1);
    }
  }
  for (const Subject& subject : subjects_) {
    if (isolates(*subject.policy)) {
      out_.provenance.push_back({"NetworkPolicy",
                                 subject.policy->name_space + "/" + subject.policy->name,
                                 direction,
                                 RuleOrigin::kIsolation,
                                 subject.policy->where});
      append({.direction = direction, .action = classifier::Action::deny},
             {{.endpoints = subject.pods}, {.everything = true}, {.everything = true}});
    }
  }
}

/// The part of a rule's ports that is the same for every destination.
PortSet numeric_ports(const PolicyRule& rule) {
  PortSet ports;
  ports.everything = rule.ports.empty();
  for (const PolicyPort& port : rule.ports) {
    if (port.name.empty()) {
      const std::uint16_t first = port.first.value_or(0);
      const std::uint16_t whole = port.first ? first : std::uint16_t{0xffff};
      ports.ranges.push_back({port.protocol, first, port.last.value_or(whole)});
    }
  }
  normalise(ports);
  return ports;
}

void Lowering::lower_rule(const Subject& subject, Direction direction, std::size_t number) {
  const NetworkPolicy& policy = *subject.policy;
  const PolicyRule& rule =
      (direction == Direction::ingress ? policy.ingress : policy.egress)[number - 1];
  AddressSet peers = peers_of(policy, rule);
  const auto place = [&] {
    return fmt::format(
        "{}: {} rule {} ({})", title(policy), to_word(direction), number, to_string(rule.where));
  };
  if (!peers.everything && peers.endpoints.empty() && peers.blocks.empty()) {
    out_.warnings.push_back(place() + " has peers that no pod matches");
  }

  std::vector<Variant> variants;
  const bool named = std::any_of(rule.ports.begin(), rule.ports.end(), [](const PolicyPort& port) {
    return !port.name.empty();
  });
  if (named) {
    variants = direction == Direction::ingress ? named_by_subject(subject.pods, rule, peers)
                                               : named_by_peer(subject.pods, rule, peers);
    if (variants.empty()) {
      out_.warnings.push_back(place() + " names a port that no destination pod has");
    }
  }
  // A rule that can match nothing is kept all the same: explain() names it as a near miss.
  if (PortSet numeric = numeric_ports(rule);
      numeric.everything || !numeric.ranges.empty() || variants.empty()) {
    Variant first{.subjects = {.endpoints = subject.pods}, .ports = std::move(numeric)};
    first.peers = variants.empty() ? std::move(peers) : peers;
    variants.insert(variants.begin(), std::move(first));
  }
  out_.provenance.push_back({"NetworkPolicy",
                             policy.name_space + "/" + policy.name,
                             direction,
                             static_cast<std::uint32_t>(number),
                             rule.where});
  for (Variant& variant : variants) {
    append({.direction = direction, .action = classifier::Action::allow}, std::move(variant));
  }
}

/// Gives the rule the newest provenance entry.
void Lowering::append(classifier::Rule rule, Variant variant) {
  rule.tier = classifier::Tier::network_policy;
  rule.subjects = pool_.intern(std::move(variant.subjects));
  rule.peers = pool_.intern(std::move(variant.peers));
  rule.ports = pool_.intern(std::move(variant.ports));
  rule.provenance = static_cast<std::uint32_t>(out_.provenance.size() - 1);
  out_.rules.rules.push_back(rule);
}

AddressSet Lowering::peers_of(const NetworkPolicy& policy, const PolicyRule& rule) const {
  AddressSet set;
  set.everything = rule.peers.empty();
  for (const Peer& peer : rule.peers) {
    if (const auto* block = std::get_if<Block>(&peer)) {
      set.blocks.push_back(*block);
      continue;
    }
    Positions pods = index_.select(policy.name_space, std::get<PodPeer>(peer));
    if (set.endpoints.empty()) {
      set.endpoints = std::move(pods);
      continue;
    }
    Positions joined;
    joined.reserve(set.endpoints.size() + pods.size());
    std::set_union(set.endpoints.begin(),
                   set.endpoints.end(),
                   pods.begin(),
                   pods.end(),
                   std::back_inserter(joined));
    set.endpoints = std::move(joined);
  }
  return set;
}

/// What a rule's port names mean on one pod: every container port of that name and protocol.
PortSet Lowering::resolve(const PolicyRule& rule, EndpointIndex pod) const {
  PortSet ports;
  for (const PolicyPort& port : rule.ports) {
    for (const ContainerPort& open : population_.workloads[pod]->ports) {
      if (!port.name.empty() && open.name == port.name && open.protocol == port.protocol) {
        ports.ranges.push_back({open.protocol, open.number, open.number});
      }
    }
  }
  normalise(ports);
  return ports;
}

/// Ingress: the destination is the subject, so subjects that resolve alike share a variant.
std::vector<Variant> Lowering::named_by_subject(const Positions& subjects,
                                                const PolicyRule& rule,
                                                const AddressSet& peers) const {
  std::map<PortSet, AddressSet> groups;
  for (const EndpointIndex pod : subjects) {
    groups[resolve(rule, pod)].endpoints.push_back(pod);
  }
  groups.erase(PortSet{});
  std::vector<Variant> variants;
  for (auto& [ports, pods] : groups) {
    variants.push_back({std::move(pods), peers, ports});
  }
  return variants;
}

/// Egress: the destination is the peer. A block's destinations are the pods at its addresses;
/// addresses that are no pod's have no names.
std::vector<Variant> Lowering::named_by_peer(const Positions& subjects,
                                             const PolicyRule& rule,
                                             const AddressSet& peers) const {
  std::map<PortSet, AddressSet> groups;
  const std::size_t count =
      peers.everything ? population_.workloads.size() : peers.endpoints.size();
  for (std::size_t i = 0; i < count; ++i) {
    const auto pod = peers.everything ? static_cast<EndpointIndex>(i) : peers.endpoints[i];
    groups[resolve(rule, pod)].endpoints.push_back(pod);
  }
  for (const Block& block : peers.blocks) {
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
        groups[resolve(rule, held->second)].blocks.push_back(
            {prefix_of(address, address.width()), {}});
      }
    }
  }
  groups.erase(PortSet{});
  std::vector<Variant> variants;
  for (auto& [ports, pods] : groups) {
    variants.push_back({{.endpoints = subjects}, std::move(pods), ports});
  }
  return variants;
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
    lowered.rules.static_rules.push_back(std::move(rule));
  }
}

}  // namespace portcullis::policy
