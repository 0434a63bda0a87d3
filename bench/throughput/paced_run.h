// SPDX-License-Identifier: MIT
// Loads that are given, not taken: NDR and PDR by search, and latency by load, of our worker and of
// a bare loop that writes MAC addresses, over the same ring ports and the same traffic.
#pragma once

#include "base/result.h"
#include "bench/corpus.h"
#include "bench/report.h"
#include "bench/throughput/options.h"

namespace portcullis::bench {

/// Left out, and said, where there is but one processor.
/// Errors: DPDK does not start; a packet is dropped that should not be.
Result<void> run_paced(const ThroughputOptions& options, const World& world, Report& report);

}  // namespace portcullis::bench
