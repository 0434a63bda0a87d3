// SPDX-License-Identifier: MIT
#include "classifier/compiler/matrix.h"

#include <algorithm>
#include <array>
#include <bit>
#include <memory>
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

CutRow cut_of(const SparseRow& row) {
  CutRow cut;
  std::size_t words_begin = 0;
  for (auto cell = row.cells.begin(); cell != row.cells.end();) {
    CutRow::Piece piece{.span = cell->column >> kSpanBits};
    for (; cell != row.cells.end() && cell->column >> kSpanBits == piece.span; ++cell) {
      const std::uint32_t bit = 1U << ((cell->column >> kTileBits) % 32);
      if ((piece.present & bit) == 0) {
        piece.present |= bit;
        cut.words.resize(cut.words.size() + kWordsPerTile);
      }
      const std::uint32_t lane = cell->column % kTileColumns;
      auto& word = cut.words[cut.words.size() - kWordsPerTile + lane / 2];
      word |= std::uint32_t{cell->number} << (lane % 2 == 0 ? 0U : 16U);
    }
    piece.words_end = cut.words.size();
    piece.hash = Intern::hash_of(std::span(cut.words).subspan(words_begin));
    words_begin = piece.words_end;
    cut.pieces.push_back(piece);
  }
  return cut;
}

}  // namespace

struct RowBlock {
  /// Builds the rows from first_row on, so many as there are rules for and as a block holds.
  void build(std::span<const std::vector<std::uint32_t>> rules_by_row,
             RowBuilder& builder,
             const Crew& crew);

  Outcomes outcomes;  // What the rows' outcomes mean.
  std::uint32_t first_row = 0;
  std::vector<SparseRow> rows;
  std::vector<CutRow> cuts;
  bool too_many_outcomes = false;  // Of the row after these.
};

void RowBlock::build(std::span<const std::vector<std::uint32_t>> rules_by_row,
                     RowBuilder& builder,
                     const Crew& crew) {
  outcomes.clear();
  rows.clear();
  cuts.clear();
  for (const auto& rules : rules_by_row.subspan(first_row).first(
           std::min<std::size_t>(Matrix::kRowsPerBlock, rules_by_row.size() - first_row))) {
    if (crew.stopped()) {
      return;
    }
    if (!builder.build(rules, outcomes)) {
      too_many_outcomes = true;
      return;
    }
    rows.push_back(builder.take_row());
    cuts.push_back(cut_of(rows.back()));
  }
}

Matrix::Matrix(const RuleSet& rules, std::size_t bytes_max)
    : rules_(rules),
      bytes_max_(bytes_max),
      cells_kept_max_(std::max(kCellsKept, bytes_max / 2 / sizeof(SparseRow::Cell))),
      outcomes_(rules) {
  tiles_.place(std::array<std::uint32_t, kWordsPerTile>{});  // Tile 0: every cell 0.
}

Result<std::vector<RowPlace>> Matrix::add(Direction direction, const Half& half, Crew& crew) {
  const std::size_t column_count = half.column_kinds.size();
  const std::size_t span_count = ((column_count - 1) >> kSpanBits) + 1;
  span_counts_[static_cast<std::size_t>(direction)] = span_count;
  std::vector<RowPlace> places;
  places.reserve(half.row_count);
  for (SparseRow row : {outside_row(rules_.default_mode, half), unidentified_row()}) {
    places.push_back(place(row, cut_of(row), span_count));
    keep(direction, std::move(row));
  }

  const auto rules_by_row = rules_of_rows(rules_, direction, half);
  const std::size_t block_count =
      (rules_by_row.size() - kRowsWithoutSubject + kRowsPerBlock - 1) / kRowsPerBlock;
  std::vector<RowBlock> blocks(crew.window(), {.outcomes = outcomes_.sibling()});
  std::vector<std::unique_ptr<RowBuilder>> builders(crew.threads());
  const auto make = [&](unsigned worker, std::size_t i) {
    if (builders[worker] == nullptr) {
      builders[worker] = std::make_unique<RowBuilder>(rules_, half);
    }
    RowBlock& block = blocks[i % blocks.size()];
    block.first_row = kRowsWithoutSubject + static_cast<std::uint32_t>(i) * kRowsPerBlock;
    block.build(rules_by_row, *builders[worker], crew);
  };
  Result<void> taken;
  const auto take_next = [&](std::size_t i) {
    RowBlock& block = blocks[i % blocks.size()];
    taken = take(block, direction, half, places);
    crew.advance(block.rows.size());
    return taken.has_value();
  };
  crew.begin(direction == Direction::egress ? "egress rows" : "ingress rows", half.row_count);
  crew.in_order(block_count, make, take_next);
  if (!taken) {
    return Failure(std::move(taken).error());
  }
  return places;
}

/// Packs a block's rows behind those that are there.
Result<void> Matrix::take(RowBlock& block,
                          Direction direction,
                          const Half& half,
                          std::vector<RowPlace>& places) {
  const char* name = direction == Direction::egress ? "egress" : "ingress";
  const std::size_t span_count = span_counts_[static_cast<std::size_t>(direction)];
  Outcomes::Adopted adopted;
  for (std::size_t i = 0; i < block.rows.size(); ++i) {
    SparseRow& row = block.rows[i];
    for (std::uint32_t& outcome : row.outcomes) {
      outcome = outcomes_.adopt(block.outcomes, outcome, adopted);
    }
    places.push_back(place(row, block.cuts[i], span_count));
    keep(direction, std::move(row));
    if (bytes() > bytes_max_) {
      return fail(
          fmt::format("the {} matrix of {} rows by {} columns outgrows the table's limit of {} "
                      "bytes at row {}; raise the limit or use fewer distinct policies",
                      name,
                      half.row_count,
                      half.column_kinds.size(),
                      bytes_max_,
                      block.first_row + i));
    }
  }
  if (block.too_many_outcomes) {
    return fail(
        fmt::format("the {} rules of one workload tell more than 65,536 groups of peers apart; "
                    "use fewer policies for it",
                    name));
  }
  return {};
}

void Matrix::keep(Direction direction, SparseRow row) {
  cells_kept_ += row.cells.size();
  if (cells_kept_ <= cells_kept_max_) {
    rows_[static_cast<std::size_t>(direction)].push_back(std::move(row));
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
  const RowPlace placed = place(sparse, cut_of(sparse), span_count);
  auto& rows = rows_[static_cast<std::size_t>(direction)];
  rows.resize(std::max<std::size_t>(rows.size(), row + std::size_t{1}));
  rows[row] = std::move(sparse);
  return placed;
}

SparseRow Matrix::row_outside(const Half& half) const {
  return outside_row(rules_.default_mode, half);
}

RowPlace Matrix::place(const SparseRow& row, const CutRow& cut, std::size_t span_count) {
  outcomes_per_row_max_ = std::max(outcomes_per_row_max_, row.outcomes.size());
  span_run_.assign(span_count * kWordsPerSpan, 0);  // Tile 0 where there are no cells.
  std::size_t words_begin = 0;
  for (const CutRow::Piece& piece : cut.pieces) {
    const auto run = std::span(cut.words).subspan(words_begin, piece.words_end - words_begin);
    words_begin = piece.words_end;
    const auto span = std::bit_cast<std::array<std::uint32_t, kWordsPerSpan>>(
        Span{.present = piece.present,
             .tile = static_cast<std::uint32_t>(tiles_.place(run, piece.hash) / kWordsPerTile)});
    std::ranges::copy(span, span_run_.begin() + piece.span * kWordsPerSpan);
  }
  return {.spans = static_cast<std::uint32_t>(spans_.place(span_run_) / kWordsPerSpan),
          .outcomes = outcome_words_.place(row.outcomes)};
}

unsigned Matrix::cell_shift() const {
  return outcomes_per_row_max_ > kByteCells ? 1 : 0;
}

std::vector<std::byte> Matrix::tile_bytes(std::size_t first_byte) const {
  const std::size_t first_word = first_byte / (cell_shift() == 1 ? 4 : 2);  // Two cells a word.
  const auto words = std::span(tiles_.words()).subspan(first_word);
  if (cell_shift() == 1) {
    const auto whole = std::as_bytes(words);
    return {whole.begin(), whole.end()};
  }
  std::vector<std::byte> bytes(words.size() * 2);
  for (std::size_t i = 0; i < words.size(); ++i) {
    bytes[2 * i] = static_cast<std::byte>(words[i]);
    bytes[2 * i + 1] = static_cast<std::byte>(words[i] >> 16U);
  }
  return bytes;
}

std::size_t Matrix::bytes() const {
  const std::size_t tile_bytes = tiles_.bytes() >> (cell_shift() == 1 ? 0U : 1U);
  return tile_bytes + spans_.bytes() + outcome_words_.bytes() + outcomes_.lines().bytes() +
         outcomes_.forks().bytes();
}

}  // namespace portcullis::classifier
