// SPDX-License-Identifier: MIT
// Our own table as a contestant, and the linear matchers that everyone must agree with.
#pragma once

#include <optional>

#include "base/cpu.h"
#include "bench/baselines/contestant.h"
#include "classifier/rule.h"
#include "classifier/table.h"

namespace portcullis::bench {

/// permit() and lookup() under one kernel. Answers as expand() has them. `table` outlives them.
/// REQUIRES: the processor has it and the kernel is built.
Entry make_permit(const classifier::Table& table, Isa isa);
Entry make_lookup(const classifier::Table& table, Isa isa);

/// classifier::Reference; with a node, of the ends that are pods of this node only. `rules`
/// outlives it.
Entry make_reference(const classifier::RuleSet& rules,
                     classifier::EndpointIndex node = classifier::kNoEndpoint);

/// Rules tried one after another, for plain filter sets. `lists` outlives it.
Entry make_linear(const RuleLists& lists);

/// Our static rules on a plain filter set, under the best kernel here. Its answer to a key is the
/// number of the first rule that holds it, from 1, or 0.
/// Errors: what compile() refuses.
Result<Entry> make_ours(const FilterSet& filters);

}  // namespace portcullis::bench
