// SPDX-License-Identifier: MIT
#include "classifier/permits/permit_sides.h"

#include <algorithm>
#include <unordered_map>

#include "classifier/compiler/classes.h"
#include "classifier/layout.h"

namespace portcullis::classifier {
namespace {

/// Some more than threads, which may be of unlike speed; each costs a search in every row.
constexpr std::size_t kPiecesPerThread = 4;

/// Calls visit(row, deviation) for those in columns first..last-1, row by row.
template <typename Visit>
void visit_columns(const std::vector<Deviations>& rows,
                   std::size_t first,
                   std::size_t last,
                   const Crew& crew,
                   Visit visit) {
  for (std::uint32_t row = 0; row < rows.size() && !crew.stopped(); ++row) {
    auto at = std::ranges::lower_bound(rows[row], first, {}, &Deviation::at);
    for (; at != rows[row].end() && at->at < last; ++at) {
      visit(row, *at);
    }
  }
}

}  // namespace

void PermitSide::fill(std::span<const SparseRow> rows,
                      std::span<const std::vector<std::uint32_t>> lines,
                      Crew& crew) {
  defaults.resize(rows.size());
  deviations.resize(rows.size());
  inverted.resize(rows.size());
  crew.each_range(rows.size(), [&](std::size_t first, std::size_t last) {
    for (std::size_t row = first; row < last && !crew.stopped(); ++row) {
      if (row == kRowOutside) {
        // Whom it does not reach is said by Opening::outside: as cells it would be all pairs.
        defaults[row] = kLineEverything;
        continue;
      }
      const std::uint32_t usual = commonest_line(rows[row], column_count, lines[row]);
      defaults[row] = usual;
      inverted[row] = lines[row][0] != usual ? 1 : 0;
      deviations[row] = deviations_of(rows[row], column_count, lines[row], usual);
    }
  });
  by_column.resize(column_count);
  const std::size_t pieces = crew.threads() * kPiecesPerThread;
  crew.each(pieces, [&](unsigned /*worker*/, std::size_t i) {
    const std::size_t first = column_count * i / pieces;
    const std::size_t last = column_count * (i + 1) / pieces;
    // Room for just what comes: lists that grow one by one waste half of it.
    std::vector<std::size_t> counts(last - first);
    visit_columns(deviations, first, last, crew, [&](std::uint32_t /*row*/, const Deviation& one) {
      ++counts[one.at - first];
    });
    for (std::size_t column = first; column < last; ++column) {
      by_column[column].reserve(counts[column - first]);
    }
    visit_columns(deviations, first, last, crew, [&](std::uint32_t row, const Deviation& one) {
      by_column[one.at].push_back({.at = row, .line = one.line});
    });
  });
}

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

Deviations deviations_of(const SparseRow& row,
                         std::size_t column_count,
                         std::span<const std::uint32_t> lines,
                         std::uint32_t usual) {
  Deviations deviations;
  auto cell = row.cells.begin();
  if (lines[0] == usual) {
    deviations.reserve(row.cells.size());
    for (; cell != row.cells.end(); ++cell) {
      if (lines[cell->number] != usual) {
        deviations.push_back({.at = cell->column, .line = lines[cell->number]});
      }
    }
    return deviations;
  }
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

}  // namespace portcullis::classifier
