// SPDX-License-Identifier: MIT
#include "config/suggest.h"

#include <array>

#include <gtest/gtest.h>

namespace portcullis::config {
namespace {

TEST(EditDistance, CountsTheFourMistakesOfTyping) {
  EXPECT_EQ(edit_distance("", ""), 0U);
  EXPECT_EQ(edit_distance("", "abc"), 3U);
  EXPECT_EQ(edit_distance("kitten", "sitting"), 3U);
  EXPECT_EQ(edit_distance("mtu", "mut"), 1U) << "a swap of neighbours is one mistake";
  EXPECT_EQ(edit_distance("workers_cpu", "worker_cpus"), 2U);
}

TEST(DidYouMean, NamesTheNearestWordOrNone) {
  const std::array<std::string, 3> known{"vdev", "pci", "worker_cpus"};
  EXPECT_EQ(did_you_mean("worker_cpu", known), " (did you mean \"worker_cpus\"?)");
  EXPECT_EQ(did_you_mean("dvev", known), " (did you mean \"vdev\"?)");
  EXPECT_EQ(did_you_mean("zzzzzz", known), "");
  EXPECT_EQ(did_you_mean("xyz", known), "") << "a word that shares nothing is no suggestion";
  EXPECT_EQ(did_you_mean(std::string(10'000, 'a'), known), "");
}

}  // namespace
}  // namespace portcullis::config
