// SPDX-License-Identifier: MIT
#include "policy/lowering/roster.h"

#include <algorithm>
#include <iterator>
#include <set>
#include <string_view>
#include <tuple>
#include <utility>
#include <variant>

#include <fmt/format.h>

#include "base/check.h"

namespace portcullis::policy {
namespace {

using classifier::Endpoint;
using classifier::EndpointIndex;
using classifier::SetIndex;

/// As lower() takes it: ended pods hold nothing, and those of the host's network are their node.
bool is_workload(const Pod* pod) {
  return pod != nullptr && !pod->terminated && !pod->host_network;
}

/// Calls visit(selector) for every selector over labels of pods.
template <typename Visit>
void visit_selectors(const NetworkPolicy& policy, Visit visit) {
  visit(policy.subjects);
  for (const auto* rules : {&policy.ingress, &policy.egress}) {
    for (const PolicyRule& rule : *rules) {
      for (const Peer& peer : rule.peers) {
        if (const auto* const pods = std::get_if<PodPeer>(&peer)) {
          visit(pods->pods);
        }
      }
    }
  }
}

/// Calls visit(name) for every name of a port.
template <typename Visit>
void visit_port_names(const NetworkPolicy& policy, Visit visit) {
  for (const auto* rules : {&policy.ingress, &policy.egress}) {
    for (const PolicyRule& rule : *rules) {
      for (const PolicyPort& port : rule.ports) {
        if (!port.name.empty()) {
          visit(port.name);
        }
      }
    }
  }
}

bool names_ports_of_blocks(const NetworkPolicy& policy) {
  return std::ranges::any_of(policy.egress, [](const PolicyRule& rule) {
    return names_ports(rule) && std::ranges::any_of(rule.peers, [](const Peer& peer) {
             return std::holds_alternative<classifier::Block>(peer);
           });
  });
}

void append(std::string& key, std::string_view text) {
  key += '\0';
  key += text;
}

/// Among equals of `identity`, whoever they are.
std::string key_of(const std::string& name_space,
                   const Labels& labels,
                   const std::vector<ContainerPort>& ports) {
  std::string key = name_space;
  for (const auto& [label, value] : labels) {
    append(key, label);
    append(key, value);
  }
  append(key, "");
  for (const ContainerPort& port : ports) {
    append(key, fmt::format("{} {} {}", port.name, port.protocol, port.number));
  }
  return key;
}

void insert(std::vector<EndpointIndex>& pods, EndpointIndex pod) {
  pods.insert(std::lower_bound(pods.begin(), pods.end(), pod), pod);
}

void erase(std::vector<EndpointIndex>& pods, EndpointIndex pod) {
  const auto at = std::lower_bound(pods.begin(), pods.end(), pod);
  PORTCULLIS_CHECK(at != pods.end() && *at == pod);
  pods.erase(at);
}

std::string slot_key(const ObjectKey& key) {
  return key.first + "/" + key.second;
}

}  // namespace

Roster::Roster(const Snapshot& snapshot, const Lowered& lowered) : names_(lowered.endpoints) {
  for (const NetworkPolicy& policy : snapshot.policies) {
    visit_selectors(policy, [&](const Selector& selector) {
      for (const Requirement& requirement : selector.requirements) {
        label_keys_.insert(requirement.key);
      }
    });
    visit_port_names(policy, [&](const std::string& name) { port_names_.insert(name); });
    names_ports_of_blocks_ = names_ports_of_blocks_ || names_ports_of_blocks(policy);
  }
  const auto& endpoints = lowered.rules.endpoints;
  slots_.reserve(endpoints.size());
  owners_.reserve(endpoints.size());
  for (EndpointIndex i = 0; i < endpoints.size(); ++i) {
    if (endpoints[i].kind == Endpoint::Kind::node) {
      nodes_.emplace(names_[i].name, i);
    } else {
      slots_.emplace(names_[i].text(), i);
    }
    for (const IpAddress& address : endpoints[i].addresses) {
      owners_.emplace(address, i);
    }
  }
  for (const Node& node : snapshot.nodes) {
    declared_.emplace(node.name, node.addresses);
  }
  for (const Namespace& name_space : snapshot.namespaces) {
    namespaces_.emplace(name_space.name, name_space.labels);
  }
  read_pods(snapshot, lowered);
}

/// The sets of every identity that was lowered: any of its pods stands for all.
void Roster::read_pods(const Snapshot& snapshot, const Lowered& lowered) {
  std::vector<Identity*> of_endpoint(lowered.rules.endpoints.size(), nullptr);
  for (const Pod& pod : snapshot.pods) {
    const auto slot = slots_.find(pod.name_space + "/" + pod.name);
    if (!is_workload(&pod) || slot == slots_.end()) {
      continue;
    }
    Identity identity = identity_of(pod);
    const std::string key = key_of(identity.name_space, identity.labels, identity.ports);
    const auto held = identities_.find(key);
    Identity& entered =
        held == identities_.end() ? add_identity(key, std::move(identity)) : held->second;
    of_endpoint[slot->second] = &entered;
  }
  for (EndpointIndex i = 0; i < of_endpoint.size(); ++i) {
    if (of_endpoint[i] != nullptr) {
      of_endpoint[i]->pods.push_back(i);
    }
  }
  for (SetIndex set = 0; set < lowered.rules.sets.size(); ++set) {
    for (const EndpointIndex endpoint : lowered.rules.sets[set].endpoints) {
      Identity* const identity = of_endpoint[endpoint];
      if (identity != nullptr && (identity->sets.empty() || identity->sets.back() != set)) {
        identity->sets.push_back(set);
      }
    }
  }
}

Roster::Identity Roster::identity_of(const Pod& pod) const {
  static const Labels kNone;
  const auto name_space = namespaces_.find(pod.name_space);
  Identity identity{
      .name_space = pod.name_space,
      .namespace_labels = name_space == namespaces_.end() ? &kNone : &name_space->second};
  for (const auto& label : pod.labels) {
    if (label_keys_.contains(label.first)) {
      identity.labels.push_back(label);
    }
  }
  const auto tied = [](const ContainerPort& port) {
    return std::tie(port.name, port.protocol, port.number);
  };
  std::ranges::copy_if(pod.ports, std::back_inserter(identity.ports), [&](const auto& port) {
    return port_names_.contains(port.name);
  });
  std::ranges::sort(identity.ports, {}, tied);
  const auto twins = std::unique(identity.ports.begin(),
                                 identity.ports.end(),
                                 [&](const auto& a, const auto& b) { return tied(a) == tied(b); });
  identity.ports.erase(twins, identity.ports.end());
  return identity;
}

PodTraits Roster::traits_of(const Identity& identity) {
  return {.name_space = identity.name_space,
          .namespace_labels = *identity.namespace_labels,
          .labels = identity.labels,
          .ports = identity.ports};
}

Roster::Identity& Roster::add_identity(const std::string& key, Identity identity) {
  Identity& entered = identities_.emplace(key, std::move(identity)).first->second;
  of_namespace_[entered.name_space].push_back(&entered);
  return entered;
}

void Roster::remove_identity(const std::string& key) {
  const auto held = identities_.find(key);
  std::erase(of_namespace_[held->second.name_space], &held->second);
  identities_.erase(held);
}

std::string Roster::why_whole(const NetworkPolicy& policy) const {
  const std::string name = title(Kind::policy, {policy.name_space, policy.name});
  std::string why;
  visit_selectors(policy, [&](const Selector& selector) {
    for (const Requirement& requirement : selector.requirements) {
      if (!label_keys_.contains(requirement.key)) {
        why = fmt::format("{} is the first that asks for label {}", name, requirement.key);
      }
    }
  });
  visit_port_names(policy, [&](const std::string& port) {
    if (!port_names_.contains(port)) {
      why = fmt::format("{} is the first that names port {}", name, port);
    }
  });
  if (names_ports_of_blocks(policy)) {
    why = fmt::format("{} names a port of pods by their addresses", name);
  }
  return why;
}

/// Why a pod, as it was or is, cannot be entered by itself; empty: it can.
std::string Roster::why_whole(const Pod* pod) const {
  if (pod == nullptr || pod->terminated) {
    return {};
  }
  // A node also has the addresses that its pods tell of it.
  if (!pod->node.empty()) {
    std::vector<IpAddress> told = pod->host_addresses;
    if (pod->host_network) {
      told.insert(told.end(), pod->addresses.begin(), pod->addresses.end());
    }
    const auto declared = declared_.find(pod->node);
    for (const IpAddress& address : told) {
      if (declared == declared_.end() ||
          std::find(declared->second.begin(), declared->second.end(), address) ==
              declared->second.end()) {
        return fmt::format("{} tells an address of node {} that no Node object has",
                           title(Kind::pod, {pod->name_space, pod->name}),
                           pod->node);
      }
    }
  }
  if (!is_workload(pod)) {
    return {};
  }
  if (names_ports_of_blocks_) {
    return "a policy names a port of pods by their addresses";
  }
  return {};
}

Endpoint Roster::endpoint_of(const Pod& pod) const {
  Endpoint endpoint;
  for (const IpAddress& address : pod.addresses) {
    if (std::find(endpoint.addresses.begin(), endpoint.addresses.end(), address) ==
        endpoint.addresses.end()) {
      endpoint.addresses.push_back(address);
    }
  }
  if (const auto node = nodes_.find(pod.node); node != nodes_.end()) {
    endpoint.node = node->second;
  }
  return endpoint;
}

/// An Entry on its way.
struct Roster::Planning {
  const Roster& roster;
  const SetsOf& sets_of;
  Entry entry;
  std::vector<classifier::Change<Endpoint>> arrivals;
  std::unordered_set<IpAddress> left;                           // Addresses that pods give up.
  std::unordered_map<IpAddress, const Replaced<Pod>*> claimed;  // By pods that come.
  std::size_t free_taken = 0;
  std::size_t appended = 0;

  /// Errors: its address is another's.
  Result<void> claim(const Replaced<Pod>& pod, const IpAddress& address) {
    const auto [other, fresh] = claimed.try_emplace(address, &pod);
    std::string owner;
    if (!fresh) {
      owner = title(Kind::pod, other->second->key);
    } else if (const auto held = roster.owners_.find(address);
               held != roster.owners_.end() && !left.contains(address)) {
      owner = roster.names_[held->second].text();
    }
    if (owner.empty()) {
      return {};
    }
    return fail(fmt::format("{}: address {} is {}'s; an address has one owner: take it from there "
                            "in the same batch or ahead of it",
                            title(Kind::pod, pod.key),
                            to_string(address),
                            owner),
                to_string(pod.after->where));
  }

  EndpointIndex slot_for(const Replaced<Pod>& pod) {
    if (const auto held = roster.slots_.find(slot_key(pod.key)); held != roster.slots_.end()) {
      return held->second;
    }
    if (free_taken < roster.free_.size()) {
      return roster.free_[roster.free_.size() - ++free_taken];
    }
    return static_cast<EndpointIndex>(roster.names_.size() + appended++);
  }

  /// In those of `sets` that are not among `others`; both ascend.
  void change_membership(const Sets& sets, const Sets& others, EndpointIndex slot, bool member) {
    Sets differing;
    std::set_difference(
        sets.begin(), sets.end(), others.begin(), others.end(), std::back_inserter(differing));
    for (const SetIndex set : differing) {
      entry.delta.memberships.push_back({.set = set, .endpoint = slot, .member = member});
    }
  }

  /// The key of a pod's identity, which is known from now on.
  /// Errors: all must be lowered anew for it.
  Result<std::string> identify(const Pod& pod) {
    Identity identity = roster.identity_of(pod);
    std::string key = key_of(identity.name_space, identity.labels, identity.ports);
    if (!roster.identities_.contains(key) && !entry.fresh_.contains(key)) {
      auto sets = sets_of(Roster::traits_of(identity));
      if (!sets) {
        return fail(fmt::format(
            "{} is {}", title(Kind::pod, {pod.name_space, pod.name}), sets.error().message));
      }
      identity.sets = *std::move(sets);
      entry.fresh_.emplace(key, std::move(identity));
    }
    return key;
  }

  [[nodiscard]] const Sets& sets_of_identity(const std::string& key) const {
    static const Sets kNone;
    if (key.empty()) {
      return kNone;
    }
    const auto held = roster.identities_.find(key);
    return held != roster.identities_.end() ? held->second.sets : entry.fresh_.at(key).sets;
  }

  Result<void> enter(const Replaced<Pod>& pod) {
    const bool was = is_workload(pod.before.get());
    const bool is = is_workload(pod.after.get());
    if (!was && !is) {
      return {};
    }
    Entry::Place place{.key = pod.key};
    if (was) {
      PORTCULLIS_TRY(place.identity_before, identify(*pod.before));
    }
    if (is) {
      PORTCULLIS_TRY(place.identity_after, identify(*pod.after));
    }
    place.slot = slot_for(pod);
    const Endpoint before = was ? roster.endpoint_of(*pod.before) : Endpoint{};
    Endpoint after = is ? roster.endpoint_of(*pod.after) : Endpoint{};
    place.before = before.addresses;
    place.after = after.addresses;
    if (was && before.addresses != after.addresses) {
      entry.delta.endpoints.push_back({place.slot, {}});
    }
    if (is && (!was || before != after)) {
      arrivals.push_back({place.slot, std::move(after)});
    }
    const Sets& old_sets = sets_of_identity(place.identity_before);
    const Sets& new_sets = sets_of_identity(place.identity_after);
    change_membership(old_sets, new_sets, place.slot, false);
    change_membership(new_sets, old_sets, place.slot, true);
    entry.places_.push_back(std::move(place));
    return {};
  }
};

Result<Roster::Entry> Roster::plan(std::span<const Replaced<Pod>> pods,
                                   const SetsOf& sets_of) const {
  Planning planning{.roster = *this, .sets_of = sets_of};
  const auto whole = [](std::string why) {
    Entry entry;
    entry.why_whole = std::move(why);
    return entry;
  };
  for (const Replaced<Pod>& pod : pods) {
    for (const Pod* const one : {pod.before.get(), pod.after.get()}) {
      if (std::string why = why_whole(one); !why.empty()) {
        return whole(std::move(why));
      }
    }
    if (is_workload(pod.before.get())) {
      planning.left.insert(pod.before->addresses.begin(), pod.before->addresses.end());
    }
  }
  for (const Replaced<Pod>& pod : pods) {
    if (is_workload(pod.after.get())) {
      for (const IpAddress& address : endpoint_of(*pod.after).addresses) {
        PORTCULLIS_TRY_VOID(planning.claim(pod, address));
      }
    }
  }
  for (const Replaced<Pod>& pod : pods) {
    if (const auto entered = planning.enter(pod); !entered) {
      return whole(entered.error().message);
    }
  }
  // New endpoints in the order of their indices, after all that gave up addresses.
  std::sort(planning.arrivals.begin(), planning.arrivals.end(), [](const auto& a, const auto& b) {
    return a.index < b.index;
  });
  auto& endpoints = planning.entry.delta.endpoints;
  endpoints.insert(endpoints.end(), planning.arrivals.begin(), planning.arrivals.end());
  return std::move(planning.entry);
}

void Roster::enter(const Entry& entry) {
  PORTCULLIS_CHECK(entry.why_whole.empty());
  for (const auto& [key, identity] : entry.fresh_) {
    add_identity(key, identity);
  }
  for (const Entry::Place& place : entry.places_) {
    for (const IpAddress& address : place.before) {
      owners_.erase(address);
    }
    if (!place.identity_before.empty()) {
      erase(identities_.at(place.identity_before).pods, place.slot);
    }
    // plan() took them from the end.
    if (place.slot < names_.size() && !slots_.contains(slot_key(place.key))) {
      free_.pop_back();
    }
  }
  for (const Entry::Place& place : entry.places_) {
    const std::string key = slot_key(place.key);
    for (const IpAddress& address : place.after) {
      owners_.emplace(address, place.slot);
    }
    names_.resize(std::max<std::size_t>(names_.size(), place.slot + std::size_t{1}));
    if (!place.identity_after.empty()) {
      insert(identities_.at(place.identity_after).pods, place.slot);
      slots_.insert_or_assign(key, place.slot);
      names_[place.slot] = {place.key.first, place.key.second};
    } else {
      slots_.erase(key);
      names_[place.slot] = {};
      free_.push_back(place.slot);
    }
  }
  for (const Entry::Place& place : entry.places_) {
    const auto left = identities_.find(place.identity_before);
    if (left != identities_.end() && left->second.pods.empty()) {
      remove_identity(place.identity_before);
    }
  }
}

template <typename Visit>
void Roster::visit_identities(const SetWords& words, Visit visit) const {
  const auto visit_namespace = [&](const std::vector<Identity*>& identities) {
    for (const Identity* const identity : identities) {
      if (holds(words, traits_of(*identity))) {
        visit(*identity);
      }
    }
  };
  if (const std::string* const only = only_namespace(words)) {
    if (const auto found = of_namespace_.find(*only); found != of_namespace_.end()) {
      visit_namespace(found->second);
    }
    return;
  }
  for (const auto& [name, identities] : of_namespace_) {
    visit_namespace(identities);
  }
}

classifier::AddressSet Roster::contents(const SetWords& words, const Entry& with) const {
  classifier::AddressSet set{.everything = is_everything(words), .blocks = blocks_of(words)};
  if (set.everything) {
    return set;
  }
  auto& pods = set.endpoints;
  visit_identities(words, [&](const Identity& identity) {
    pods.insert(pods.end(), identity.pods.begin(), identity.pods.end());
  });
  std::sort(pods.begin(), pods.end());
  for (const Entry::Place& place : with.places_) {
    if (!place.identity_before.empty()) {
      const auto at = std::lower_bound(pods.begin(), pods.end(), place.slot);
      if (at != pods.end() && *at == place.slot) {
        pods.erase(at);
      }
    }
  }
  for (const Entry::Place& place : with.places_) {
    if (place.identity_after.empty()) {
      continue;
    }
    const auto held = identities_.find(place.identity_after);
    const Identity& identity =
        held != identities_.end() ? held->second : with.fresh_.at(place.identity_after);
    if (holds(words, traits_of(identity))) {
      insert(pods, place.slot);
    }
  }
  return set;
}

std::vector<classifier::PortSet> Roster::meanings(const SetWords& words, const Entry& with) const {
  std::set<classifier::PortSet> found;
  const auto note = [&](const Identity& identity) {
    found.insert(meaning_on(*words.rule, identity.ports));
  };
  visit_identities(words, note);
  for (const auto& [key, identity] : with.fresh_) {
    if (holds(words, traits_of(identity))) {
      note(identity);
    }
  }
  found.erase(classifier::PortSet{});
  return {found.begin(), found.end()};
}

void Roster::join(SetIndex set, const SetWords& words) {
  if (is_everything(words)) {
    return;
  }
  for (auto& [key, identity] : identities_) {
    if (holds(words, traits_of(identity))) {
      identity.sets.insert(std::ranges::lower_bound(identity.sets, set), set);
    }
  }
}

void Roster::leave(SetIndex set) {
  for (auto& [key, identity] : identities_) {
    const auto at = std::ranges::lower_bound(identity.sets, set);
    if (at != identity.sets.end() && *at == set) {
      identity.sets.erase(at);
    }
  }
}

}  // namespace portcullis::policy
