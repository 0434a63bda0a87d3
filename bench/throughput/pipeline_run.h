// SPDX-License-Identifier: MIT
// The pipeline alone, in memory, on one core: cycles a packet of parse, flow table, lookup and
// counters, and what a new flow costs.
#pragma once

#include <cstdint>

#include "base/result.h"
#include "bench/corpus.h"
#include "bench/report.h"
#include "bench/throughput/options.h"

namespace portcullis::bench {

/// 10,000 pods under about 10,000 rules, both families.
World make_rules_world(std::uint64_t seed);

/// Errors: a packet was not forwarded, or a flow not kept, so that the figures would lie.
Result<void> run_pipeline(const ThroughputOptions& options, const World& world, Report& report);

}  // namespace portcullis::bench
