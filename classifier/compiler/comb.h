// SPDX-License-Identifier: MIT
// Comb: sparse rows laid into each other's gaps. Every row gets a base of its own, so that a place
// and a column name their row.
// Thread: one. Source: row displacement; Tarjan and Yao, "Storing a sparse table", CACM 1979.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace portcullis::classifier {

class Comb {
 public:
  /// Words of 64 bases that searches may look at beside what each row adds: a second or two.
  static constexpr std::size_t kWordsAtStart = std::size_t{1} << 28U;

  explicit Comb(std::size_t words_at_start = kWordsAtStart) : words_left_(words_at_start) {}

  /// A low base that no row has and from which all of these columns are free; takes it. Columns
  /// ascend. Cheapest when the longest rows come first. Where searches take too long, a row goes
  /// behind all others.
  std::uint32_t place(std::span<const std::uint32_t> columns);
  /// Frees what place() took for these columns.
  void remove(std::uint32_t base, std::span<const std::uint32_t> columns);
  /// One past the highest base.
  [[nodiscard]] std::uint32_t bases_end() const { return bases_end_; }

 private:
  [[nodiscard]] std::uint32_t behind_all(std::span<const std::uint32_t> columns) const;
  void reach(std::size_t base, std::span<const std::uint32_t> columns);
  [[nodiscard]] std::uint64_t taken_from(std::size_t place) const;
  void take(std::vector<std::uint64_t>& bits, std::size_t place);

  std::vector<std::uint64_t> taken_;  // A bit a place.
  std::vector<std::uint64_t> bases_;  // A bit a base.
  std::size_t size_class_ = 0;        // Of the row placed last.
  std::uint32_t search_from_ = 0;     // Rows of that class are not tried before.
  std::uint32_t bases_end_ = 0;
  std::size_t places_end_ = 0;  // One past the highest place taken.
  std::size_t words_left_;      // That searches may still look at.
};

}  // namespace portcullis::classifier
