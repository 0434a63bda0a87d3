// SPDX-License-Identifier: MIT
#include "classifier/address_order.h"

#include <algorithm>
#include <random>

#include <gtest/gtest.h>

namespace portcullis::classifier {
namespace {

TEST(AddressOrder, SortsByAddressAndKeepsTheOrderOfItems) {
  std::mt19937_64 random(1);
  std::vector<std::uint64_t> words;
  for (std::uint32_t item = 0; item < 10'000; ++item) {
    const auto address = static_cast<std::uint32_t>(random());
    words.push_back(by_address(item % 3 == 0 ? address : address % 64, item));
  }
  words.push_back(by_address(0xffff'ffffU, 10'000));
  words.push_back(by_address(0, 10'001));
  auto expected = words;
  std::ranges::sort(expected);
  sort_by_address(words);
  EXPECT_EQ(words, expected);
  EXPECT_EQ(address_of(words.back()), 0xffff'ffffU);
  EXPECT_EQ(item_of(words.back()), 10'000U);
}

TEST(AddressOrder, TakesNoItems) {
  std::vector<std::uint64_t> words;
  sort_by_address(words);
  EXPECT_TRUE(words.empty());
}

}  // namespace
}  // namespace portcullis::classifier
