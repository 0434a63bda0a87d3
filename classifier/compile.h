// SPDX-License-Identifier: MIT
// RuleSet -> Table: the only door between policy and dataplane.
#pragma once

#include <cstddef>
#include <memory>

#include "base/result.h"
#include "classifier/rule.h"
#include "classifier/table.h"

namespace portcullis::classifier {

struct CompileOptions {
  /// The table may take this many bytes; a larger one is refused before it is allocated.
  std::size_t table_bytes_max = std::size_t{1} << 30U;
};

/// Compiles a whole RuleSet. Deterministic: equal RuleSets give equal bytes and digests.
/// Errors: an address owned by two endpoints; an index out of range; a table over the limit (the
/// message names what is too large).
/// Thread: any; no global state.
Result<std::unique_ptr<const Table>> compile(const RuleSet& rules,
                                             const CompileOptions& options = {});

}  // namespace portcullis::classifier
