// SPDX-License-Identifier: MIT
#include "classifier/permits/permit_folder.h"

#include <algorithm>
#include <functional>
#include <iterator>
#include <utility>

namespace portcullis::classifier {
namespace {

/// Cells beyond which rows that share them are worth a second look at each.
constexpr std::size_t kNarrowCellsMax = std::size_t{1} << 22U;
/// Sources folded by one thread at a time.
constexpr std::size_t kSourcesPerBlock = 16;
/// Pairs of classes looked at to find cells.
constexpr std::size_t kPairsMax = std::size_t{1} << 28U;

template <typename Item>
void add_to(std::vector<std::vector<Item>>& lists, std::uint32_t at, Item item) {
  if (lists.size() <= at) {
    lists.resize(std::max<std::size_t>(lists.size() * 2, at + std::size_t{1}));
  }
  lists[at].push_back(item);
}

}  // namespace

PermitFolder::PermitFolder(const PermitOptions& options,
                           const Matrix& matrix,
                           const Classes& classes,
                           Crew& crew)
    : options_(options), lines_(matrix.outcomes()) {
  // Lines are numbered by one thread.
  std::array<std::vector<std::vector<std::uint32_t>>, 2> lines;
  for (std::size_t i = 0; i < lines.size(); ++i) {
    for (const SparseRow& row : *matrix.rows(static_cast<Direction>(i))) {
      lines[i].push_back(lines_of(row));
    }
  }
  for (const Direction direction : {Direction::egress, Direction::ingress}) {
    PermitSide& here = sides_.of(direction);
    here.column_count = classes.half(direction).column_kinds.size();
    here.fill(*matrix.rows(direction), lines[static_cast<std::size_t>(direction)], crew);
  }
  rows_.emplace_back();
  rows_[0].users = 1;
  unlaid_.push_back(0);
}

Opening PermitFolder::opening_of(const ClassRoles& roles) const {
  if (roles.ingress_row == kRowOutside) {
    return Opening::outside;
  }
  const std::uint32_t line = sides_.of(Direction::ingress).defaults[roles.ingress_row];
  if (line == kLineNothing || line == kLineEverything) {
    return line == kLineNothing ? Opening::closed : Opening::open;
  }
  return Opening::by_port;
}

void PermitFolder::set_row(Direction direction, std::uint32_t row, const SparseRow& sparse) {
  if (row == kRowOutside) {
    return;  // Its columns are of no concern: PermitSide::fill() says why.
  }
  PermitSide& here = sides_.of(direction);
  if (here.defaults.size() <= row) {
    here.defaults.resize(row + std::size_t{1}, kUnset);
    here.deviations.resize(row + std::size_t{1});
    here.inverted.resize(row + std::size_t{1});
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
  here.inverted[row] = lines[0] != usual ? 1 : 0;
  replace_deviations(direction, row, deviations_of(sparse, here.column_count, lines, usual));
}

std::vector<std::uint32_t> PermitFolder::lines_of(const SparseRow& sparse) {
  std::vector<std::uint32_t> lines;
  for (const std::uint32_t outcome : sparse.outcomes) {
    lines.push_back(lines_.line_of(outcome));
  }
  return lines;
}

/// Defaults stay, whatever most columns say now: numbers of classes follow from them.
void PermitFolder::set_column_count(Direction direction, std::size_t count, const Matrix& matrix) {
  PermitSide& here = sides_.of(direction);
  if (here.column_count == count) {
    return;
  }
  here.column_count = count;
  for (std::uint32_t row = 0; row < here.inverted.size(); ++row) {
    if (here.inverted[row] != 0) {
      const SparseRow& sparse = (*matrix.rows(direction))[row];
      replace_deviations(
          direction, row, deviations_of(sparse, count, lines_of(sparse), here.defaults[row]));
    }
  }
}

/// Both lists ascend; only what differs moves.
void PermitFolder::replace_deviations(Direction direction,
                                      std::uint32_t row,
                                      Deviations deviations) {
  PermitSide& here = sides_.of(direction);
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
  return list_at(sides_.of(direction).classes_of_row, row);
}

void PermitFolder::list(std::uint32_t number, const ClassRoles& roles) {
  add_to(sides_.of(Direction::egress).classes_of_row, roles.egress_row, number);
  add_to(sides_.of(Direction::egress).classes_of_column, roles.egress_column, number);
  add_to(sides_.of(Direction::ingress).classes_of_row, roles.ingress_row, number);
  add_to(sides_.of(Direction::ingress).classes_of_column, roles.ingress_column, number);
  listed_.push_back(number);
  const std::size_t size = std::max<std::size_t>(is_listed_.size(), number + std::size_t{1});
  is_listed_.resize(size);
  is_touched_.resize(size);
  rows_of_class_.resize(size);
  is_listed_[number] = true;
}

void PermitFolder::unlist(std::uint32_t number, const ClassRoles& roles) {
  touch_sources_of(roles);
  std::erase(sides_.of(Direction::egress).classes_of_row[roles.egress_row], number);
  std::erase(sides_.of(Direction::egress).classes_of_column[roles.egress_column], number);
  std::erase(sides_.of(Direction::ingress).classes_of_row[roles.ingress_row], number);
  std::erase(sides_.of(Direction::ingress).classes_of_column[roles.ingress_column], number);
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
  const PermitSide& egress = sides_.of(Direction::egress);
  const PermitSide& ingress = sides_.of(Direction::ingress);
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
    touch_sources(list_at(sides_.of(Direction::ingress).classes_of_row, row));
  }
  listed_.clear();
  new_defaults_.clear();
  std::ranges::sort(touched_);
}

bool PermitFolder::fold(const Classes& classes, Crew& crew) {
  touch_changed(classes);
  const std::vector<Turn> turns = fold_touched(classes, crew);
  const bool is_first = form_ == PermitForm::none;
  if (crew.stopped() || !has_room() || !choose_form(classes.classes.size())) {
    return false;
  }
  std::vector<std::uint32_t> rows;
  std::ranges::transform(turns, std::back_inserter(rows), &Turn::row);
  std::ranges::sort(rows);
  rows.erase(std::unique(rows.begin(), rows.end()), rows.end());
  const std::vector<RowPair> pairs = pairs_of(rows, is_first && form_ == PermitForm::wide, crew);
  for (const auto& [number, row] : turns) {
    assign(number,
           pairs[static_cast<std::size_t>(std::ranges::lower_bound(rows, row) - rows.begin())]);
  }
  free_unused();
  return true;
}

/// As a source, a class is its egress row and its ingress column.
PermitFolder::Sources PermitFolder::touched_sources(const Classes& classes) {
  Sources sources;
  std::unordered_map<std::uint64_t, std::size_t> source_of;
  source_of.reserve(touched_.size());
  for (const std::uint32_t number : std::exchange(touched_, {})) {
    is_touched_[number] = false;
    if (!is_listed_[number]) {
      continue;
    }
    const ClassRoles& source = classes.classes[number];
    const std::uint64_t roles = (std::uint64_t{source.egress_row} << 32U) | source.ingress_column;
    const auto [known, added] = source_of.emplace(roles, sources.roles.size());
    if (added) {
      sources.roles.push_back(source);
    }
    sources.classes.emplace_back(number, known->second);
  }
  return sources;
}

std::vector<PermitFolder::Turn> PermitFolder::fold_touched(const Classes& classes, Crew& crew) {
  const Sources sources = touched_sources(classes);
  const RowFolder::Ground ground{
      .sides = sides_, .classes = classes, .transit_denied = options_.mode == DefaultMode::deny};
  pairs_ = 0;
  folded_ = 0;
  freed_ = 0;
  folders_.resize(crew.threads());
  std::vector<RowDrafts> drafts(crew.window());
  std::vector<std::uint32_t> row_of_source;
  const auto make = [&](unsigned worker, std::size_t i) {
    RowDrafts& here = drafts[i % drafts.size()];
    here.clear();
    const auto all = std::span(sources.roles).subspan(i * kSourcesPerBlock);
    for (const ClassRoles& source : all.first(std::min(all.size(), kSourcesPerBlock))) {
      if (!crew.stopped()) {
        folders_[worker].fold(ground, source, here);
      }
    }
  };
  const auto take = [&](std::size_t i) {
    RowDrafts& here = drafts[i % drafts.size()];
    here.settle(lines_);
    for (std::size_t row = 0; row < here.count(); ++row) {
      row_of_source.push_back(row_of(hashed(here.cells_of(row))));
    }
    folded_ += here.count();
    pairs_ += here.pairs();
    crew.advance(here.count());
    return has_room();
  };
  crew.begin("permits", sources.roles.size());
  crew.in_order((sources.roles.size() + kSourcesPerBlock - 1) / kSourcesPerBlock, make, take);
  std::vector<Turn> turns;
  if (row_of_source.size() == sources.roles.size()) {
    for (const auto& [number, source] : sources.classes) {
      turns.push_back({.number = number, .row = row_of_source[source]});
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

/// How sources of each of these rows find their cells. Rows are numbered by one thread.
std::vector<PermitFolder::RowPair> PermitFolder::pairs_of(std::span<const std::uint32_t> rows,
                                                          bool find_shared,
                                                          Crew& crew) {
  std::vector<const PermitCells*> cells;
  for (const std::uint32_t row : rows) {
    cells.push_back(&rows_[row].cells);
  }
  if (find_shared) {
    shared_.find(cells, crew);
  }
  struct Split {
    const PermitCells* shared = nullptr;
    HashedCells own;
  };
  std::vector<Split> splits(rows.size());
  crew.each_range(rows.size(), [&](std::size_t first, std::size_t last) {
    for (std::size_t i = first; i < last; ++i) {
      if (const PermitCells* shared = shared_.best(*cells[i]); shared != nullptr) {
        splits[i] = {.shared = shared, .own = hashed(beside(*cells[i], *shared))};
      }
    }
  });
  std::vector<RowPair> pairs;
  std::unordered_map<const PermitCells*, std::uint32_t> shared_rows;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    if (splits[i].shared == nullptr) {
      pairs.push_back({.own = rows[i]});
      continue;
    }
    unused_.push_back(rows[i]);  // Unless another is left with just these.
    const std::uint32_t own = row_of(std::move(splits[i].own));
    const auto [shared, added] = shared_rows.emplace(splits[i].shared, 0);
    if (added) {
      shared->second = row_of(hashed(*splits[i].shared));
    }
    pairs.push_back({.own = own, .shared = shared->second});
  }
  return pairs;
}

PermitFolder::HashedCells PermitFolder::hashed(PermitCells cells) {
  std::uint64_t hash = cells.size();
  for (const std::uint64_t cell : cells) {
    hash = (hash ^ cell) * 0x9e37'79b9'7f4a'7c15ULL;
    hash ^= hash >> 32U;
  }
  return {.cells = std::move(cells), .hash = hash};
}

/// The row of these cells; rows of equal cells are one.
std::uint32_t PermitFolder::row_of(HashedCells hashed) {
  auto& [cells, hash] = hashed;
  if (cells.empty()) {
    return 0;
  }
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
bool PermitFolder::lay_out(std::size_t class_count, const Crew& crew) {
  const auto is_gone = [&](std::uint32_t number) {
    return number != 0 && rows_[number].users == 0;
  };
  std::erase_if(unlaid_, is_gone);
  std::ranges::stable_sort(
      unlaid_, std::greater{}, [&](std::uint32_t number) { return rows_[number].cells.size(); });
  for (const std::uint32_t number : unlaid_) {
    if (crew.stopped()) {
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
    const std::uint32_t as_source = sides_.of(Direction::egress).defaults[roles.egress_row];
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
    const std::uint32_t as_source = sides_.of(Direction::egress).defaults[roles.egress_row];
    const std::uint32_t as_destination = sides_.of(Direction::ingress).defaults[roles.ingress_row];
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
