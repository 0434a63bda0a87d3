// SPDX-License-Identifier: MIT
// The command line of `portcullis-bench throughput`.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

namespace portcullis::bench {

struct ThroughputOptions {
  bool quick = false;
  bool pipeline = true;  // The pipeline alone, in memory.
  bool vdevs = true;     // Beside testpmd, through DPDK's devices.
  bool paced = true;     // At given loads, through rings.
  std::uint64_t seed = 1;
  std::optional<std::filesystem::path> json;
  std::string testpmd = "dpdk-testpmd";

  /// How many repetitions a median is taken of.
  static constexpr int kRepetitions = 5;
  /// How long one repetition through the devices lasts.
  [[nodiscard]] double seconds() const { return quick ? 0.4 : 2; }
};

}  // namespace portcullis::bench
