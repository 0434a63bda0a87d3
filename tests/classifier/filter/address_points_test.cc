// SPDX-License-Identifier: MIT
#include "classifier/filter/address_points.h"

#include <random>

#include <gtest/gtest.h>

#include "tests/classifier/cluster.h"
#include "tests/classifier/filter/stretch.h"

namespace portcullis::classifier {
namespace {

TEST(AddressPoints, GivesAPrefixAPointAndARunOfThoseInsideIt) {
  const std::vector<StaticRule> rules{{.src = block("10.0.0.0/8")},
                                      {.src = block("10.1.0.0/16")},
                                      {.src = block("10.1.2.3/32")},
                                      {.src = block("11.0.0.0/8")}};
  const AddressPoints points(rules, &StaticRule::src);
  const PointRun wide = points.run_of(block("10.0.0.0/8"), Family::v4);
  EXPECT_EQ(wide.width(), 5U) << "10.0, 10.1 as far as 10.1.2.3, that, the rest of 10.1, 10.2";
  EXPECT_TRUE(wide.holds(points.run_of(block("10.1.2.3/32"), Family::v4).first));
  EXPECT_FALSE(wide.holds(points.run_of(block("11.0.0.0/8"), Family::v4).first));
  const PointRun v4 = points.run_of(std::nullopt, Family::v4);
  const PointRun v6 = points.run_of(std::nullopt, Family::v6);
  EXPECT_EQ(v4.end, v6.first);
  EXPECT_EQ(v6.end, points.count());
}

TEST(AddressPoints, FindsEveryAddressInTheRunsOfItsPrefixes) {
  std::mt19937 random(20'261'127);
  std::vector<StaticRule> rules;
  for (int i = 0; i < 5'000; ++i) {
    const auto length = static_cast<unsigned>(i % 4 == 0 ? random() % 33 : 24 + random() % 9);
    rules.push_back(
        {.src = prefix_of(IpAddress::from_v4(static_cast<std::uint32_t>(random())), length)});
  }
  rules.push_back({.src = block("255.255.255.255/32")});
  rules.push_back({.src = block("0.0.0.0/32")});
  const AddressPoints points(rules, &StaticRule::src);
  const SearchTree tree = points.search_v4();
  for (const StaticRule& rule : rules) {
    const PointRun run = points.run_of(rule.src, Family::v4);
    const std::uint32_t first = rule.src->address.v4();
    const std::uint32_t last = last_address(*rule.src).v4();
    for (const std::uint32_t address : {first, last}) {
      ASSERT_TRUE(run.holds(stretch_of(tree, address))) << to_string(*rule.src);
    }
    if (first != 0) {
      ASSERT_FALSE(run.holds(stretch_of(tree, first - 1))) << to_string(*rule.src);
    }
    if (last != 0xffff'ffffU) {
      ASSERT_FALSE(run.holds(stretch_of(tree, last + 1))) << to_string(*rule.src);
    }
  }
}

}  // namespace
}  // namespace portcullis::classifier
