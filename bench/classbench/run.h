// SPDX-License-Identifier: MIT
// Plain filter sets in ClassBench's manner: our engine, its rivals and the worst ratio.
#pragma once

#include "base/result.h"
#include "bench/options.h"
#include "bench/report.h"

namespace portcullis::bench {

/// Generated sets of every kind and size, or the files that the options name.
/// Errors: contestants that do not agree about a key; a file that cannot be read.
Result<void> run_classbench(const Options& options, Report& report);

}  // namespace portcullis::bench
