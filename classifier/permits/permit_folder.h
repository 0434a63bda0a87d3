// SPDX-License-Identifier: MIT
// PermitFolder: folds the rows of both directions, class by class, and lays them into a comb. It
// goes on from there: rows and classes may change, and only the sources they touch fold again.
// Thread: one, and its crew where it is handed one.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <unordered_map>
#include <utility>
#include <vector>

#include "classifier/compiler/classes.h"
#include "classifier/compiler/comb.h"
#include "classifier/compiler/matrix.h"
#include "classifier/crew.h"
#include "classifier/layout.h"
#include "classifier/permits/permit_lines.h"
#include "classifier/permits/permit_sides.h"
#include "classifier/permits/row_folder.h"
#include "classifier/permits/shared_rows.h"
#include "classifier/rule.h"

namespace portcullis::classifier {

struct PermitOptions {
  /// What permits may take.
  std::size_t bytes_max = std::size_t{1} << 30U;
  /// No form before this one is used.
  PermitForm narrowest = PermitForm::narrow;
  /// Says whether addresses outside may talk to each other.
  DefaultMode mode = DefaultMode::deny;
};

class PermitFolder {
 public:
  /// REQUIRES: `matrix` outlives this and has kept its rows.
  PermitFolder(const PermitOptions& options,
               const Matrix& matrix,
               const Classes& classes,
               Crew& crew);

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
  /// lines or pairs of classes, or more than the form can name. Once the crew is stopped, the
  /// result means nothing. lay_out() is to follow.
  bool fold(const Classes& classes, Crew& crew);
  /// Lays what was folded into the cells, for so many classes. False: they take too many places.
  bool lay_out(std::size_t class_count, const Crew& crew);

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

  struct HashedCells {
    PermitCells cells;
    std::uint64_t hash = 0;
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

  /// The sources to fold, each once, and for every class which of them it is.
  struct Sources {
    std::vector<ClassRoles> roles;
    std::vector<std::pair<std::uint32_t, std::size_t>> classes;  // Number, source.
  };

  [[nodiscard]] std::vector<std::uint32_t> lines_of(const SparseRow& sparse);
  void replace_deviations(Direction direction, std::uint32_t row, Deviations deviations);
  void touch(std::span<const std::uint32_t> classes);
  /// Classes that have, or may have, a cell for a destination of these roles.
  void touch_sources_of(const ClassRoles& roles);
  void touch_changed(const Classes& classes);
  void assign(std::uint32_t number, RowPair pair);
  [[nodiscard]] Sources touched_sources(const Classes& classes);
  std::vector<Turn> fold_touched(const Classes& classes, Crew& crew);
  [[nodiscard]] bool has_room() const;
  bool choose_form(std::size_t class_count);
  std::vector<RowPair> pairs_of(std::span<const std::uint32_t> rows, bool find_shared, Crew& crew);
  static HashedCells hashed(PermitCells cells);
  std::uint32_t row_of(HashedCells hashed);
  void free_unused();
  void write_row(const Row& row, bool present);
  /// Of a cell or a default.
  [[nodiscard]] std::size_t words() const { return form_ == PermitForm::wide ? 2 : 1; }

  PermitOptions options_;
  PermitForm form_ = PermitForm::none;
  PermitLines lines_;
  PermitSides sides_;

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
  std::vector<RowFolder> folders_;  // By worker of the crew.
};

}  // namespace portcullis::classifier
