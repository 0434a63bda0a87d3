// SPDX-License-Identifier: MIT
// PermitFolder: folds the rows of both directions, class by class, and lays them into a comb. It
// goes on from there: rows and classes may change, and only the sources they touch fold again.
// Thread: one.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <unordered_map>
#include <vector>

#include "classifier/compiler/classes.h"
#include "classifier/compiler/comb.h"
#include "classifier/compiler/matrix.h"
#include "classifier/crew.h"
#include "classifier/layout.h"
#include "classifier/permits/permit_lines.h"
#include "classifier/permits/shared_rows.h"
#include "classifier/rule.h"

namespace portcullis::classifier {

struct PermitOptions {
  /// What permits may take.
  std::size_t bytes_max = std::size_t{1} << 30U;
  /// No form before this one is used.
  PermitForm narrowest = PermitForm::narrow;
};

class PermitFolder {
 public:
  /// REQUIRES: `matrix` outlives this and has kept its rows.
  PermitFolder(DefaultMode mode,
               const Matrix& matrix,
               const Classes& classes,
               const PermitOptions& options);

  /// Of a class as a destination.
  [[nodiscard]] Opening opening_of(const ClassRoles& roles) const;

  // Changes, to be followed by fold(): columns first, then rows; then classes leave with the roles
  // they had and come, or come back, with those they have.

  /// How many columns there are: rows that mostly deviate from cell 0 change with their number.
  void set_column_count(Direction direction, std::size_t count, const Matrix& matrix);
  void set_row(Direction direction, std::uint32_t row, const SparseRow& sparse);
  void unlist(std::uint32_t number, const ClassRoles& roles);
  void list(std::uint32_t number, const ClassRoles& roles);

  /// Classes that have this row.
  [[nodiscard]] std::span<const std::uint32_t> classes_of_row(Direction direction,
                                                              std::uint32_t row) const;

  /// Folds what changed; the first time it chooses the form. False when there are too many cells,
  /// lines or pairs of classes, or more than the form can name. A crew is told how far it is, and
  /// ends it when stopped: then the result means nothing.
  bool fold(const Classes& classes, Crew* crew = nullptr);

  [[nodiscard]] PermitForm form() const { return form_; }
  [[nodiscard]] const std::vector<std::uint32_t>& cells() const { return cells_; }
  [[nodiscard]] const std::vector<std::uint32_t>& lines() const { return lines_.words(); }
  [[nodiscard]] std::vector<std::uint32_t> rows(const Classes& classes) const;
  [[nodiscard]] std::vector<std::uint32_t> defaults(const Classes& classes) const;
  /// Rows folded by the last fold().
  [[nodiscard]] std::size_t folded() const { return folded_; }
  /// Bytes of the cells that the last fold() took out.
  [[nodiscard]] std::size_t freed_bytes() const { return freed_ * words() * sizeof(kNoCell); }

 private:
  static constexpr std::uint32_t kUnset = 0xffff'ffffU;
  static constexpr std::uint32_t kNoLine = 0xffff'fffeU;

  /// A cell of one direction that differs from what most of its row says.
  struct Deviation {
    std::uint32_t at = 0;  // A column; in by_column, a row.
    std::uint32_t line = 0;
    friend bool operator==(const Deviation&, const Deviation&) = default;
  };
  using Deviations = std::vector<Deviation>;

  /// One direction with lines for outcomes.
  struct Side {
    std::size_t column_count = 0;
    std::vector<std::uint32_t> defaults;  // By row: the line of most columns.
    std::vector<Deviations> deviations;   // By row, ascending.
    std::vector<Deviations> by_column;    // The same by column, in no order.
    std::vector<bool> inverted;           // By row: cell 0 is no default.
    std::vector<std::vector<std::uint32_t>> classes_of_row;
    std::vector<std::vector<std::uint32_t>> classes_of_column;
  };

  struct Row {
    PermitCells cells;
    std::uint64_t hash = 0;
    std::uint32_t base = kUnset;  // kUnset: not laid out yet.
    std::uint32_t users = 0;
    std::uint32_t filter = 0;  // Of a wide row record.
  };
  /// The rows of a source: its own, which is asked first, and one that it shares; row 0 for none.
  struct RowPair {
    std::uint32_t own = kUnset;
    std::uint32_t shared = 0;
  };
  /// A class and the row of all its cells.
  struct Turn {
    std::uint32_t number = 0;
    std::uint32_t row = 0;
  };

  [[nodiscard]] Side& side(Direction direction) {
    return sides_[static_cast<std::size_t>(direction)];
  }
  [[nodiscard]] const Side& side(Direction direction) const {
    return sides_[static_cast<std::size_t>(direction)];
  }
  [[nodiscard]] std::vector<std::uint32_t> lines_of(const SparseRow& sparse);
  [[nodiscard]] Deviations deviations_of(Direction direction,
                                         std::uint32_t row,
                                         const SparseRow& sparse,
                                         std::span<const std::uint32_t> lines) const;
  void replace_deviations(Direction direction, std::uint32_t row, Deviations deviations);
  void reserve_columns(Direction direction, const std::vector<SparseRow>& rows);
  void touch(std::span<const std::uint32_t> classes);
  /// Classes that have, or may have, a cell for a destination of these roles.
  void touch_sources_of(const ClassRoles& roles);
  void touch_changed(const Classes& classes);
  void assign(std::uint32_t number, RowPair pair);
  std::vector<Turn> fold_touched(const Classes& classes, Crew* crew);
  [[nodiscard]] bool has_room() const;
  bool choose_form(std::size_t class_count);
  void find_shared(const std::vector<Turn>& turns);
  [[nodiscard]] RowPair pair_of(std::uint32_t row);
  [[nodiscard]] PermitCells fold_row(const Classes& classes, const ClassRoles& source);
  void deviate(std::uint32_t destination);
  void sort_deviating();
  [[nodiscard]] std::uint32_t default_line(const ClassRoles& source, const ClassRoles& destination);
  std::uint32_t row_of(PermitCells cells);
  void free_unused();
  bool lay_out(std::size_t class_count, const Crew* crew);
  void write_row(const Row& row, bool present);
  /// Of a cell or a default.
  [[nodiscard]] std::size_t words() const { return form_ == PermitForm::wide ? 2 : 1; }

  bool transit_denied_;
  PermitOptions options_;
  PermitForm form_ = PermitForm::none;
  PermitLines lines_;
  std::array<Side, 2> sides_;  // By Direction.

  std::vector<Row> rows_;  // Row 0 has no cells.
  std::unordered_multimap<std::uint64_t, std::uint32_t> row_at_;
  std::vector<RowPair> rows_of_class_;
  std::vector<std::uint32_t> unlaid_;
  SharedRows shared_;
  Comb comb_;
  std::vector<std::uint32_t> cells_;
  std::size_t cell_count_ = 0;
  std::size_t pairs_ = 0;
  std::size_t folded_ = 0;
  std::size_t freed_ = 0;

  std::vector<std::uint32_t> listed_;        // Since the last fold.
  std::vector<std::uint32_t> new_defaults_;  // Rows of ingress, since the last fold.
  std::vector<std::uint32_t> unused_;        // Rows that lost a user.
  std::vector<bool> is_listed_;              // By class.
  std::vector<bool> is_touched_;             // By class.
  std::vector<std::uint32_t> touched_;

  // Room for one row.
  std::vector<std::uint32_t> egress_line_;   // By destination, where it deviates.
  std::vector<std::uint32_t> ingress_line_;  // The same.
  std::vector<std::uint32_t> deviating_;
  std::vector<std::uint64_t> deviating_bits_;
};

}  // namespace portcullis::classifier
