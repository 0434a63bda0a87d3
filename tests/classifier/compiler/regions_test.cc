// SPDX-License-Identifier: MIT
#include "classifier/compiler/regions.h"

#include <gtest/gtest.h>

namespace portcullis::classifier {
namespace {

Prefix block(const char* text) {
  return parse_prefix(text).value();
}
IpAddress ip(const char* text) {
  return parse_ip(text).value();
}

/// 0.0.0.0/0 is region 0, 10.0.0.0/8 is 1, 10.1.0.0/16 is 2, 10.2.0.0/16 is 3, ::/0 is 4.
Regions small_regions() {
  return Regions(
      {block("10.1.0.0/16"), block("10.0.0.0/8"), block("10.2.0.0/16"), block("10.0.0.0/8")});
}

TEST(Regions, HoldsARootOfEachFamily) {
  const Regions regions({});
  ASSERT_EQ(regions.all().size(), 2U);
  EXPECT_EQ(regions.locate(ip("192.0.2.1")), 0U);
  EXPECT_EQ(regions.locate(ip("2001:db8::1")), 1U);
}

TEST(Regions, PutsAPrefixBeforeThoseInsideIt) {
  const Regions regions = small_regions();
  ASSERT_EQ(regions.all().size(), 5U);
  EXPECT_EQ(regions.all()[1].prefix, block("10.0.0.0/8"));
  EXPECT_EQ(regions.all()[1].parent, 0U);
  EXPECT_EQ(regions.all()[1].end, 4U);
  EXPECT_EQ(regions.all()[3].parent, 1U);
}

TEST(Regions, LocatesAnAddressInTheLongestPrefix) {
  const Regions regions = small_regions();
  EXPECT_EQ(regions.locate(ip("9.255.255.255")), 0U);
  EXPECT_EQ(regions.locate(ip("10.0.0.0")), 1U);
  EXPECT_EQ(regions.locate(ip("10.1.255.255")), 2U);
  EXPECT_EQ(regions.locate(ip("10.2.0.0")), 3U);
  EXPECT_EQ(regions.locate(ip("10.3.0.0")), 1U);
  EXPECT_EQ(regions.locate(ip("11.0.0.0")), 0U);
}

TEST(Regions, LeavesExceptionsOutOfABlock) {
  const Regions regions = small_regions();
  const std::vector<Block> blocks{
      {.cidr = block("10.0.0.0/8"), .except = {block("10.2.0.0/16"), block("10.1.0.0/16")}}};
  EXPECT_EQ(regions.inside(blocks), (RegionRuns{{1, 2}}));
}

TEST(Regions, GivesBackToABlockWhatAnotherExcepts) {
  const Regions regions = small_regions();
  const std::vector<Block> blocks{{.cidr = block("10.0.0.0/8"), .except = {block("10.1.0.0/16")}},
                                  {.cidr = block("10.1.0.0/16")}};
  EXPECT_EQ(regions.inside(blocks), (RegionRuns{{1, 4}}));
}

TEST(Regions, MakesABlockInsideItsExceptionEmpty) {
  const Regions regions = small_regions();
  const std::vector<Block> blocks{{.cidr = block("10.1.0.0/16"), .except = {block("10.0.0.0/8")}}};
  EXPECT_TRUE(regions.inside(blocks).empty());
}

TEST(Regions, FindsARegionInRuns) {
  const RegionRuns runs{{1, 3}, {5, 6}};
  EXPECT_FALSE(holds(runs, 0));
  EXPECT_TRUE(holds(runs, 1));
  EXPECT_TRUE(holds(runs, 2));
  EXPECT_FALSE(holds(runs, 3));
  EXPECT_TRUE(holds(runs, 5));
  EXPECT_FALSE(holds(runs, 6));
}

}  // namespace
}  // namespace portcullis::classifier
