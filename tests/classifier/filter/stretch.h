// SPDX-License-Identifier: MIT
// Walks a search tree as its layout says, without a kernel's help.
#pragma once

#include <cstdint>

#include "classifier/filter/limit_search.h"

namespace portcullis::classifier {

/// The stretch that a value lies in.
inline std::uint32_t stretch_of(const SearchTree& tree, std::uint32_t value) {
  constexpr std::size_t kLimits = LimitSearch::kLimits;
  const auto key = static_cast<std::int32_t>(value - LimitSearch::kBias);
  const auto passed = [&](std::size_t first, std::size_t count) {
    std::uint32_t below = 0;
    for (std::size_t i = first; i < first + count; ++i) {
      below += static_cast<std::int32_t>(tree.limits.at(i)) < key ? 1 : 0;
    }
    return below;
  };
  std::uint32_t node = passed(0, std::size_t{tree.search.root_vectors} * kLimits);
  for (std::uint32_t level = 1; level < tree.search.depth; ++level) {
    const std::size_t at = std::size_t{tree.search.levels[level]} + node;
    node = node * (LimitSearch::kLimits + 1) + passed(at * kLimits, kLimits);
  }
  return node;
}

}  // namespace portcullis::classifier
