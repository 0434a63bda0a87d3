// SPDX-License-Identifier: MIT
// Policy-shaped worlds of growing size: our table, its rivals and the figures.
#pragma once

#include "base/result.h"
#include "bench/options.h"
#include "bench/report.h"

namespace portcullis::bench {

/// Errors: contestants that do not agree about a key; a world that cannot be compiled, or that the
/// options name and is not there.
Result<void> run_policies(const Options& options, Report& report);

}  // namespace portcullis::bench
