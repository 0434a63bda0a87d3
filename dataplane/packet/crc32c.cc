// SPDX-License-Identifier: MIT
#include "dataplane/packet/crc32c.h"

#include <array>
#include <cstddef>

namespace portcullis::dataplane {
namespace {

/// x^32 + x^28 + x^27 + ... + 1, its highest power left out and the rest with bits reversed, since
/// bits of a message count from the least significant of its first byte.
constexpr std::uint32_t kPolynomial = 0x82f63b78;
/// Bytes taken in one step, each by a table of its own.
constexpr std::size_t kStep = 8;

using Tables = std::array<std::array<std::uint32_t, 256>, kStep>;

/// tables[n][b]: what is left of byte b with n zero bytes behind it.
constexpr Tables make_tables() {
  Tables tables{};
  for (std::uint32_t byte = 0; byte < 256; ++byte) {
    std::uint32_t rest = byte;
    for (unsigned bit = 0; bit < 8; ++bit) {
      rest = (rest >> 1U) ^ ((rest & 1U) != 0 ? kPolynomial : 0);
    }
    tables[0][byte] = rest;
  }
  for (std::size_t zeros = 1; zeros < kStep; ++zeros) {
    for (std::size_t byte = 0; byte < 256; ++byte) {
      const std::uint32_t rest = tables[zeros - 1][byte];
      tables[zeros][byte] = (rest >> 8U) ^ tables[0][rest & 0xffU];
    }
  }
  return tables;
}

// Tables and not the processor's instruction: SSE4.2 would want a build of its own and a choice at
// start, for packets that only come from a host's own stack.
constexpr Tables kTables = make_tables();

}  // namespace

std::uint32_t crc32c(std::span<const std::uint8_t> bytes) noexcept {
  std::uint32_t rest = 0xffffffff;
  while (bytes.size() >= kStep) {
    std::uint32_t next = 0;
    for (std::size_t i = 0; i < kStep; ++i) {
      const std::uint32_t before = i < 4 ? rest >> (8 * i) & 0xffU : 0;
      next ^= kTables[kStep - 1 - i][bytes[i] ^ before];
    }
    rest = next;
    bytes = bytes.subspan(kStep);
  }
  for (const std::uint8_t byte : bytes) {
    rest = (rest >> 8U) ^ kTables[0][(rest ^ byte) & 0xffU];
  }
  return ~rest;
}

}  // namespace portcullis::dataplane
