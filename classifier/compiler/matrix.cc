// SPDX-License-Identifier: MIT
#include "classifier/compiler/matrix.h"

#include <algorithm>
#include <array>
#include <numeric>
#include <utility>

#include <fmt/format.h>

#include "classifier/compiler/row_builder.h"

namespace portcullis::classifier {
namespace {

constexpr std::size_t kByteCells = 256;
/// Cells kept beside their packed form, 8 bytes each: so many at least.
constexpr std::size_t kCellsKept = std::size_t{1} << 24U;
constexpr std::size_t kWordsPerTile = kTileColumns / 2;
constexpr std::size_t kWordsPerSpan = sizeof(Span) / sizeof(std::uint32_t);

/// The rules that hold each row as subject, ordered by tier and priority. By row.
std::vector<std::vector<std::uint32_t>> rules_of_rows(const RuleSet& rules,
                                                      Direction direction,
                                                      const Half& half) {
  std::vector<std::uint32_t> ordered;
  for (std::size_t i = 0; i < rules.rules.size(); ++i) {
    if (rules.rules[i].direction == direction && rules.rules[i].action != Action::none) {
      ordered.push_back(static_cast<std::uint32_t>(i));
    }
  }
  std::ranges::stable_sort(ordered, {}, [&](std::uint32_t i) {
    return std::pair(rules.rules[i].tier, rules.rules[i].order);
  });

  std::vector<std::uint32_t> workload_rows(half.row_count - kRowsWithoutSubject);
  std::iota(workload_rows.begin(), workload_rows.end(), kRowsWithoutSubject);
  std::vector<std::vector<std::uint32_t>> rules_of_rows(half.row_count);
  for (const std::uint32_t rule : ordered) {
    const SetIndex subjects = rules.rules[rule].subjects;
    const bool everything = rules.sets[subjects].everything;
    for (const std::uint32_t row : everything ? workload_rows : half.rows_of_set[subjects]) {
      rules_of_rows[row].push_back(rule);
    }
  }
  return rules_of_rows;
}

/// Step 1 of rule.h for subjects outside the pod CIDRs.
SparseRow outside_row(DefaultMode mode, const Half& half) {
  SparseRow row;
  row.outcomes.push_back(Decision::allow(rule_id(Builtin::no_subject)).bits);
  if (mode == DefaultMode::deny) {
    row.outcomes.push_back(Decision::deny(rule_id(Builtin::transit)).bits);
    for (std::size_t i = 0; i < half.column_kinds.size(); ++i) {
      if (half.column_kinds[i] != AddressKind::workload) {
        row.cells.push_back({.column = static_cast<std::uint32_t>(i), .number = 1});
      }
    }
  }
  return row;
}

SparseRow unidentified_row() {
  return {.outcomes = {Decision::deny(rule_id(Builtin::unidentified)).bits}};
}

}  // namespace

Matrix::Matrix(const RuleSet& rules, std::size_t bytes_max)
    : rules_(rules),
      bytes_max_(bytes_max),
      cells_kept_max_(std::max(kCellsKept, bytes_max / 2 / sizeof(SparseRow::Cell))),
      outcomes_(rules) {
  tiles_.place(std::array<std::uint32_t, kWordsPerTile>{});  // Tile 0: every cell 0.
}

Result<std::vector<RowPlace>> Matrix::add(Direction direction, const Half& half) {
  const std::size_t column_count = half.column_kinds.size();
  const std::size_t span_count = ((column_count - 1) >> kSpanBits) + 1;
  span_counts_[static_cast<std::size_t>(direction)] = span_count;
  std::vector<RowPlace> places;
  const auto add_row = [&](const SparseRow& row) {
    places.push_back(place(row, span_count));
    keep(direction, row);
  };
  add_row(outside_row(rules_.default_mode, half));
  add_row(unidentified_row());

  const auto rules_by_row = rules_of_rows(rules_, direction, half);
  RowBuilder builder(rules_, half, outcomes_);
  const char* name = direction == Direction::egress ? "egress" : "ingress";
  for (std::uint32_t row = kRowsWithoutSubject; row < half.row_count; ++row) {
    if (!builder.build(rules_by_row[row])) {
      return fail(
          fmt::format("the {} rules of one workload tell more than 65,536 groups of peers apart; "
                      "use fewer policies for it",
                      name));
    }
    add_row(builder.row());
    if (bytes() > bytes_max_) {
      return fail(
          fmt::format("the {} matrix of {} rows by {} columns outgrows the table's limit of {} "
                      "bytes at row {}; raise the limit or use fewer distinct policies",
                      name,
                      half.row_count,
                      column_count,
                      bytes_max_,
                      row));
    }
  }
  return places;
}

void Matrix::keep(Direction direction, const SparseRow& row) {
  cells_kept_ += row.cells.size();
  if (cells_kept_ <= cells_kept_max_) {
    rows_[static_cast<std::size_t>(direction)].push_back(row);
  } else {
    rows_ = {};
  }
}

const std::vector<SparseRow>* Matrix::rows(Direction direction) const {
  return cells_kept_ <= cells_kept_max_ ? &rows_[static_cast<std::size_t>(direction)] : nullptr;
}

std::optional<RowPlace> Matrix::replace_row(Direction direction,
                                            std::uint32_t row,
                                            SparseRow sparse) {
  const std::size_t span_count = span_counts_[static_cast<std::size_t>(direction)];
  const bool fits = sparse.cells.empty() || sparse.cells.back().column >> kSpanBits < span_count;
  if (!fits || (cell_shift() == 0 && sparse.outcomes.size() > kByteCells)) {
    return std::nullopt;
  }
  const RowPlace placed = place(sparse, span_count);
  auto& rows = rows_[static_cast<std::size_t>(direction)];
  rows.resize(std::max<std::size_t>(rows.size(), row + std::size_t{1}));
  rows[row] = std::move(sparse);
  return placed;
}

SparseRow Matrix::row_outside(const Half& half) const {
  return outside_row(rules_.default_mode, half);
}

RowPlace Matrix::place(const SparseRow& row, std::size_t span_count) {
  outcomes_per_row_max_ = std::max(outcomes_per_row_max_, row.outcomes.size());
  span_run_.clear();
  auto cell = row.cells.begin();
  for (std::size_t s = 0; s < span_count; ++s) {
    Span span;
    tile_run_.clear();
    for (; cell != row.cells.end() && cell->column >> kSpanBits == s; ++cell) {
      const std::uint32_t bit = 1U << ((cell->column >> kTileBits) % 32);
      if ((span.present & bit) == 0) {
        span.present |= bit;
        tile_run_.resize(tile_run_.size() + kWordsPerTile);
      }
      const std::uint32_t lane = cell->column % kTileColumns;
      auto& word = tile_run_[tile_run_.size() - kWordsPerTile + lane / 2];
      word |= std::uint32_t{cell->number} << (lane % 2 == 0 ? 0U : 16U);
    }
    span.tile = static_cast<std::uint32_t>(tiles_.place(tile_run_) / kWordsPerTile);
    span_run_.insert(span_run_.end(), {span.present, span.tile});
  }
  return {.spans = static_cast<std::uint32_t>(spans_.place(span_run_) / kWordsPerSpan),
          .outcomes = outcome_words_.place(row.outcomes)};
}

unsigned Matrix::cell_shift() const {
  return outcomes_per_row_max_ > kByteCells ? 1 : 0;
}

std::vector<std::byte> Matrix::tile_bytes(std::size_t first_byte) const {
  std::vector<std::byte> bytes;
  const std::size_t first_word = first_byte / (cell_shift() == 1 ? 4 : 2);  // Two cells a word.
  for (const std::uint32_t word : std::span(tiles_.words()).subspan(first_word)) {
    for (const std::uint32_t cell : {word & 0xffffU, word >> 16U}) {
      bytes.push_back(static_cast<std::byte>(cell & 0xffU));
      if (cell_shift() == 1) {
        bytes.push_back(static_cast<std::byte>(cell >> 8U));
      }
    }
  }
  return bytes;
}

std::size_t Matrix::bytes() const {
  const std::size_t tile_bytes = tiles_.bytes() >> (cell_shift() == 1 ? 0U : 1U);
  return tile_bytes + spans_.bytes() + outcome_words_.bytes() + outcomes_.lines().bytes() +
         outcomes_.forks().bytes();
}

}  // namespace portcullis::classifier
