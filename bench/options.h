// SPDX-License-Identifier: MIT
// The command line of bench_classifier.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/cpu.h"
#include "base/result.h"

namespace portcullis::bench {

struct Options {
  bool quick = false;
  bool policies = true;    // Policy-shaped worlds.
  bool classbench = true;  // Plain filter sets.
  std::uint64_t seed = 1;
  std::vector<Isa> isas;            // Of our own kernels, best first.
  std::vector<std::string> worlds;  // Only these, if any are named.
  std::vector<std::filesystem::path> rules;
  std::optional<std::filesystem::path> json;

  /// How long one repetition of a rate lasts.
  [[nodiscard]] double seconds() const { return quick ? 0.02 : 0.2; }
  /// How many keys of a trace all contestants are compared on.
  [[nodiscard]] std::size_t compared_keys() const { return quick ? 16'384 : 262'144; }
};

extern const char* const kUsage;

/// Errors: an option that is not known or cannot be followed.
Result<Options> read_options(std::span<char* const> arguments);

}  // namespace portcullis::bench
