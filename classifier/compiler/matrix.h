// SPDX-License-Identifier: MIT
// Matrix: the two half matrices (subject row x peer column -> outcome) as spans, tiles, outcomes.
// Thread: one.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "base/result.h"
#include "classifier/compiler/classes.h"
#include "classifier/compiler/intern.h"
#include "classifier/compiler/outcomes.h"
#include "classifier/crew.h"
#include "classifier/rule.h"

namespace portcullis::classifier {

/// Where a row lies in the table.
struct RowPlace {
  std::uint32_t spans = 0;
  std::uint32_t outcomes = 0;
};

/// A row before it is packed: the cells that differ from cell 0, by ascending column.
struct SparseRow {
  struct Cell {
    std::uint32_t column = 0;
    std::uint16_t number = 0;  // Indexes `outcomes`; not 0.
  };
  std::vector<Cell> cells;
  std::vector<std::uint32_t> outcomes;  // outcomes[0] is that of every cell not listed.
};

/// Rows that were built together, apart from the matrix and from other blocks.
struct RowBlock;

/// A row cut into tiles, before those that the matrix has already are found.
struct CutRow {
  struct Piece {  // Of a span that has cells: its tiles, one after another.
    std::uint32_t span = 0;
    std::uint32_t present = 0;
    std::size_t words_end = 0;  // Of its tiles in `words`; they begin where those before end.
    std::uint64_t hash = 0;
  };
  std::vector<Piece> pieces;
  std::vector<std::uint32_t> words;  // Cells of 16 bits, two a word.
};

class Matrix {
 public:
  /// Rows that are built in one go. More would take more memory, fewer more of the matrix's time.
  static constexpr std::uint32_t kRowsPerBlock = 32;

  /// The matrix may take `bytes_max`; a larger one is refused.
  Matrix(const RuleSet& rules, std::size_t bytes_max);

  /// Builds one direction's rows; the places are by row. Once the crew is stopped, they mean
  /// nothing. Errors: too many bytes, or a row with more outcomes than a cell can number.
  Result<std::vector<RowPlace>> add(Direction direction, const Half& half, Crew& crew);

  /// Builds a row anew or adds the next one, after add(). The column count may have grown.
  /// Empty: the row needs wider cells or more spans than the table has.
  std::optional<RowPlace> replace_row(Direction direction, std::uint32_t row, SparseRow sparse);
  /// What row kRowOutside says.
  [[nodiscard]] SparseRow row_outside(const Half& half) const;
  /// Before replace_row() with rules, ports or sets that have changed.
  void begin_changes(std::span<const PortsIndex> changed_ports) { outcomes_.forget(changed_ports); }
  [[nodiscard]] Outcomes& outcomes() { return outcomes_; }

  /// A direction's rows as they were before packing, or null: there were too many cells to keep.
  [[nodiscard]] const std::vector<SparseRow>* rows(Direction direction) const;
  [[nodiscard]] const Intern& spans() const { return spans_; }
  [[nodiscard]] const Intern& outcome_words() const { return outcome_words_; }
  [[nodiscard]] const Outcomes& outcomes() const { return outcomes_; }
  /// 0: cells are bytes; 1: 16 bits.
  [[nodiscard]] unsigned cell_shift() const;
  /// Of the tiles from a place on.
  [[nodiscard]] std::vector<std::byte> tile_bytes(std::size_t first_byte = 0) const;
  [[nodiscard]] std::size_t bytes() const;

 private:
  RowPlace place(const SparseRow& row, const CutRow& cut, std::size_t span_count);
  void keep(Direction direction, SparseRow row);
  Result<void> take(RowBlock& block,
                    Direction direction,
                    const Half& half,
                    std::vector<RowPlace>& places);

  const RuleSet& rules_;
  std::size_t bytes_max_;
  std::size_t cells_kept_max_;
  Outcomes outcomes_;
  Intern spans_;
  Intern tiles_;  // Cells of 16 bits, two a word.
  Intern outcome_words_;
  std::size_t outcomes_per_row_max_ = 0;
  std::array<std::vector<SparseRow>, 2> rows_;  // By Direction.
  std::array<std::size_t, 2> span_counts_{};    // Of each row; by Direction.
  std::size_t cells_kept_ = 0;

  std::vector<std::uint32_t> span_run_;  // Room for one place().
};

}  // namespace portcullis::classifier
