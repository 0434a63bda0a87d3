// SPDX-License-Identifier: MIT
// Our worker beside dpdk-testpmd: same devices, same frames, same core, in turns.
#pragma once

#include "base/result.h"
#include "bench/corpus.h"
#include "bench/report.h"
#include "bench/throughput/options.h"

namespace portcullis::bench {

/// What cannot be compared here (no testpmd, too little memory) is told and left out.
/// Errors: our own worker fails.
Result<void> run_vdevs(const ThroughputOptions& options, const World& world, Report& report);

}  // namespace portcullis::bench
