// SPDX-License-Identifier: MIT
#include "classifier/compiler/permit_folder.h"

#include <algorithm>
#include <functional>
#include <utility>

namespace portcullis::classifier {
namespace {

/// Cells that all rows together may take, and pairs of classes looked at to find them.
constexpr std::size_t kCellsMax = std::size_t{1} << 22U;
constexpr std::size_t kPairsMax = std::size_t{1} << 26U;

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

std::uint64_t hash_of(std::span<const std::uint32_t> words) {
  std::uint64_t hash = words.size();
  for (const std::uint32_t word : words) {
    hash = (hash ^ word) * 0x9e37'79b9'7f4a'7c15ULL;
    hash ^= hash >> 32U;
  }
  return hash;
}

template <typename Item>
void add_to(std::vector<std::vector<Item>>& lists, std::uint32_t at, Item item) {
  if (lists.size() <= at) {
    lists.resize(std::max<std::size_t>(lists.size() * 2, at + std::size_t{1}));
  }
  lists[at].push_back(item);
}

template <typename Item>
std::span<const Item> list_at(const std::vector<std::vector<Item>>& lists, std::uint32_t at) {
  return at < lists.size() ? std::span<const Item>(lists[at]) : std::span<const Item>{};
}

}  // namespace

PermitFolder::PermitFolder(DefaultMode mode, const Matrix& matrix, const Classes& classes)
    : transit_denied_(mode == DefaultMode::deny), lines_(matrix.outcomes()) {
  for (const Direction direction : {Direction::egress, Direction::ingress}) {
    side(direction).column_count = classes.half(direction).column_kinds.size();
    const std::vector<SparseRow>& rows = *matrix.rows(direction);
    for (std::uint32_t row = 0; row < rows.size(); ++row) {
      set_row(direction, row, rows[row]);
    }
  }
  rows_.emplace_back();
  rows_[0].users = 1;
  unlaid_.push_back(0);
}

Opening PermitFolder::opening_of(const ClassRoles& roles) const {
  if (roles.ingress_row == kRowOutside) {
    return Opening::outside;
  }
  const std::uint32_t line = side(Direction::ingress).defaults[roles.ingress_row];
  if (line == kLineNothing || line == kLineEverything) {
    return line == kLineNothing ? Opening::closed : Opening::open;
  }
  return Opening::by_port;
}

void PermitFolder::set_row(Direction direction, std::uint32_t row, const SparseRow& sparse) {
  Side& here = side(direction);
  if (here.defaults.size() <= row) {
    here.defaults.resize(row + std::size_t{1}, kUnset);
    here.deviations.resize(row + std::size_t{1});
    here.inverted.resize(row + std::size_t{1});
  }
  if (row == kRowOutside) {
    // Whom it does not reach is said by Opening::outside: as cells it would be all pairs of them.
    here.defaults[row] = kLineEverything;
    return;
  }
  const std::vector<std::uint32_t> lines = lines_of(sparse);
  const std::uint32_t usual = commonest_line(sparse, here.column_count, lines);
  if (here.defaults[row] != usual) {
    here.defaults[row] = usual;
    if (direction == Direction::egress) {
      touch(list_at(here.classes_of_row, row));
    } else {
      new_defaults_.push_back(row);
    }
  }
  here.inverted[row] = lines[0] != usual;
  replace_deviations(direction, row, deviations_of(direction, row, sparse, lines));
}

std::vector<std::uint32_t> PermitFolder::lines_of(const SparseRow& sparse) {
  std::vector<std::uint32_t> lines;
  for (const std::uint32_t outcome : sparse.outcomes) {
    lines.push_back(lines_.line_of(outcome));
  }
  return lines;
}

/// From the row's default, ascending. `lines` are those of its outcomes by number.
PermitFolder::Deviations PermitFolder::deviations_of(Direction direction,
                                                     std::uint32_t row,
                                                     const SparseRow& sparse,
                                                     std::span<const std::uint32_t> lines) const {
  const Side& here = side(direction);
  const std::uint32_t usual = here.defaults[row];
  Deviations deviations;
  auto cell = sparse.cells.begin();
  if (!here.inverted[row]) {
    for (; cell != sparse.cells.end(); ++cell) {
      if (lines[cell->number] != usual) {
        deviations.push_back({.at = cell->column, .line = lines[cell->number]});
      }
    }
    return deviations;
  }
  for (std::uint32_t column = 0; column < here.column_count; ++column) {
    const bool listed = cell != sparse.cells.end() && cell->column == column;
    const std::uint32_t line = lines[listed ? cell->number : 0];
    cell += listed ? 1 : 0;
    if (line != usual) {
      deviations.push_back({.at = column, .line = line});
    }
  }
  return deviations;
}

/// Defaults stay, whatever most columns say now: numbers of classes follow from them.
void PermitFolder::set_column_count(Direction direction, std::size_t count, const Matrix& matrix) {
  Side& here = side(direction);
  if (here.column_count == count) {
    return;
  }
  here.column_count = count;
  for (std::uint32_t row = 0; row < here.inverted.size(); ++row) {
    if (here.inverted[row]) {
      const SparseRow& sparse = (*matrix.rows(direction))[row];
      replace_deviations(direction, row, deviations_of(direction, row, sparse, lines_of(sparse)));
    }
  }
}

/// Both lists ascend; only what differs moves.
void PermitFolder::replace_deviations(Direction direction,
                                      std::uint32_t row,
                                      Deviations deviations) {
  Side& here = side(direction);
  const auto change = [&](const Deviation& deviation, bool add) {
    const Deviation by_column{.at = row, .line = deviation.line};
    if (add) {
      add_to(here.by_column, deviation.at, by_column);
    } else {
      auto& list = here.by_column[deviation.at];
      *std::ranges::find(list, by_column) = list.back();
      list.pop_back();
    }
    touch(direction == Direction::egress ? list_at(here.classes_of_row, row)
                                         : list_at(here.classes_of_column, deviation.at));
  };
  auto before = here.deviations[row].cbegin();
  const auto before_end = here.deviations[row].cend();
  auto after = deviations.cbegin();
  while (before != before_end || after != deviations.cend()) {
    if (before != before_end && after != deviations.cend() && *before == *after) {
      ++before;
      ++after;
    } else if (after == deviations.cend() || (before != before_end && before->at <= after->at)) {
      change(*before++, false);
    } else {
      change(*after++, true);
    }
  }
  here.deviations[row] = std::move(deviations);
}

std::span<const std::uint32_t> PermitFolder::classes_of_row(Direction direction,
                                                            std::uint32_t row) const {
  return list_at(side(direction).classes_of_row, row);
}

void PermitFolder::list(std::uint32_t number, const ClassRoles& roles) {
  add_to(side(Direction::egress).classes_of_row, roles.egress_row, number);
  add_to(side(Direction::egress).classes_of_column, roles.egress_column, number);
  add_to(side(Direction::ingress).classes_of_row, roles.ingress_row, number);
  add_to(side(Direction::ingress).classes_of_column, roles.ingress_column, number);
  listed_.push_back(number);
  const std::size_t size = std::max<std::size_t>(is_listed_.size(), number + std::size_t{1});
  is_listed_.resize(size);
  is_touched_.resize(size);
  row_of_class_.resize(size, kUnset);
  egress_line_.resize(size, kUnset);
  ingress_line_.resize(size, kUnset);
  is_listed_[number] = true;
}

void PermitFolder::unlist(std::uint32_t number, const ClassRoles& roles) {
  touch_sources_of(roles);
  std::erase(side(Direction::egress).classes_of_row[roles.egress_row], number);
  std::erase(side(Direction::egress).classes_of_column[roles.egress_column], number);
  std::erase(side(Direction::ingress).classes_of_row[roles.ingress_row], number);
  std::erase(side(Direction::ingress).classes_of_column[roles.ingress_column], number);
  is_listed_[number] = false;
  assign(number, kUnset);
}

void PermitFolder::assign(std::uint32_t number, std::uint32_t row) {
  if (row != kUnset) {
    ++rows_[row].users;
  }
  if (const std::uint32_t before = std::exchange(row_of_class_[number], row); before != kUnset) {
    --rows_[before].users;
    unused_.push_back(before);
  }
}

void PermitFolder::touch(std::span<const std::uint32_t> classes) {
  for (const std::uint32_t number : classes) {
    if (!is_touched_[number]) {
      is_touched_[number] = true;
      touched_.push_back(number);
    }
  }
}

void PermitFolder::touch_sources_of(const ClassRoles& roles) {
  const Side& egress = side(Direction::egress);
  const Side& ingress = side(Direction::ingress);
  for (const Deviation& deviation : list_at(egress.by_column, roles.egress_column)) {
    touch(list_at(egress.classes_of_row, deviation.at));
  }
  for (const Deviation& deviation : ingress.deviations[roles.ingress_row]) {
    touch(list_at(ingress.classes_of_column, deviation.at));
  }
}

void PermitFolder::touch_changed(const Classes& classes) {
  touch(listed_);
  const auto touch_sources = [&](std::span<const std::uint32_t> destinations) {
    for (const std::uint32_t number : destinations) {
      if (touched_.size() < is_touched_.size()) {
        touch_sources_of(classes.classes[number]);
      }
    }
  };
  touch_sources(listed_);
  for (const std::uint32_t row : new_defaults_) {
    touch_sources(list_at(side(Direction::ingress).classes_of_row, row));
  }
  listed_.clear();
  new_defaults_.clear();
  std::ranges::sort(touched_);
}

bool PermitFolder::fold(const Classes& classes, Crew* crew) {
  touch_changed(classes);
  // As a source, a class is its egress row and its ingress column.
  std::unordered_map<std::uint64_t, std::uint32_t> row_of_source;
  pairs_ = 0;
  folded_ = 0;
  freed_ = 0;
  for (const std::uint32_t number : std::exchange(touched_, {})) {
    is_touched_[number] = false;
    if (!is_listed_[number]) {
      continue;
    }
    const ClassRoles& source = classes.classes[number];
    const std::uint64_t roles = (std::uint64_t{source.egress_row} << 32U) | source.ingress_column;
    const auto [known, added] = row_of_source.emplace(roles, 0);
    if (added) {
      ++folded_;
      known->second = row_of(fold_row(classes, source));
    }
    assign(number, known->second);
    if (cell_count_ > kCellsMax || pairs_ > kPairsMax || (crew != nullptr && crew->stopped())) {
      return false;
    }
    if (crew != nullptr) {
      crew->advance();
    }
  }
  free_unused();
  lay_out(classes.classes.size(), crew);
  return true;
}

PermitFolder::Cells PermitFolder::fold_row(const Classes& classes, const ClassRoles& source) {
  const Side& egress = side(Direction::egress);
  const Side& ingress = side(Direction::ingress);
  deviating_.clear();
  for (const Deviation& deviation : egress.deviations[source.egress_row]) {
    for (const std::uint32_t destination : list_at(egress.classes_of_column, deviation.at)) {
      deviate(destination);
      egress_line_[destination] = deviation.line;
    }
  }
  for (const Deviation& deviation : list_at(ingress.by_column, source.ingress_column)) {
    for (const std::uint32_t destination : list_at(ingress.classes_of_row, deviation.at)) {
      deviate(destination);
      ingress_line_[destination] = deviation.line;
    }
  }
  std::ranges::sort(deviating_);
  Cells cells;
  for (const std::uint32_t destination : deviating_) {
    const ClassRoles& roles = classes.classes[destination];
    const std::uint32_t out = std::exchange(egress_line_[destination], kUnset);
    const std::uint32_t in = std::exchange(ingress_line_[destination], kUnset);
    const std::uint32_t line = lines_.both(out == kUnset ? egress.defaults[source.egress_row] : out,
                                           in == kUnset ? ingress.defaults[roles.ingress_row] : in);
    if (line == kLineWalk || line != default_line(source, roles)) {
      cells.push_back((destination << kCellClassShift) | line);
    }
  }
  pairs_ += deviating_.size();
  return cells;
}

void PermitFolder::deviate(std::uint32_t destination) {
  if (egress_line_[destination] == kUnset && ingress_line_[destination] == kUnset) {
    deviating_.push_back(destination);
  }
}

std::uint32_t PermitFolder::default_line(const ClassRoles& source, const ClassRoles& destination) {
  if (transit_denied_ && source.egress_row == kRowOutside &&
      destination.ingress_row == kRowOutside) {
    return kLineNothing;
  }
  return lines_.both(side(Direction::egress).defaults[source.egress_row],
                     side(Direction::ingress).defaults[destination.ingress_row]);
}

/// The row of these cells; rows of equal cells are one.
std::uint32_t PermitFolder::row_of(Cells cells) {
  if (cells.empty()) {
    return 0;
  }
  const std::uint64_t hash = hash_of(cells);
  const auto [first, last] = row_at_.equal_range(hash);
  const auto found =
      std::find_if(first, last, [&](const auto& at) { return rows_[at.second].cells == cells; });
  if (found != last) {
    return found->second;
  }
  const auto number = static_cast<std::uint32_t>(rows_.size());
  cell_count_ += cells.size();
  rows_.push_back({.cells = std::move(cells), .hash = hash});
  row_at_.emplace(hash, number);
  unlaid_.push_back(number);
  return number;
}

/// Takes rows without users out of the comb.
void PermitFolder::free_unused() {
  std::vector<std::uint32_t> columns;
  for (const std::uint32_t number : std::exchange(unused_, {})) {
    Row& row = rows_[number];
    if (row.users != 0 || row.cells.empty()) {
      continue;
    }
    const auto [first, last] = row_at_.equal_range(row.hash);
    row_at_.erase(std::find_if(first, last, [&](const auto& at) { return at.second == number; }));
    cell_count_ -= row.cells.size();
    freed_ += row.cells.size();
    columns.clear();
    for (const std::uint32_t cell : row.cells) {
      columns.push_back(cell >> kCellClassShift);
    }
    if (row.base != kUnset) {
      comb_.remove(row.base, columns);
      for (const std::uint32_t column : columns) {
        cells_[row.base + column] = kNoCell;
      }
    }
    row = {};
  }
}

/// Lays new rows out, the longest first.
void PermitFolder::lay_out(std::size_t class_count, const Crew* crew) {
  const auto is_gone = [&](std::uint32_t number) {
    return number != 0 && rows_[number].users == 0;
  };
  std::erase_if(unlaid_, is_gone);
  std::ranges::stable_sort(
      unlaid_, std::greater{}, [&](std::uint32_t number) { return rows_[number].cells.size(); });
  std::vector<std::uint32_t> columns;
  for (const std::uint32_t number : unlaid_) {
    if (crew != nullptr && crew->stopped()) {
      return;
    }
    columns.clear();
    for (const std::uint32_t cell : rows_[number].cells) {
      columns.push_back(cell >> kCellClassShift);
    }
    rows_[number].base = comb_.place(columns);
  }
  // From any base any class may be asked for.
  cells_.resize(std::size_t{comb_.bases_end()} + class_count, kNoCell);
  for (const std::uint32_t number : std::exchange(unlaid_, {})) {
    for (const std::uint32_t cell : rows_[number].cells) {
      cells_[rows_[number].base + (cell >> kCellClassShift)] = cell;
    }
  }
}

std::vector<std::uint32_t> PermitFolder::rows(const Classes& classes) const {
  std::vector<std::uint32_t> rows;
  rows.reserve(classes.classes.size());
  for (std::uint32_t i = 0; i < classes.classes.size(); ++i) {
    if (i >= is_listed_.size() || !is_listed_[i]) {
      rows.push_back(rows_[0].base);  // A number in reserve: closed.
      continue;
    }
    const ClassRoles& roles = classes.classes[i];
    const std::uint32_t as_source = side(Direction::egress).defaults[roles.egress_row];
    Opening opening = Opening::by_port;
    if (roles.egress_row == kRowOutside) {
      opening = Opening::outside;
    } else if (as_source == kLineNothing || as_source == kLineEverything) {
      opening = as_source == kLineNothing ? Opening::closed : Opening::open;
    }
    const bool is_workload = roles.egress_row >= kRowsWithoutSubject;
    rows.push_back((static_cast<std::uint32_t>(opening) << kOpeningShift) |
                   (is_workload ? kPermitWorkload : 0) | rows_[row_of_class_[i]].base);
  }
  return rows;
}

std::vector<std::uint32_t> PermitFolder::defaults(const Classes& classes) const {
  std::vector<std::uint32_t> defaults;
  defaults.reserve(classes.classes.size());
  for (const ClassRoles& roles : classes.classes) {
    defaults.push_back((side(Direction::ingress).defaults[roles.ingress_row] << 16U) |
                       side(Direction::egress).defaults[roles.egress_row]);
  }
  return defaults;
}

}  // namespace portcullis::classifier
