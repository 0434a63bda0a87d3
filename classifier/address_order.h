// SPDX-License-Identifier: MIT
// Items in order of their IPv4 addresses, each with its address in one word: address << 32 | item.
// Thread: pure functions.
#pragma once

#include <cstdint>
#include <vector>

namespace portcullis::classifier {

constexpr std::uint64_t by_address(std::uint32_t address, std::uint32_t item) {
  return (std::uint64_t{address} << 32U) | item;
}
constexpr std::uint32_t address_of(std::uint64_t word) {
  return static_cast<std::uint32_t>(word >> 32U);
}
constexpr std::uint32_t item_of(std::uint64_t word) {
  return static_cast<std::uint32_t>(word);
}

/// Sorts by address; items of one address keep their order.
/// Cost: linear, with as much memory again; a tenth of comparing them, for a million.
void sort_by_address(std::vector<std::uint64_t>& words);

}  // namespace portcullis::classifier
