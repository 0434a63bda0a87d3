// SPDX-License-Identifier: MIT
// A product: rows of source points by columns of destination points, and in every cell the list of
// the rules that hold both.
// Thread: one.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <stop_token>
#include <vector>

#include "classifier/filter/rectangle.h"
#include "classifier/filter/rule_lists.h"

namespace portcullis::classifier {

struct Product {
  std::vector<std::uint32_t> bases;    // By source point: where in cells its row begins.
  std::vector<std::uint32_t> columns;  // By destination point.
  std::vector<std::uint32_t> cells;    // Lists, or SparseCells word by word.
  bool sparse = false;
};

/// What a product of rules costs, counted without making it.
struct ProductCost {
  /// Up to so many cells have whole rows, which save a comparison and a load.
  static constexpr std::size_t kWholeCellsMax = std::size_t{1} << 18U;

  std::size_t whole_cells = 0;   // With whole rows.
  std::size_t filled_cells = 0;  // Those that some rule holds; all, where whole rows it will be.
  std::size_t steps = 0;         // Rules looked at, row by row; 0 where that was not counted.

  /// Rows lie in each other's gaps.
  [[nodiscard]] bool is_sparse() const;
  /// Of its cells, in the kind of row that takes less.
  [[nodiscard]] std::size_t bytes() const;
};
/// Beyond `bytes_max` it stops counting; once `stop` is requested, too, and the cost means nothing.
ProductCost cost_of_product(std::span<const Rectangle> rules,
                            std::size_t bytes_max,
                            const std::stop_token& stop);

struct PointCounts {
  std::size_t src = 0;
  std::size_t dst = 0;
};

/// REQUIRES: `lists` knows the match of every rule.
/// Errors: nothing if `lists` grows beyond `list_bytes_max`, or `stop` is requested; it has then
/// grown in vain.
std::optional<Product> make_product(std::span<const Rectangle> rules,
                                    const PointCounts& points,
                                    RuleLists& lists,
                                    std::size_t list_bytes_max,
                                    const std::stop_token& stop);

}  // namespace portcullis::classifier
