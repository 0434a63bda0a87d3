// SPDX-License-Identifier: MIT
// Permit sides: the rows of each direction with permit lines for outcomes, as what most of a row
// says and the cells that deviate from it.
// Thread: plain data; fill() on one, with its crew.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "classifier/compiler/matrix.h"
#include "classifier/crew.h"
#include "classifier/rule.h"

namespace portcullis::classifier {

/// A cell of one direction that differs from what most of its row says.
struct Deviation {
  std::uint32_t at = 0;  // A column; in by_column, a row.
  std::uint32_t line = 0;
  friend bool operator==(const Deviation&, const Deviation&) = default;
};
using Deviations = std::vector<Deviation>;

/// One direction. Lists by row, column or class may end early: what is beyond has none.
struct PermitSide {
  std::size_t column_count = 0;
  std::vector<std::uint32_t> defaults;  // By row: the line of most columns.
  std::vector<Deviations> deviations;   // By row, ascending.
  std::vector<Deviations> by_column;    // The same by column, in no order.
  std::vector<std::uint8_t> inverted;   // By row: 1 where cell 0 is no default.
  std::vector<std::vector<std::uint32_t>> classes_of_row;
  std::vector<std::vector<std::uint32_t>> classes_of_column;

  /// Takes all rows at once, into a side that has none: by_column of each column in order of row.
  /// Shapes: lines[row] are those of the row's outcomes by number.
  void fill(std::span<const SparseRow> rows,
            std::span<const std::vector<std::uint32_t>> lines,
            Crew& crew);
};

/// The line that most columns of a row have. `lines` are those of its outcomes by number.
std::uint32_t commonest_line(const SparseRow& row,
                             std::size_t column_count,
                             std::span<const std::uint32_t> lines);
/// Where a row says other than `usual`, ascending.
Deviations deviations_of(const SparseRow& row,
                         std::size_t column_count,
                         std::span<const std::uint32_t> lines,
                         std::uint32_t usual);

struct PermitSides {
  std::array<PermitSide, 2> sides;  // By Direction.

  [[nodiscard]] PermitSide& of(Direction direction) {
    return sides[static_cast<std::size_t>(direction)];
  }
  [[nodiscard]] const PermitSide& of(Direction direction) const {
    return sides[static_cast<std::size_t>(direction)];
  }
};

/// Nothing beyond the end.
template <typename Item>
std::span<const Item> list_at(const std::vector<std::vector<Item>>& lists, std::uint32_t at) {
  return at < lists.size() ? std::span<const Item>(lists[at]) : std::span<const Item>{};
}

}  // namespace portcullis::classifier
