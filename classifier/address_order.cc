// SPDX-License-Identifier: MIT
#include "classifier/address_order.h"

#include <array>
#include <cstddef>
#include <numeric>

namespace portcullis::classifier {

void sort_by_address(std::vector<std::uint64_t>& words) {
  // Digits of 11 bits, the lowest first; 32 bits of address need three.
  constexpr unsigned kDigitBits = 11;
  constexpr std::size_t kDigits = std::size_t{1} << kDigitBits;
  constexpr unsigned kFirstBit = 32;
  std::vector<std::uint64_t> sorted(words.size());
  for (unsigned shift = kFirstBit; shift < 64; shift += kDigitBits) {
    std::array<std::size_t, kDigits + 1> begins{};
    for (const std::uint64_t word : words) {
      ++begins[((word >> shift) & (kDigits - 1)) + 1];
    }
    std::partial_sum(begins.begin(), begins.end(), begins.begin());
    for (const std::uint64_t word : words) {
      sorted[begins[(word >> shift) & (kDigits - 1)]++] = word;
    }
    words.swap(sorted);
  }
}

}  // namespace portcullis::classifier
