// SPDX-License-Identifier: MIT
#include "classifier/table.h"

#include <array>
#include <cstring>

#include <gtest/gtest.h>

namespace portcullis::classifier {
namespace {

constexpr std::array<std::byte, 3> kTiles{std::byte{1}, std::byte{2}, std::byte{3}};
constexpr std::array<std::byte, 4> kOutcomes{std::byte{9}};

std::unique_ptr<const Table> small_table() {
  std::array<std::span<const std::byte>, kPartCount> parts;
  parts[static_cast<std::size_t>(Part::tiles)] = kTiles;
  parts[static_cast<std::size_t>(Part::outcomes)] = kOutcomes;
  return Table::assemble({.class_count = 5}, parts);
}

TEST(Table, LaysPartsOutOnCacheLines) {
  const auto table = small_table();
  const auto bytes = table->bytes();
  Header header;
  std::memcpy(&header, bytes.data(), sizeof(header));
  EXPECT_EQ(header.magic, Header::kMagic);
  EXPECT_EQ(header.total_bytes, bytes.size());
  for (const PartPlace& place : header.parts) {
    EXPECT_EQ(place.offset % 64, 0U);
    EXPECT_LE(place.offset + place.bytes, header.total_bytes);
  }
  EXPECT_EQ(table->view().tiles[2], 3);
  EXPECT_EQ(table->view().outcomes[0], 9U);
}

TEST(Table, SaysBeforehandWhatItWillTake) {
  std::array<std::size_t, kPartCount> sizes{};
  sizes[0] = kTiles.size();
  sizes[1] = kOutcomes.size();
  EXPECT_EQ(Table::assembled_bytes(sizes), small_table()->bytes().size());
}

/// Found by AddressSanitizer: a kernel without branches reads line 0 of a table that has none.
TEST(Table, LeavesRoomForALineAndAnOutcomeBehindItsParts) {
  const auto table = Table::assemble({}, {});
  const std::byte* lines = reinterpret_cast<const std::byte*>(table->view().lines);
  const std::byte* end =
      table->parts()[0].bytes.get() - table->header().parts[0].offset + table->header().total_bytes;
  EXPECT_GE(end - lines, static_cast<std::ptrdiff_t>(sizeof(PortLine) + sizeof(std::uint32_t)));
}

TEST(Table, OfSharedPartsHasTheBytesOfOneInOnePiece) {
  const auto table = small_table();
  Table::Parts parts;
  for (std::size_t i = 0; i < kPartCount; ++i) {
    parts[i] = i % 2 == 0 ? table->parts()[i] : table->parts()[i].clone();
  }
  const auto shared = Table::share(table->header(), parts);
  EXPECT_EQ(shared->bytes(), table->bytes());
  EXPECT_EQ(shared->digest(), table->digest());
  EXPECT_EQ(shared->sizes().total, table->sizes().total);
}

TEST(Table, IsNamedByItsBytes) {
  EXPECT_EQ(small_table()->digest(), small_table()->digest());
  const auto other = Table::assemble({.class_count = 6}, {});
  EXPECT_NE(small_table()->digest(), other->digest());
  EXPECT_EQ(other->digest().size(), 64U);
}

TEST(Table, CountsItsParts) {
  const auto table = small_table();
  EXPECT_EQ(table->sizes().classes, 5U);
  EXPECT_EQ(table->sizes().matrices, 3U);
  EXPECT_EQ(table->sizes().profile_count, 1U);
  EXPECT_EQ(table->sizes().total, table->bytes().size());
}

}  // namespace
}  // namespace portcullis::classifier
