// SPDX-License-Identifier: MIT
// A rate of wrong answers is worth nothing: contestants are compared before they are measured.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "base/result.h"
#include "bench/baselines/contestant.h"

namespace portcullis::bench {

/// Which keys are compared, and which bits of the answers count.
struct Agreement {
  std::span<const classifier::Key4> keys;
  std::size_t sample = 0;               // Keys for everyone, spread over all.
  std::size_t first = ~std::size_t{0};  // The others, without the slow ones, get so many.
  std::uint32_t bits = ~0U;
};

/// Errors: two contestants that differ, and the key.
Result<void> agree(const std::string& where, std::span<Entry> entries, const Agreement& agreement);

}  // namespace portcullis::bench
