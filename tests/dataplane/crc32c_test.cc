// SPDX-License-Identifier: MIT
#include "dataplane/packet/crc32c.h"

#include <numeric>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>

namespace portcullis::dataplane {
namespace {

using Bytes = std::vector<std::uint8_t>;

/// Bit by bit, as the polynomial says.
std::uint32_t by_bits(const Bytes& bytes) {
  std::uint32_t rest = 0xffffffff;
  for (const std::uint8_t byte : bytes) {
    rest ^= byte;
    for (unsigned bit = 0; bit < 8; ++bit) {
      rest = (rest >> 1U) ^ ((rest & 1U) != 0 ? 0x82f63b78 : 0);
    }
  }
  return ~rest;
}

TEST(Crc32c, GivesTheKnownAnswers) {
  constexpr std::string_view kDigits = "123456789";
  EXPECT_EQ(crc32c(Bytes(kDigits.begin(), kDigits.end())), 0xe3069283U);
  // RFC 3720, B.4.
  EXPECT_EQ(crc32c(Bytes(32, 0)), 0x8a9136aaU);
  EXPECT_EQ(crc32c(Bytes(32, 0xff)), 0x62a8ab43U);
  Bytes counting(32);
  std::iota(counting.begin(), counting.end(), std::uint8_t{0});
  EXPECT_EQ(crc32c(counting), 0x46dd794eU);
  EXPECT_EQ(crc32c(Bytes(counting.rbegin(), counting.rend())), 0x113fdb5cU);
}

TEST(Crc32c, IsThatOfItsBitsForAnyLengthAndPlace) {
  EXPECT_EQ(crc32c({}), 0U);
  Bytes bytes;
  for (std::size_t i = 0; i < 100; ++i) {
    bytes.push_back(static_cast<std::uint8_t>(i * 37 + i / 3));
    EXPECT_EQ(crc32c(bytes), by_bits(bytes)) << bytes.size();
    const Bytes end(bytes.begin() + static_cast<std::ptrdiff_t>(i / 2), bytes.end());
    EXPECT_EQ(crc32c(std::span(bytes).subspan(i / 2)), by_bits(end)) << i;
  }
}

}  // namespace
}  // namespace portcullis::dataplane
