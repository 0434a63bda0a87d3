// SPDX-License-Identifier: MIT
#include "classifier/filter/limit_search.h"

#include <cstddef>

#include "base/check.h"

namespace portcullis::classifier {
namespace {

constexpr std::size_t kLimits = LimitSearch::kLimits;
constexpr std::size_t kWays = kLimits + 1;

}  // namespace

SearchTree make_search(std::span<const std::uint32_t> begins) {
  PORTCULLIS_CHECK(!begins.empty() && begins[0] == 0);
  const std::size_t count = begins.size();
  SearchTree tree;
  LimitSearch& search = tree.search;
  const auto root_ways = [](std::size_t vectors) { return vectors * kLimits + 1; };
  std::size_t below_root = 1;  // Stretches below a child of the root.
  if (count > 1) {
    search.depth = 1;
    while (root_ways(LimitSearch::kRootVectorsMax) * below_root < count) {
      below_root *= kWays;
      ++search.depth;
    }
    search.root_vectors = 1;
    while (root_ways(search.root_vectors) * below_root < count) {
      ++search.root_vectors;
    }
  }
  PORTCULLIS_CHECK(search.depth <= LimitSearch::kLevelsMax);

  /// Adds the limits between the children, each of `below` stretches, of a node that begins there.
  const auto add_limits = [&](std::size_t first, std::size_t below, std::size_t limits) {
    for (std::size_t i = 1; i <= limits; ++i) {
      const std::size_t next = first + i * below;  // The stretch beyond the limit.
      const std::uint32_t last = next < count ? begins[next] - 1 : 0xffff'ffffU;
      tree.limits.push_back(last - LimitSearch::kBias);
    }
  };
  add_limits(0, below_root, search.root_vectors * kLimits);
  for (std::uint32_t level = 1; level < search.depth; ++level) {
    search.levels[level] = static_cast<std::uint32_t>(tree.limits.size() / kLimits);
    const std::size_t below = below_root / kWays;
    for (std::size_t first = 0; first < count; first += below_root) {
      add_limits(first, below, kLimits);
    }
    below_root = below;
  }
  return tree;
}

}  // namespace portcullis::classifier
