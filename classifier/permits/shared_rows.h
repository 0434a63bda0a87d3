// SPDX-License-Identifier: MIT
// SharedRows: what many permit rows have nearly alike, kept once; each row is left with the cells
// in which it differs. The pods of a namespace that others let in have a few hundred cells in
// common, and a handful of their own.
// Thread: one that finds, with its crew; then any.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <unordered_map>
#include <vector>

#include "classifier/crew.h"

namespace portcullis::classifier {

/// The cells of a row: destination << 32 | permit line, ascending.
using PermitCells = std::vector<std::uint64_t>;

constexpr std::uint64_t permit_cell(std::uint32_t destination, std::uint32_t line) {
  return (std::uint64_t{destination} << 32U) | line;
}
constexpr std::uint32_t destination_of(std::uint64_t cell) {
  return static_cast<std::uint32_t>(cell >> 32U);
}
constexpr std::uint32_t line_of(std::uint64_t cell) {
  return static_cast<std::uint32_t>(cell);
}

/// By cell; ascending.
std::vector<std::uint32_t> destinations_of(const PermitCells& cells);

/// The line of a cell that says: as if neither this row nor the shared one had a cell.
inline constexpr std::uint32_t kLineDefault = 0xffff'fffdU;

/// The cells that a row of `cells` is left with beside a shared row.
PermitCells beside(const PermitCells& cells, const PermitCells& shared);

class SharedRows {
 public:
  /// Finds what these rows have in common. Deterministic; called once at most. Once the crew is
  /// stopped, what is found means nothing.
  void find(std::span<const PermitCells* const> rows, Crew& crew);

  /// The shared row beside which a row of these cells keeps the fewest; null: none saves any.
  [[nodiscard]] const PermitCells* best(const PermitCells& cells) const;

 private:
  /// Rows alike in nine cells of ten have the same least hash nine times of ten, whatever the hash.
  static constexpr std::size_t kHashes = 3;

  void find_by(std::size_t which, std::span<const PermitCells* const> rows, Crew& crew);
  void add(PermitCells cells);

  std::vector<PermitCells> rows_;
  std::array<std::unordered_map<std::uint64_t, std::uint32_t>, kHashes> by_least_hash_;
};

}  // namespace portcullis::classifier
