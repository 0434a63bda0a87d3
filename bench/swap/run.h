// SPDX-License-Identifier: MIT
// Swaps of the whole table under full load: that no packet is lost or judged by a mixture, how long
// a publication takes, and what it costs.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>

#include "base/result.h"
#include "bench/report.h"

namespace portcullis::bench {

struct SwapOptions {
  bool quick = false;
  std::uint64_t seed = 1;
  std::optional<std::filesystem::path> json;
};

/// Errors: there is no second processor; DPDK does not start; the worker has counted other packets
/// than were sent, so that the figures would lie.
Result<void> run_swaps(const SwapOptions& options, Report& report);

}  // namespace portcullis::bench
