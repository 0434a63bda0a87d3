// SPDX-License-Identifier: MIT
// A search tree that finds in which stretch of ascending numbers a value lies; see LimitSearch.
// Thread: one.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "classifier/filter/layout.h"

namespace portcullis::classifier {

struct SearchTree {
  LimitSearch search;
  std::vector<std::uint32_t> limits;
};

/// begins[i]: the first value of stretch i; ascending. REQUIRES: begins[0] is 0.
SearchTree make_search(std::span<const std::uint32_t> begins);

}  // namespace portcullis::classifier
