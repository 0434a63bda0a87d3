// SPDX-License-Identifier: MIT
// The direct evaluator: NetworkPolicy semantics in the API's own words, flow by flow, with no
// classes, sets or table. Tests hold `lower` + `reference` + `table` against it.
#pragma once

#include "classifier/key.h"
#include "policy/lower.h"
#include "policy/snapshot.h"

namespace portcullis::policy {

struct Evaluation {
  bool egress_allowed = false;
  bool ingress_allowed = false;
  [[nodiscard]] bool allowed() const { return egress_allowed && ingress_allowed; }
};

Evaluation evaluate(const Snapshot& snapshot,
                    const LowerOptions& options,
                    const classifier::Flow& flow);

}  // namespace portcullis::policy
