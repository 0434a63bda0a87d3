// SPDX-License-Identifier: MIT
#include "classifier/compiler/comb.h"

#include <algorithm>
#include <bit>

namespace portcullis::classifier {
namespace {

constexpr std::size_t kWordBits = 64;
/// Columns so far from one another are looked at first.
constexpr std::size_t kFarApart = 16;
/// Rows whose lengths agree in so many leading bits search on from each other: where one of them
/// fit nowhere, one that is hardly shorter seldom fits. At 1,000,000 pods a seventh of the words
/// looked at, for a table 2 % larger; bench/README.md has the command.
constexpr unsigned kLengthBits = 5;
/// What each row adds to the words that searches may look at. Those of clusters look at few; rows
/// of many random columns fit nowhere and would look everywhere, each at as much as all before it
/// take.
constexpr std::size_t kWordsARow = 2048;

/// The same for rows that search on from each other.
std::size_t size_class(std::size_t length) {
  const auto bits = static_cast<unsigned>(std::bit_width(length));
  const unsigned dropped = bits > kLengthBits ? bits - kLengthBits : 0;
  return length >> dropped << dropped;
}

}  // namespace

std::uint32_t Comb::place(std::span<const std::uint32_t> columns) {
  if (const std::size_t sizes = size_class(columns.size()); sizes != size_class_) {
    size_class_ = sizes;
    search_from_ = 0;
  }
  words_left_ += kWordsARow;
  // Sixty-four bases at a time: one is free if no column's place is taken.
  for (std::uint32_t base = search_from_;; base += kWordBits) {
    if (words_left_ == 0) {
      base = std::max(base, behind_all(columns));
    } else {
      --words_left_;
    }
    reach(base, columns);
    const std::size_t word = base / kWordBits;
    std::uint64_t unfit = word < bases_.size() ? bases_[word] : 0;
    // Neighbours are often taken together: columns that are far apart find a taken place sooner.
    for (const std::size_t stride : {kFarApart, std::size_t{1}}) {
      for (std::size_t i = 0; i < columns.size() && ~unfit != 0; i += stride) {
        unfit |= taken_from(std::size_t{base} + columns[i]);
      }
    }
    if (~unfit == 0) {
      continue;
    }
    search_from_ = base;
    base += static_cast<std::uint32_t>(std::countr_one(unfit));
    take(bases_, base);
    for (const std::uint32_t column : columns) {
      take(taken_, std::size_t{base} + column);
    }
    bases_end_ = std::max(bases_end_, base + 1);
    const std::size_t end = columns.empty() ? 0 : std::size_t{base} + columns.back() + 1;
    places_end_ = std::max(places_end_, end);
    return base;
  }
}

/// The first word of bases from which these columns are all behind the highest place taken.
std::uint32_t Comb::behind_all(std::span<const std::uint32_t> columns) const {
  const std::size_t first = columns.empty() ? 0 : columns.front();
  const std::size_t base = places_end_ - std::min(places_end_, first);
  return static_cast<std::uint32_t>((base + kWordBits - 1) / kWordBits * kWordBits);
}

void Comb::remove(std::uint32_t base, std::span<const std::uint32_t> columns) {
  const auto clear = [](std::vector<std::uint64_t>& bits, std::size_t place) {
    bits[place / kWordBits] &= ~(std::uint64_t{1} << (place % kWordBits));
  };
  clear(bases_, base);
  for (const std::uint32_t column : columns) {
    clear(taken_, std::size_t{base} + column);
  }
  search_from_ = 0;
}

/// Makes room for what taken_from() reads of these columns from sixty-four bases on.
void Comb::reach(std::size_t base, std::span<const std::uint32_t> columns) {
  const std::size_t words = columns.empty() ? 0 : (base + columns.back()) / kWordBits + 2;
  if (words > taken_.size()) {
    taken_.resize(std::max(words, taken_.size() * 2));
  }
}

/// Sixty-four bits from `place` on, without a branch. REQUIRES: reach().
std::uint64_t Comb::taken_from(std::size_t place) const {
  const std::size_t word = place / kWordBits;
  const std::size_t shift = place % kWordBits;
  return (taken_[word] >> shift) | (taken_[word + 1] << 1U << (kWordBits - 1 - shift));
}

void Comb::take(std::vector<std::uint64_t>& bits, std::size_t place) {
  if (place / kWordBits >= bits.size()) {
    bits.resize(std::max(place / kWordBits + 1, bits.size() * 2));
  }
  bits[place / kWordBits] |= std::uint64_t{1} << (place % kWordBits);
}

}  // namespace portcullis::classifier
