// SPDX-License-Identifier: MIT
// Who owns the addresses of groups of flows: pods and nodes by their names.
// Thread: immutable after construction. Owner: the snapshot must outlive it.
#pragma once

#include <map>
#include <span>

#include <nlohmann/json.hpp>

#include "base/ip.h"
#include "dataplane/flows/groups.h"
#include "policy/snapshot.h"

namespace portcullis::control {

IpAddress source_of(const dataplane::FlowGroup& group);
IpAddress destination_of(const dataplane::FlowGroup& group);

class Owners {
 public:
  /// A cluster may have far more pods than there are groups: only these are looked for.
  Owners(std::span<const dataplane::FlowGroup> groups, const policy::Snapshot& snapshot);

  // REQUIRES of all: the address is one of the groups'.
  /// Null: it is no living pod's own.
  [[nodiscard]] const policy::Pod* pod(const IpAddress& address) const;
  /// Null: it is no node's.
  [[nodiscard]] const policy::Node* node(const IpAddress& address) const;
  /// "namespace/pod", or null.
  [[nodiscard]] nlohmann::json pod_name(const IpAddress& address) const;

 private:
  struct Owner {
    const policy::Pod* pod = nullptr;
    const policy::Node* node = nullptr;
  };
  std::map<IpAddress, Owner> owners_;
};

}  // namespace portcullis::control
