// SPDX-License-Identifier: MIT
#include "classifier/permits/permit_folder.h"

#include <algorithm>
#include <bit>
#include <functional>
#include <iterator>
#include <utility>

namespace portcullis::classifier {
namespace {

/// Cells beyond which rows that share them are worth a second look at each.
constexpr std::size_t kNarrowCellsMax = std::size_t{1} << 22U;
/// Pairs of classes looked at to find cells.
constexpr std::size_t kPairsMax = std::size_t{1} << 28U;

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

std::uint64_t hash_of(const PermitCells& cells) {
  std::uint64_t hash = cells.size();
  for (const std::uint64_t cell : cells) {
    hash = (hash ^ cell) * 0x9e37'79b9'7f4a'7c15ULL;
    hash ^= hash >> 32U;
  }
  return hash;
}

bool is_stopped(const Crew* crew) {
  return crew != nullptr && crew->stopped();
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

PermitFolder::PermitFolder(DefaultMode mode,
                           const Matrix& matrix,
                           const Classes& classes,
                           const PermitOptions& options)
    : transit_denied_(mode == DefaultMode::deny), options_(options), lines_(matrix.outcomes()) {
  for (const Direction direction : {Direction::egress, Direction::ingress}) {
    side(direction).column_count = classes.half(direction).column_kinds.size();
    const std::vector<SparseRow>& rows = *matrix.rows(direction);
    reserve_columns(direction, rows);
    for (std::uint32_t row = 0; row < rows.size(); ++row) {
      set_row(direction, row, rows[row]);
    }
  }
  rows_.emplace_back();
  rows_[0].users = 1;
  unlaid_.push_back(0);
}

/// Room for what most cells come to: lists that grow one by one waste half of it.
void PermitFolder::reserve_columns(Direction direction, const std::vector<SparseRow>& rows) {
  Side& here = side(direction);
  std::vector<std::size_t> cells(here.column_count);
  for (const SparseRow& row : rows) {
    for (const SparseRow::Cell& cell : row.cells) {
      ++cells[cell.column];
    }
  }
  here.by_column.resize(here.column_count);
  for (std::size_t column = 0; column < cells.size(); ++column) {
    here.by_column[column].reserve(cells[column]);
  }
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
    deviations.reserve(sparse.cells.size());
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
  rows_of_class_.resize(size);
  egress_line_.resize(size, kNoLine);
  ingress_line_.resize(size, kNoLine);
  is_listed_[number] = true;
}

void PermitFolder::unlist(std::uint32_t number, const ClassRoles& roles) {
  touch_sources_of(roles);
  std::erase(side(Direction::egress).classes_of_row[roles.egress_row], number);
  std::erase(side(Direction::egress).classes_of_column[roles.egress_column], number);
  std::erase(side(Direction::ingress).classes_of_row[roles.ingress_row], number);
  std::erase(side(Direction::ingress).classes_of_column[roles.ingress_column], number);
  is_listed_[number] = false;
  assign(number, {});
}

void PermitFolder::assign(std::uint32_t number, RowPair pair) {
  if (pair.own != kUnset) {
    ++rows_[pair.own].users;
    ++rows_[pair.shared].users;
  }
  if (const RowPair before = std::exchange(rows_of_class_[number], pair); before.own != kUnset) {
    for (const std::uint32_t row : {before.own, before.shared}) {
      --rows_[row].users;
      unused_.push_back(row);
    }
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
  const bool is_first = form_ == PermitForm::none;
  const std::vector<Turn> turns = fold_touched(classes, crew);
  if (is_stopped(crew) || !has_room() || !choose_form(classes.classes.size())) {
    return false;
  }
  if (is_first && form_ == PermitForm::wide) {
    find_shared(turns);
  }
  std::unordered_map<std::uint32_t, RowPair> pairs;
  for (const auto& [number, row] : turns) {
    const auto [known, added] = pairs.emplace(row, RowPair{});
    if (added) {
      known->second = pair_of(row);
    }
    assign(number, known->second);
  }
  free_unused();
  return lay_out(classes.classes.size(), crew);
}

std::vector<PermitFolder::Turn> PermitFolder::fold_touched(const Classes& classes, Crew* crew) {
  // As a source, a class is its egress row and its ingress column.
  std::unordered_map<std::uint64_t, std::uint32_t> row_of_source;
  std::vector<Turn> turns;
  pairs_ = 0;
  folded_ = 0;
  freed_ = 0;
  for (const std::uint32_t number : std::exchange(touched_, {})) {
    is_touched_[number] = false;
    if (!is_listed_[number] || !has_room() || is_stopped(crew)) {
      continue;
    }
    const ClassRoles& source = classes.classes[number];
    const std::uint64_t roles = (std::uint64_t{source.egress_row} << 32U) | source.ingress_column;
    const auto [known, added] = row_of_source.emplace(roles, 0);
    if (added) {
      ++folded_;
      known->second = row_of(fold_row(classes, source));
    }
    turns.push_back({.number = number, .row = known->second});
    if (crew != nullptr) {
      crew->advance();
    }
  }
  return turns;
}

/// False when what was folded takes too much memory or time.
bool PermitFolder::has_room() const {
  const std::size_t bytes =
      cell_count_ * sizeof(std::uint64_t) + lines_.count() * sizeof(PermitLine);
  return bytes <= options_.bytes_max && pairs_ <= kPairsMax;
}

/// False when the form is chosen and too narrow.
bool PermitFolder::choose_form(std::size_t class_count) {
  const bool fits_narrow = class_count <= kNarrowPermits && lines_.count() <= kNarrowPermits &&
                           cell_count_ <= kNarrowCellsMax;
  if (form_ == PermitForm::none) {
    form_ = fits_narrow ? options_.narrowest : PermitForm::wide;
  }
  return form_ == PermitForm::wide || fits_narrow;
}

void PermitFolder::find_shared(const std::vector<Turn>& turns) {
  std::vector<std::uint32_t> numbers;
  std::ranges::transform(turns, std::back_inserter(numbers), &Turn::row);
  std::ranges::sort(numbers);
  numbers.erase(std::unique(numbers.begin(), numbers.end()), numbers.end());
  std::vector<const PermitCells*> rows;
  for (const std::uint32_t number : numbers) {
    rows.push_back(&rows_[number].cells);
  }
  shared_.find(rows);
}

/// How a source of all these cells finds them.
PermitFolder::RowPair PermitFolder::pair_of(std::uint32_t row) {
  const PermitCells* shared = shared_.best(rows_[row].cells);
  if (shared == nullptr) {
    return {.own = row};
  }
  unused_.push_back(row);  // Unless another is left with just these.
  PermitCells own = beside(rows_[row].cells, *shared);
  return {.own = row_of(std::move(own)), .shared = row_of(*shared)};
}

PermitCells PermitFolder::fold_row(const Classes& classes, const ClassRoles& source) {
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
  sort_deviating();
  PermitCells cells;
  cells.reserve(deviating_.size());
  for (const std::uint32_t destination : deviating_) {
    const ClassRoles& roles = classes.classes[destination];
    const std::uint32_t out = std::exchange(egress_line_[destination], kNoLine);
    const std::uint32_t in = std::exchange(ingress_line_[destination], kNoLine);
    const std::uint32_t line =
        lines_.both(out == kNoLine ? egress.defaults[source.egress_row] : out,
                    in == kNoLine ? ingress.defaults[roles.ingress_row] : in);
    if (line == kLineWalk || line != default_line(source, roles)) {
      cells.push_back(permit_cell(destination, line));
    }
  }
  pairs_ += deviating_.size();
  cells.shrink_to_fit();
  return cells;
}

/// By way of a bit for each class, where they are many.
void PermitFolder::sort_deviating() {
  constexpr std::size_t kFew = 64;
  if (deviating_.size() < kFew) {
    std::ranges::sort(deviating_);
    return;
  }
  constexpr std::size_t kWordBits = 64;
  deviating_bits_.resize(egress_line_.size() / kWordBits + 1);
  for (const std::uint32_t destination : deviating_) {
    deviating_bits_[destination / kWordBits] |= std::uint64_t{1} << destination % kWordBits;
  }
  deviating_.clear();
  for (std::size_t word = 0; word < deviating_bits_.size(); ++word) {
    for (std::uint64_t bits = std::exchange(deviating_bits_[word], 0); bits != 0;
         bits &= bits - 1) {
      const auto bit = static_cast<std::size_t>(std::countr_zero(bits));
      deviating_.push_back(static_cast<std::uint32_t>(word * kWordBits + bit));
    }
  }
}

void PermitFolder::deviate(std::uint32_t destination) {
  if (egress_line_[destination] == kNoLine && ingress_line_[destination] == kNoLine) {
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
std::uint32_t PermitFolder::row_of(PermitCells cells) {
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
  std::uint32_t filter = 0;
  for (const std::uint64_t cell : cells) {
    filter |= 1U << (destination_of(cell) >> kFilterShift) % 32;
  }
  rows_.push_back({.cells = std::move(cells), .hash = hash, .filter = filter});
  row_at_.emplace(hash, number);
  unlaid_.push_back(number);
  return number;
}

/// Takes rows without users out of the comb.
void PermitFolder::free_unused() {
  for (const std::uint32_t number : std::exchange(unused_, {})) {
    Row& row = rows_[number];
    if (row.users != 0 || row.cells.empty()) {
      continue;
    }
    const auto [first, last] = row_at_.equal_range(row.hash);
    row_at_.erase(std::find_if(first, last, [&](const auto& at) { return at.second == number; }));
    cell_count_ -= row.cells.size();
    if (row.base != kUnset) {
      freed_ += row.cells.size();
      comb_.remove(row.base, destinations_of(row.cells));
      write_row(row, false);
    }
    row = {};
  }
}

/// Lays new rows out, the longest first. False: they take too many places, or it was stopped.
bool PermitFolder::lay_out(std::size_t class_count, const Crew* crew) {
  const auto is_gone = [&](std::uint32_t number) {
    return number != 0 && rows_[number].users == 0;
  };
  std::erase_if(unlaid_, is_gone);
  std::ranges::stable_sort(
      unlaid_, std::greater{}, [&](std::uint32_t number) { return rows_[number].cells.size(); });
  for (const std::uint32_t number : unlaid_) {
    if (is_stopped(crew)) {
      return false;
    }
    rows_[number].base = comb_.place(destinations_of(rows_[number].cells));
  }
  // From any base any class may be asked for.
  const std::size_t places = comb_.bases_end() + class_count;
  if (comb_.bases_end() > kPermitBase || places * words() > options_.bytes_max / sizeof(kNoCell)) {
    return false;
  }
  cells_.resize(places * words(), kNoCell);
  for (const std::uint32_t number : std::exchange(unlaid_, {})) {
    write_row(rows_[number], true);
  }
  return true;
}

/// Into the cells of the table, or out of them.
void PermitFolder::write_row(const Row& row, bool present) {
  for (const std::uint64_t cell : row.cells) {
    const std::uint32_t destination = destination_of(cell);
    const std::uint32_t line = line_of(cell);
    const std::size_t word = (std::size_t{row.base} + destination) * words();
    if (form_ == PermitForm::narrow) {
      cells_[word] = present ? (destination << kCellClassShift) | (line & kCellLine) : kNoCell;
    } else {
      const std::uint32_t flag = line == kLineDefault ? kCellDefault : 0;
      cells_[word] = present ? destination | flag : kNoCell;
      cells_[word + 1] = present ? line : kNoCell;
    }
  }
}

std::vector<std::uint32_t> PermitFolder::rows(const Classes& classes) const {
  std::vector<std::uint32_t> rows;
  rows.reserve(classes.classes.size() << (form_ == PermitForm::wide ? kWideRowShift : 0));
  const auto add = [&](std::uint32_t ends, const Row& own, const Row& shared) {
    rows.push_back(ends | own.base);
    if (form_ == PermitForm::wide) {
      rows.insert(rows.end(), {shared.base, own.filter, shared.filter});
    }
  };
  for (std::uint32_t i = 0; i < classes.classes.size(); ++i) {
    if (i >= is_listed_.size() || !is_listed_[i]) {
      add(0, rows_[0], rows_[0]);  // A number in reserve: closed.
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
    add((static_cast<std::uint32_t>(opening) << kOpeningShift) |
            (is_workload ? kPermitWorkload : 0),
        rows_[rows_of_class_[i].own],
        rows_[rows_of_class_[i].shared]);
  }
  return rows;
}

std::vector<std::uint32_t> PermitFolder::defaults(const Classes& classes) const {
  std::vector<std::uint32_t> defaults;
  defaults.reserve(classes.classes.size() * words());
  for (const ClassRoles& roles : classes.classes) {
    const std::uint32_t as_source = side(Direction::egress).defaults[roles.egress_row];
    const std::uint32_t as_destination = side(Direction::ingress).defaults[roles.ingress_row];
    if (form_ == PermitForm::wide) {
      defaults.push_back(as_source);
      defaults.push_back(as_destination);
    } else {
      defaults.push_back((as_destination << 16U) | (as_source & 0xffffU));
    }
  }
  return defaults;
}

}  // namespace portcullis::classifier
