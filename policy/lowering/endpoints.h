// SPDX-License-Identifier: MIT
// Who holds which address: the endpoints of a RuleSet, from pods and nodes.
// Thread: any. Deterministic.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "classifier/rule.h"
#include "policy/lower.h"
#include "policy/snapshot.h"

namespace portcullis::policy {

/// Workloads come first, sorted by (namespace, name), then nodes by name.
struct Population {
  std::vector<classifier::Endpoint> endpoints;
  std::vector<EndpointName> names;    // Parallel to endpoints.
  std::vector<const Pod*> workloads;  // Parallel to the first endpoints; of the snapshot.
  std::vector<Prefix> pod_cidrs;      // Less the nodes' own addresses.
  std::vector<std::string> warnings;
};

/// Live pods are workloads, also those without an address yet. Terminated pods hold nothing.
/// hostNetwork pods are none: their addresses are their node's. Nodes are Node objects and the
/// spec.nodeName of live pods; a node without an address is left out.
/// Errors: an address claimed by two pods, two Node objects, or a pod and a node.
Result<Population> populate(const Snapshot& snapshot, const LowerOptions& options);

}  // namespace portcullis::policy
