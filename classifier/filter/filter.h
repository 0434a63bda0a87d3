// SPDX-License-Identifier: MIT
// Static rules -> the bytes of their part of a table.
#pragma once

#include <cstddef>
#include <stop_token>
#include <vector>

#include "base/result.h"
#include "classifier/filter/layout.h"
#include "classifier/rule.h"

namespace portcullis::classifier {

/// Bytes that begin with a FilterHeader; none if there are no static rules. REQUIRES:
/// check_rules() took the rules.
/// Once `stop` is requested it ends soon, and what it returns means nothing.
/// Errors: more than `bytes_max` bytes; the message says what takes them.
Result<std::vector<std::byte>> compile_filter(const RuleSet& rules,
                                              std::size_t bytes_max,
                                              const std::stop_token& stop = {});

/// How the rules are spread over the engines, for status and table dump.
struct FilterSizes {
  std::size_t bytes = 0;
  std::size_t address_maps = 0;  // Bytes.
  std::size_t products = 0;      // Count.
  std::size_t cells = 0;         // Bytes.
  std::size_t lists = 0;         // Count.
  std::size_t shapes = 0;        // Bytes.
  std::size_t port_points = 0;   // Bytes of all that leads to them.
  std::size_t tree_rules = 0;    // Entries of the tree's leaves: rules that no product took.
};
FilterSizes filter_sizes(const std::byte* filter);

/// `filter`: what compile_filter() made, where it lies now, aligned to 64 bytes.
FilterView filter_view(const std::byte* filter);

}  // namespace portcullis::classifier
