// SPDX-License-Identifier: MIT
#include "classifier/compiler/intern.h"

#include <array>

#include <gtest/gtest.h>

namespace portcullis::classifier {
namespace {

TEST(Intern, KeepsEqualRunsOnce) {
  Intern intern;
  const std::array<std::uint32_t, 2> first{1, 2};
  const std::array<std::uint32_t, 3> longer{1, 2, 3};
  EXPECT_EQ(intern.place(first), 0U);
  EXPECT_FALSE(intern.found());
  EXPECT_EQ(intern.place(longer), 2U);
  EXPECT_EQ(intern.place(first), 0U);
  EXPECT_TRUE(intern.found());
  EXPECT_EQ(intern.words().size(), 5U);
}

TEST(Intern, FindsEveryRunAfterGrowing) {
  Intern intern;
  constexpr std::uint32_t kRuns = 10'000;
  for (std::uint32_t i = 0; i < kRuns; ++i) {
    ASSERT_EQ(intern.place(std::array{i, i * i}), 2 * i);
  }
  for (std::uint32_t i = 0; i < kRuns; ++i) {
    ASSERT_EQ(intern.place(std::array{i, i * i}), 2 * i);
    ASSERT_TRUE(intern.found());
  }
}

TEST(Intern, GivesAnEmptyRunNoWords) {
  Intern intern;
  EXPECT_EQ(intern.place({}), 0U);
  EXPECT_TRUE(intern.words().empty());
}

}  // namespace
}  // namespace portcullis::classifier
