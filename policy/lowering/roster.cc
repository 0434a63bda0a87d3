// SPDX-License-Identifier: MIT
#include "policy/lowering/roster.h"

#include <algorithm>
#include <iterator>
#include <string_view>
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

void add_keys(const Selector& selector, std::unordered_set<std::string>& keys) {
  for (const Requirement& requirement : selector.requirements) {
    keys.insert(requirement.key);
  }
}

std::string slot_key(const ObjectKey& key) {
  return key.first + "/" + key.second;
}

}  // namespace

Roster::Roster(const Snapshot& snapshot, const Lowered& lowered) : names_(lowered.endpoints) {
  read_policies(snapshot);
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
  read_sets(snapshot, lowered);
}

void Roster::read_policies(const Snapshot& snapshot) {
  for (const NetworkPolicy& policy : snapshot.policies) {
    add_keys(policy.subjects, label_keys_);
    for (const auto* rules : {&policy.ingress, &policy.egress}) {
      for (const PolicyRule& rule : *rules) {
        bool has_block = false;
        for (const Peer& peer : rule.peers) {
          const auto* const pods = std::get_if<PodPeer>(&peer);
          has_block = has_block || pods == nullptr;
          if (pods != nullptr) {
            add_keys(pods->pods, label_keys_);
          }
        }
        for (const PolicyPort& port : rule.ports) {
          if (!port.name.empty()) {
            port_names_.insert(port.name);
            names_ports_of_blocks_ = names_ports_of_blocks_ || has_block;
          }
        }
      }
    }
  }
}

/// The sets of every identity that was lowered: any of its pods stands for all.
void Roster::read_sets(const Snapshot& snapshot, const Lowered& lowered) {
  std::vector<Sets*> of_endpoint(lowered.rules.endpoints.size(), nullptr);
  for (const Pod& pod : snapshot.pods) {
    const auto slot = slots_.find(pod.name_space + "/" + pod.name);
    if (is_workload(&pod) && slot != slots_.end()) {
      of_endpoint[slot->second] = &sets_[identity_of(pod)];
    }
  }
  for (SetIndex set = 0; set < lowered.rules.sets.size(); ++set) {
    for (const EndpointIndex endpoint : lowered.rules.sets[set].endpoints) {
      Sets* const sets = of_endpoint[endpoint];
      if (sets != nullptr && (sets->empty() || sets->back() != set)) {
        sets->push_back(set);
      }
    }
  }
}

std::string Roster::identity_of(const Pod& pod) const {
  std::string identity = pod.name_space;
  const auto add = [&](std::string_view text) {
    identity += '\0';
    identity += text;
  };
  for (const auto& [key, value] : pod.labels) {
    if (label_keys_.contains(key)) {
      add(key);
      add(value);
    }
  }
  std::vector<std::string> ports;
  for (const ContainerPort& port : pod.ports) {
    if (port_names_.contains(port.name)) {
      ports.push_back(fmt::format("{} {} {}", port.name, port.protocol, port.number));
    }
  }
  std::sort(ports.begin(), ports.end());
  ports.erase(std::unique(ports.begin(), ports.end()), ports.end());
  add("");
  for (const std::string& port : ports) {
    add(port);
  }
  return identity;
}

const Roster::Sets* Roster::sets_of(const Pod& pod) const {
  const auto found = sets_.find(identity_of(pod));
  return found == sets_.end() ? nullptr : &found->second;
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
  if (sets_of(*pod) == nullptr) {
    return fmt::format("{} is the first of its labels",
                       title(Kind::pod, {pod->name_space, pod->name}));
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

  void enter(const Replaced<Pod>& pod) {
    const bool was = is_workload(pod.before.get());
    const bool is = is_workload(pod.after.get());
    if (!was && !is) {
      return;
    }
    Entry::Place place{.key = pod.key, .slot = slot_for(pod), .is_there = is};
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
    const Sets none;
    const Sets& old_sets = was ? *roster.sets_of(*pod.before) : none;
    const Sets& new_sets = is ? *roster.sets_of(*pod.after) : none;
    change_membership(old_sets, new_sets, place.slot, false);
    change_membership(new_sets, old_sets, place.slot, true);
    entry.places_.push_back(std::move(place));
  }
};

Result<Roster::Entry> Roster::plan(std::span<const Replaced<Pod>> pods) const {
  Planning planning{.roster = *this};
  for (const Replaced<Pod>& pod : pods) {
    for (const Pod* const one : {pod.before.get(), pod.after.get()}) {
      if (std::string why = why_whole(one); !why.empty()) {
        planning.entry.why_whole = std::move(why);
        return std::move(planning.entry);
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
    planning.enter(pod);
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
  for (const Entry::Place& place : entry.places_) {
    for (const IpAddress& address : place.before) {
      owners_.erase(address);
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
    if (place.is_there) {
      slots_.insert_or_assign(key, place.slot);
      names_[place.slot] = {place.key.first, place.key.second};
    } else {
      slots_.erase(key);
      names_[place.slot] = {};
      free_.push_back(place.slot);
    }
  }
}

}  // namespace portcullis::policy
