// SPDX-License-Identifier: MIT
// The pipeline alone under attack: what the attacker's packets cost, and that the others pass.
#pragma once

#include "base/result.h"
#include "bench/corpus.h"
#include "bench/report.h"
#include "bench/throughput/options.h"
#include "dataplane/generation.h"

namespace portcullis::bench {

/// A SYN flood; then malformed packets, fragments and denied scans, each alone and all at once.
/// Errors: the connections to be attacked do not come about.
Result<void> run_attacks(const ThroughputOptions& options,
                         const dataplane::Generation& generation,
                         const World& world,
                         Report& report);

}  // namespace portcullis::bench
