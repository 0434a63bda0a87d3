// SPDX-License-Identifier: MIT
#include "classifier/compiler/permits.h"

#include <algorithm>
#include <numeric>
#include <span>
#include <unordered_map>
#include <utility>

#include "classifier/compiler/comb.h"
#include "classifier/compiler/permit_lines.h"

namespace portcullis::classifier {
namespace {

/// Classes that 16 bits of a cell can name; the last number is that of free cells.
constexpr std::size_t kClassesMax = 65535;
/// Cells that all rows together may take, and pairs of classes looked at to find them.
constexpr std::size_t kCellsMax = std::size_t{1} << 22U;
constexpr std::size_t kPairsMax = std::size_t{1} << 26U;

/// A cell of one direction that differs from what most of its row says.
struct Deviation {
  std::uint32_t at = 0;  // A column; in by_column, a row.
  std::uint32_t line = 0;
};

/// One direction with lines for outcomes.
struct Side {
  std::vector<std::uint32_t> defaults;             // By row: the line of most columns.
  std::vector<std::vector<Deviation>> deviations;  // By row, ascending.
};

/// The line that most columns of a row have. `lines` are those of its outcomes by number.
std::uint32_t commonest_line(const SparseRow& row,
                             std::size_t column_count,
                             std::span<const std::uint32_t> lines) {
  if (row.cells.size() * 2 <= column_count) {
    return lines[0];
  }
  std::unordered_map<std::uint32_t, std::size_t> columns_of{
      {lines[0], column_count - row.cells.size()}};
  std::uint32_t best = lines[0];
  for (const SparseRow::Cell& cell : row.cells) {
    const std::uint32_t line = lines[cell.number];
    if (++columns_of[line] > columns_of[best]) {
      best = line;
    }
  }
  return best;
}

std::vector<Deviation> deviations_of(const SparseRow& row,
                                     std::size_t column_count,
                                     std::span<const std::uint32_t> lines,
                                     std::uint32_t usual) {
  std::vector<Deviation> deviations;
  if (lines[0] == usual) {
    for (const SparseRow::Cell& cell : row.cells) {
      if (lines[cell.number] != usual) {
        deviations.push_back({.at = cell.column, .line = lines[cell.number]});
      }
    }
    return deviations;
  }
  auto cell = row.cells.begin();
  for (std::uint32_t column = 0; column < column_count; ++column) {
    const bool listed = cell != row.cells.end() && cell->column == column;
    const std::uint32_t line = lines[listed ? cell->number : 0];
    cell += listed ? 1 : 0;
    if (line != usual) {
      deviations.push_back({.at = column, .line = line});
    }
  }
  return deviations;
}

Side side_of(const std::vector<SparseRow>& rows, std::size_t column_count, PermitLines& lines) {
  Side side;
  std::vector<std::uint32_t> lines_of_row;
  for (std::size_t row = 0; row < rows.size(); ++row) {
    lines_of_row.clear();
    for (const std::uint32_t outcome : rows[row].outcomes) {
      lines_of_row.push_back(lines.line_of(outcome));
    }
    if (row == kRowOutside) {
      // Whom it does not reach is said by Opening::outside: as cells it would be all pairs of them.
      side.defaults.push_back(kLineEverything);
      side.deviations.emplace_back();
      continue;
    }
    side.defaults.push_back(commonest_line(rows[row], column_count, lines_of_row));
    side.deviations.push_back(
        deviations_of(rows[row], column_count, lines_of_row, side.defaults.back()));
  }
  return side;
}

Opening opening_of(std::uint32_t row, std::uint32_t line) {
  if (row == kRowOutside) {
    return Opening::outside;
  }
  if (line == kLineNothing || line == kLineEverything) {
    return line == kLineNothing ? Opening::closed : Opening::open;
  }
  return Opening::by_port;
}

/// Sorts classes by opening as destinations; returns where each opening begins.
std::array<std::uint32_t, 4> order_classes(Classes& classes, const Side& ingress) {
  const auto opening = [&](std::uint32_t number) {
    const std::uint32_t row = classes.classes[number].ingress_row;
    return opening_of(row, ingress.defaults[row]);
  };
  std::vector<std::uint32_t> order(classes.classes.size());
  std::iota(order.begin(), order.end(), 0);
  std::ranges::stable_sort(order, {}, opening);
  std::array<std::uint32_t, 4> first{};
  for (std::size_t i = 0; i < first.size(); ++i) {
    const auto found = std::ranges::lower_bound(order, static_cast<Opening>(i), {}, opening);
    first[i] = static_cast<std::uint32_t>(found - order.begin());
  }

  std::vector<ClassRoles> sorted;
  std::vector<std::uint32_t> new_number(order.size());
  for (std::uint32_t i = 0; i < order.size(); ++i) {
    sorted.push_back(classes.classes[order[i]]);
    new_number[order[i]] = i;
  }
  classes.classes = std::move(sorted);
  for (KnownAddress& known : classes.addresses) {
    known.address_class = new_number[known.address_class];
  }
  for (std::uint32_t& region_class : classes.region_classes) {
    region_class = new_number[region_class];
  }
  return first;
}

/// Folds the rows of both directions, class by class.
class Folder {
 public:
  Folder(DefaultMode mode, const Classes& classes, std::array<Side, 2> sides, PermitLines& lines)
      : transit_denied_(mode == DefaultMode::deny),
        classes_(classes),
        egress_(std::move(sides[0])),
        ingress_(std::move(sides[1])),
        lines_(lines),
        egress_line_(classes.classes.size(), kUnset),
        ingress_line_(classes.classes.size(), kUnset) {
    index();
  }

  /// Every class's row: destination << 16 | line, ascending. False when there are too many.
  bool fold();
  /// Lays the rows into `out`.
  void lay_out(Permits& out) const;

 private:
  static constexpr std::uint32_t kUnset = 0xffff'ffffU;
  using Row = std::vector<std::uint32_t>;

  void index();
  bool fold_row(const ClassRoles& source);
  void touch(std::uint32_t destination);
  [[nodiscard]] std::uint32_t default_line(const ClassRoles& source, const ClassRoles& destination);

  bool transit_denied_;
  const Classes& classes_;
  Side egress_;
  Side ingress_;
  PermitLines& lines_;
  std::vector<std::vector<std::uint32_t>> classes_of_egress_column_;
  std::vector<std::vector<std::uint32_t>> classes_of_ingress_row_;
  std::vector<std::vector<Deviation>> ingress_by_column_;  // At rows.

  std::vector<Row> rows_;
  std::vector<std::uint32_t> row_of_class_;
  std::size_t cells_ = 0;
  std::size_t pairs_ = 0;

  // Room for one row.
  std::vector<std::uint32_t> egress_line_;   // By destination, where it deviates.
  std::vector<std::uint32_t> ingress_line_;  // The same.
  std::vector<std::uint32_t> touched_;
};

void Folder::index() {
  const auto list = [](auto& lists, std::uint32_t at, auto item) {
    lists.resize(std::max<std::size_t>(lists.size(), at + std::size_t{1}));
    lists[at].push_back(item);
  };
  for (std::uint32_t i = 0; i < classes_.classes.size(); ++i) {
    list(classes_of_egress_column_, classes_.classes[i].egress_column, i);
    list(classes_of_ingress_row_, classes_.classes[i].ingress_row, i);
  }
  for (std::uint32_t row = 0; row < ingress_.deviations.size(); ++row) {
    for (const Deviation& deviation : ingress_.deviations[row]) {
      list(ingress_by_column_, deviation.at, Deviation{.at = row, .line = deviation.line});
    }
  }
  classes_of_ingress_row_.resize(ingress_.deviations.size());
  ingress_by_column_.resize(
      std::max(ingress_by_column_.size(), classes_.half(Direction::ingress).column_kinds.size()));
}

bool Folder::fold() {
  // As a source, a class is its egress row and its ingress column.
  std::unordered_map<std::uint64_t, std::uint32_t> row_of_source;
  Intern contents;
  std::unordered_map<std::uint32_t, std::uint32_t> row_at;  // By place in contents.
  rows_.emplace_back();                                     // Row 0 has no cells.
  for (const ClassRoles& source : classes_.classes) {
    const std::uint64_t roles = (std::uint64_t{source.egress_row} << 32U) | source.ingress_column;
    const auto [known, added] = row_of_source.emplace(roles, 0);
    if (added) {
      if (!fold_row(source)) {
        return false;
      }
      Row& row = rows_.back();  // What fold_row() has just added.
      if (row.empty()) {
        rows_.pop_back();
      } else {
        const std::uint32_t place = contents.place(row);
        const auto [same, is_new] =
            row_at.emplace(place, static_cast<std::uint32_t>(rows_.size() - 1));
        known->second = same->second;
        if (is_new) {
          cells_ += row.size();
        } else {
          rows_.pop_back();
        }
      }
    }
    row_of_class_.push_back(known->second);
    if (cells_ > kCellsMax) {
      return false;
    }
  }
  return true;
}

bool Folder::fold_row(const ClassRoles& source) {
  touched_.clear();
  for (const Deviation& deviation : egress_.deviations[source.egress_row]) {
    for (const std::uint32_t destination : classes_of_egress_column_[deviation.at]) {
      touch(destination);
      egress_line_[destination] = deviation.line;
    }
  }
  for (const Deviation& deviation : ingress_by_column_[source.ingress_column]) {
    for (const std::uint32_t destination : classes_of_ingress_row_[deviation.at]) {
      touch(destination);
      ingress_line_[destination] = deviation.line;
    }
  }
  std::ranges::sort(touched_);
  Row& row = rows_.emplace_back();
  for (const std::uint32_t destination : touched_) {
    const ClassRoles& roles = classes_.classes[destination];
    const std::uint32_t egress = std::exchange(egress_line_[destination], kUnset);
    const std::uint32_t ingress = std::exchange(ingress_line_[destination], kUnset);
    const std::uint32_t line =
        lines_.both(egress == kUnset ? egress_.defaults[source.egress_row] : egress,
                    ingress == kUnset ? ingress_.defaults[roles.ingress_row] : ingress);
    if (line == kLineWalk || line != default_line(source, roles)) {
      row.push_back((destination << kCellClassShift) | line);
    }
  }
  pairs_ += touched_.size();
  return pairs_ <= kPairsMax;
}

void Folder::touch(std::uint32_t destination) {
  if (egress_line_[destination] == kUnset && ingress_line_[destination] == kUnset) {
    touched_.push_back(destination);
  }
}

std::uint32_t Folder::default_line(const ClassRoles& source, const ClassRoles& destination) {
  if (transit_denied_ && source.egress_row == kRowOutside &&
      destination.ingress_row == kRowOutside) {
    return kLineNothing;
  }
  return lines_.both(egress_.defaults[source.egress_row],
                     ingress_.defaults[destination.ingress_row]);
}

void Folder::lay_out(Permits& out) const {
  std::vector<std::uint32_t> order(rows_.size());
  std::iota(order.begin(), order.end(), 0);
  std::ranges::stable_sort(
      order, std::greater{}, [&](std::uint32_t row) { return rows_[row].size(); });
  Comb comb;
  std::vector<std::uint32_t> base(rows_.size());
  std::vector<std::uint32_t> columns;
  for (const std::uint32_t row : order) {
    columns.clear();
    for (const std::uint32_t cell : rows_[row]) {
      columns.push_back(cell >> kCellClassShift);
    }
    base[row] = comb.place(columns);
  }
  // From any base any class may be asked for.
  out.cells.assign(std::size_t{comb.bases_end()} + classes_.classes.size(), kNoCell);
  for (std::size_t row = 0; row < rows_.size(); ++row) {
    for (const std::uint32_t cell : rows_[row]) {
      out.cells[base[row] + (cell >> kCellClassShift)] = cell;
    }
  }
  for (std::size_t i = 0; i < classes_.classes.size(); ++i) {
    const ClassRoles& roles = classes_.classes[i];
    const std::uint32_t as_source = egress_.defaults[roles.egress_row];
    const Opening opening = opening_of(roles.egress_row, as_source);
    const bool is_workload = roles.egress_row >= kRowsWithoutSubject;
    out.rows.push_back((static_cast<std::uint32_t>(opening) << kOpeningShift) |
                       (is_workload ? kPermitWorkload : 0) | base[row_of_class_[i]]);
    out.defaults.push_back((ingress_.defaults[roles.ingress_row] << 16U) | as_source);
  }
  out.lines = lines_.words();
}

}  // namespace

std::size_t Permits::bytes() const {
  return (rows.size() + cells.size() + lines.size() + defaults.size()) * sizeof(std::uint32_t);
}

Permits fold_permits(DefaultMode mode, Classes& classes, const Matrix& matrix) {
  Permits out;
  const auto* egress = matrix.rows(Direction::egress);
  const auto* ingress = matrix.rows(Direction::ingress);
  if (egress == nullptr || ingress == nullptr || classes.classes.size() > kClassesMax) {
    return out;
  }
  const auto column_count = [&](Direction direction) {
    return classes.half(direction).column_kinds.size();
  };
  PermitLines lines(matrix.outcomes());
  std::array<Side, 2> sides{side_of(*egress, column_count(Direction::egress), lines),
                            side_of(*ingress, column_count(Direction::ingress), lines)};
  out.first_class = order_classes(classes, sides[1]);
  Folder folder(mode, classes, std::move(sides), lines);
  if (folder.fold()) {
    folder.lay_out(out);
  }
  return out;
}

}  // namespace portcullis::classifier
