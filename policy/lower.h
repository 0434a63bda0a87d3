// SPDX-License-Identifier: MIT
// Snapshot -> RuleSet: Kubernetes' words become ordered rules over endpoints and blocks.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "classifier/rule.h"
#include "policy/provenance.h"
#include "policy/snapshot.h"

namespace portcullis::policy {

/// What an endpoint of the RuleSet is called.
struct EndpointName {
  std::string name_space;  // Empty for nodes.
  std::string name;
  [[nodiscard]] std::string text() const;  // "namespace/pod" or "node/NAME".
};

struct Lowered {
  classifier::RuleSet rules;
  Provenance provenance;                // Indexed by Rule::provenance; each rule has its own.
  std::vector<EndpointName> endpoints;  // Parallel to rules.endpoints.
  std::vector<std::string> warnings;    // "policy shop/x selects no pod", ...
};

struct LowerOptions {
  classifier::DefaultMode default_mode = classifier::DefaultMode::deny;
  std::vector<Prefix> pod_cidrs;  // Added to those of the nodes.
};

/// The rules of one policy stand together: policies by namespace and name, egress first.
/// Errors: two live pods (or a pod and a node) claim one address; both are named with file:line.
/// Thread: any. Deterministic.
Result<Lowered> lower(const Snapshot& snapshot, const LowerOptions& options);

/// A static rule and where it was written. They are no policies: lower() knows nothing of them.
struct NamedStaticRule {
  classifier::StaticRule rule;
  std::string name;
  Where where;
};

/// Puts static rules in front of what was lowered.
void add_static_rules(const std::vector<NamedStaticRule>& rules, Lowered& lowered);

}  // namespace portcullis::policy
