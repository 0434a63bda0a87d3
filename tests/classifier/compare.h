// SPDX-License-Identifier: MIT
// The comparison of a table with the linear matcher at the boundaries of its rules.
#pragma once

#include <cstddef>
#include <random>
#include <vector>

#include "classifier/key.h"
#include "classifier/rule.h"
#include "classifier/table.h"

namespace portcullis::classifier {

/// Flows of a world that are compared unless said otherwise; the few larger worlds are sampled.
inline constexpr std::size_t kFlowsMax = 20'000;

/// The number of flows compared, under each instruction set that this processor has: verdicts with
/// their rules, and permits. A difference is a failure of the test that runs.
std::size_t compare(const RuleSet& rules,
                    const Table& table,
                    Family family,
                    std::mt19937_64& random,
                    std::size_t flows_max = kFlowsMax);

/// The same of these flows, all of one family.
std::size_t compare(const RuleSet& rules,
                    const Table& table,
                    Family family,
                    const std::vector<Flow>& flows);

/// How many instruction sets compare() asks.
std::size_t isa_count();

}  // namespace portcullis::classifier
