// SPDX-License-Identifier: MIT
#include "classifier/filter/limit_search.h"

#include <vector>

#include <gtest/gtest.h>

#include "tests/classifier/filter/stretch.h"

namespace portcullis::classifier {
namespace {

TEST(LimitSearch, FindsTheStretchOfEveryBorder) {
  // Below, at and above what a root of 16 or 32 limits, and one to three levels more, can hold.
  for (const std::size_t count :
       {1U, 2U, 16U, 17U, 18U, 33U, 34U, 289U, 290U, 561U, 562U, 9'537U, 9'538U, 70'000U}) {
    std::vector<std::uint32_t> begins;
    for (std::size_t i = 0; i < count; ++i) {
      begins.push_back(static_cast<std::uint32_t>(i * 61'000));
    }
    const SearchTree tree = make_search(begins);
    for (std::uint32_t i = 0; i < count; ++i) {
      ASSERT_EQ(stretch_of(tree, begins[i]), i) << count;
      if (i > 0) {
        ASSERT_EQ(stretch_of(tree, begins[i] - 1), i - 1) << count;
      }
    }
    ASSERT_EQ(stretch_of(tree, 0xffff'ffffU), count - 1);
  }
}

TEST(LimitSearch, TakesLittleMoreThanItsLimits) {
  std::vector<std::uint32_t> begins;
  for (std::uint32_t i = 0; i < 50'000; ++i) {
    begins.push_back(i * 17);
  }
  EXPECT_LT(make_search(begins).limits.size(), begins.size() * 5 / 4);
}

}  // namespace
}  // namespace portcullis::classifier
