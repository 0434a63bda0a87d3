// SPDX-License-Identifier: MIT
// RuleSet -> Table: the only door between policy and dataplane.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <stop_token>
#include <string_view>

#include "base/result.h"
#include "classifier/rule.h"
#include "classifier/table.h"

namespace portcullis::classifier {

/// How far a compile is. Phases follow one another; `done` grows to `total` in each.
struct CompileProgress {
  std::string_view phase;  // "classes", "ingress rows", ...
  std::size_t done = 0;
  std::size_t total = 0;
};

struct CompileOptions {
  /// The table may take this many bytes; a larger one is refused before it is allocated.
  std::size_t table_bytes_max = std::size_t{1} << 30U;
  /// Threads that compile, the calling one among them; at most 64. 0: one a processor that the
  /// calling thread may use, and fewer for small rule sets. Hired threads inherit its affinity.
  unsigned threads = 0;
  /// A stop that is requested here ends the compile soon: after milliseconds at 100,000 pods, some
  /// ten times that at a million.
  std::stop_token stop;
  /// Called on the calling thread: when a phase begins, and at most 20 times a second. May be
  /// empty.
  std::function<void(const CompileProgress&)> progress;
};

/// Compiles a whole RuleSet. Deterministic: equal RuleSets give equal bytes and digests, whatever
/// the number of threads.
/// Errors: an address owned by two endpoints; an index out of range; a table over the limit (the
/// message names what is too large); a stop. Nothing is left of it then.
/// Memory: beside the table, what the compiler knows of it, and for each thread a word or three for
/// every address and column and the rows of four blocks of kRowsPerBlock.
/// Thread: any; no global state. Hired threads have ended on return.
Result<std::unique_ptr<const Table>> compile(const RuleSet& rules,
                                             const CompileOptions& options = {});

}  // namespace portcullis::classifier
