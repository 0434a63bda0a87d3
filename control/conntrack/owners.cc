// SPDX-License-Identifier: MIT
#include "control/conntrack/owners.h"

namespace portcullis::control {

using dataplane::FlowGroup;
using nlohmann::json;

IpAddress source_of(const FlowGroup& group) {
  return {group.key.family, group.key.src};
}

IpAddress destination_of(const FlowGroup& group) {
  return {group.key.family, group.key.dst};
}

Owners::Owners(std::span<const FlowGroup> groups, const policy::Snapshot& snapshot) {
  for (const FlowGroup& group : groups) {
    owners_.try_emplace(source_of(group));
    owners_.try_emplace(destination_of(group));
  }
  for (const policy::Pod& pod : snapshot.pods) {
    // An ended pod owns nothing any more; a hostNetwork pod shares its node's addresses.
    if (pod.terminated || pod.host_network) {
      continue;
    }
    for (const IpAddress& address : pod.addresses) {
      if (const auto found = owners_.find(address); found != owners_.end()) {
        found->second.pod = &pod;
      }
    }
  }
  for (const policy::Node& node : snapshot.nodes) {
    for (const IpAddress& address : node.addresses) {
      if (const auto found = owners_.find(address); found != owners_.end()) {
        found->second.node = &node;
      }
    }
  }
}

const policy::Pod* Owners::pod(const IpAddress& address) const {
  return owners_.at(address).pod;
}

const policy::Node* Owners::node(const IpAddress& address) const {
  return owners_.at(address).node;
}

json Owners::pod_name(const IpAddress& address) const {
  const policy::Pod* const owner = pod(address);
  return owner == nullptr ? json() : json(owner->name_space + "/" + owner->name);
}

}  // namespace portcullis::control
