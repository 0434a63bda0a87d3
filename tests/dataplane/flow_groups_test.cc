// SPDX-License-Identifier: MIT
#include <map>
#include <random>

#include <gtest/gtest.h>

#include "dataplane/flows/groups.h"
#include "tests/support/tuple.h"

namespace portcullis::dataplane {
namespace {

using test::tuple;

std::uint64_t flows_of(const std::vector<FlowGroup>& groups, const FlowTuple& key) {
  for (const FlowGroup& group : groups) {
    if (group.key == key) {
      return group.flows;
    }
  }
  return 0;
}

FlowTuple from(std::uint32_t source) {
  FlowTuple flow = tuple("0.0.0.0", 1000, "10.0.0.2", 80);
  for (std::size_t i = 0; i < 4; ++i) {
    flow.src.at(i) = static_cast<std::uint8_t>(source >> (24U - 8U * i));
  }
  return flow;
}

FlowTuple source_key(std::uint32_t source) {
  FlowTuple key;
  key.src = from(source).src;
  return key;
}

TEST(FlowGroups, CountByWhatTheyAreAskedFor) {
  const std::vector<FlowTuple> flows{
      tuple("10.0.0.1", 1, "10.0.0.2", 80),
      tuple("10.0.0.1", 2, "10.0.0.2", 80),
      tuple("10.0.0.1", 3, "10.0.0.2", 81),
      tuple("10.0.0.1", 4, "10.0.0.3", 80),
      tuple("10.0.0.1", 4, "10.0.0.3", 80, classifier::kProtocolUdp),
      tuple("10.0.0.9", 5, "10.0.0.2", 80),
      tuple("fd00::1", 5, "fd00::2", 80),
  };
  const std::vector<std::pair<GroupedBy, std::vector<std::uint64_t>>> expected{
      {GroupedBy::source, {5, 1, 1}},
      {GroupedBy::destination, {4, 2, 1}},
      {GroupedBy::pair, {3, 2, 1, 1}},
      {GroupedBy::port, {3, 1, 1, 1, 1}},
  };
  for (const auto& [by, counts] : expected) {
    FlowGroups groups(by, 100, 7);
    for (const FlowTuple& flow : flows) {
      groups.count(flow);
    }
    std::vector<std::uint64_t> found;
    for (const FlowGroup& group : merge({groups.groups()})) {
      found.push_back(group.flows);
      EXPECT_EQ(group.error, 0U);
    }
    EXPECT_EQ(found, counts) << static_cast<int>(by);
    EXPECT_EQ(groups.missed_max(), 0U);
  }
}

TEST(FlowGroups, TakesATypeOfIcmpForNoPort) {
  FlowGroups groups(GroupedBy::port, 100, 7);
  groups.count(tuple("10.0.0.1", 7, "10.0.0.2", 8 << 8, classifier::kProtocolIcmp));
  groups.count(tuple("10.0.0.1", 7, "10.0.0.2", 13 << 8, classifier::kProtocolIcmp));
  ASSERT_EQ(groups.groups().size(), 1U);
  EXPECT_EQ(groups.groups()[0].key.dst_port, 0);
}

TEST(FlowGroups, KeepsAddressesOfTheTwoFamiliesApart) {
  FlowGroups groups(GroupedBy::source, 100, 7);
  groups.count(tuple("10.0.0.1", 1, "10.0.0.2", 80));
  groups.count(tuple("a00:1::", 1, "fd00::2", 80));  // The same bytes.
  EXPECT_EQ(groups.groups().size(), 2U);
}

TEST(FlowGroups, BoundsItsErrorsWhereThereAreMoreGroupsThanRoom) {
  for (unsigned seed = 1; seed <= 20; ++seed) {
    SCOPED_TRACE(seed);
    std::mt19937 random(seed);
    FlowGroups groups(GroupedBy::source, 256, seed);
    std::map<std::uint32_t, std::uint64_t> truth;
    for (int i = 0; i < 50'000; ++i) {
      // Ten heavy ones among thousands of light ones.
      const bool heavy = random() % 2 == 0;
      const auto source =
          static_cast<std::uint32_t>(heavy ? random() % 10 : 1000 + random() % 5000);
      ++truth[source];
      groups.count(from(source));
    }
    const std::vector<FlowGroup> found = merge({groups.groups()});
    EXPECT_LE(found.size(), 256U);
    EXPECT_GT(groups.missed_max(), 0U);
    for (const auto& [source, flows] : truth) {
      const std::uint64_t counted = flows_of(found, source_key(source));
      if (counted == 0) {
        EXPECT_LE(flows, groups.missed_max());
      } else {
        EXPECT_GE(counted, flows);
      }
    }
    std::uint64_t total = 0;
    for (const FlowGroup& group : found) {
      total += group.flows;
      EXPECT_LT(group.error, group.flows);
    }
    EXPECT_EQ(total, 50'000U) << "what made room has left its count";
    for (std::uint32_t heavy = 0; heavy < 10; ++heavy) {
      EXPECT_GE(flows_of(found, source_key(heavy)), truth[heavy]);
    }
  }
}

TEST(FlowGroups, AddUpWhatSeveralHaveCounted) {
  FlowGroups one(GroupedBy::source, 100, 1);
  FlowGroups other(GroupedBy::source, 100, 2);
  for (int i = 0; i < 3; ++i) {
    one.count(from(1));
    other.count(from(2));
  }
  other.count(from(1));
  const std::vector<FlowGroup> merged = merge({one.groups(), other.groups(), {}});
  ASSERT_EQ(merged.size(), 2U);
  EXPECT_EQ(merged[0].key, source_key(1));
  EXPECT_EQ(merged[0].flows, 4U);
  EXPECT_EQ(merged[1].flows, 3U);
  EXPECT_TRUE(merge({}).empty());
}

}  // namespace
}  // namespace portcullis::dataplane
