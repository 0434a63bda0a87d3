// SPDX-License-Identifier: MIT
#include "classifier/compiler/comb.h"

#include <algorithm>
#include <random>
#include <set>
#include <vector>

#include <gtest/gtest.h>

namespace portcullis::classifier {
namespace {

using Columns = std::vector<std::uint32_t>;

TEST(Comb, LaysRowsIntoEachOthersGaps) {
  Comb comb;
  EXPECT_EQ(comb.place(Columns{0, 2, 4}), 0U);
  EXPECT_EQ(comb.place(Columns{0, 2, 4}), 1U);
  EXPECT_EQ(comb.place(Columns{1}), 5U);  // Places 0 to 5 are taken.
  EXPECT_EQ(comb.place(Columns{100}), 2U);
  EXPECT_EQ(comb.bases_end(), 6U);
}

TEST(Comb, GivesEveryRowABaseOfItsOwn) {
  Comb comb;
  EXPECT_EQ(comb.place(Columns{7}), 0U);
  EXPECT_EQ(comb.place(Columns{}), 1U);
  EXPECT_EQ(comb.place(Columns{}), 2U);
  EXPECT_EQ(comb.place(Columns{9}), 3U);
}

TEST(Comb, NeverGivesAPlaceTwice) {
  std::mt19937_64 random(7);
  Comb comb;
  std::set<std::uint32_t> bases;
  std::set<std::uint32_t> places;
  for (std::size_t length = 60; length > 0; --length) {
    for (int i = 0; i < 20; ++i) {
      std::set<std::uint32_t> columns;
      while (columns.size() < length) {
        columns.insert(static_cast<std::uint32_t>(random() % 1000));
      }
      const std::uint32_t base = comb.place(Columns(columns.begin(), columns.end()));
      EXPECT_TRUE(bases.insert(base).second);
      EXPECT_LT(base, comb.bases_end());
      for (const std::uint32_t column : columns) {
        EXPECT_TRUE(places.insert(base + column).second);
      }
    }
  }
  EXPECT_LT(comb.bases_end(), 4 * places.size());
}

/// Random rows of so many columns fit nowhere but at the end: looking for gaps would take minutes.
TEST(Comb, GivesUpLookingForGapsThatThereAreNot) {
  std::mt19937_64 random(8);
  Comb comb(0);
  std::set<std::uint32_t> bases;
  std::vector<bool> taken;
  for (std::size_t length = 120; length > 100; --length) {
    for (int i = 0; i < 400; ++i) {
      std::set<std::uint32_t> columns;
      while (columns.size() < length) {
        columns.insert(static_cast<std::uint32_t>(random() % 100'000));
      }
      const std::uint32_t base = comb.place(Columns(columns.begin(), columns.end()));
      ASSERT_TRUE(bases.insert(base).second);
      taken.resize(std::max<std::size_t>(taken.size(), base + std::size_t{100'000}));
      for (const std::uint32_t column : columns) {
        ASSERT_FALSE(taken[base + column]);
        taken[base + column] = true;
      }
    }
  }
}

}  // namespace
}  // namespace portcullis::classifier
