// SPDX-License-Identifier: MIT
// Flows that a table denies, by who talks to whom: pairs of workloads, and the port that is called.
// Thread: pure functions.
#pragma once

#include <cstddef>
#include <span>

#include <nlohmann/json.hpp>

#include "classifier/table.h"
#include "control/rule_ledger.h"
#include "dataplane/flows/groups.h"
#include "policy/snapshot.h"

namespace portcullis::control {

struct FlowPairs {
  nlohmann::json shown = nlohmann::json::array();  // docs/protocol.md, `pairs` of a commit.
  std::size_t total = 0;
};

/// A table, and what its rules are called.
struct NamedTable {
  const classifier::Table& table;
  const RuleKeys& keys;
};

/// The pairs with most flows. REQUIRES: the groups are by `call`. `snapshot`: whose names the ends
/// have; `denier`: the table that denies them.
FlowPairs pairs_of(std::span<const dataplane::FlowGroup> groups,
                   const policy::Snapshot& snapshot,
                   const NamedTable& denier);

}  // namespace portcullis::control
