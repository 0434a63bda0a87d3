// SPDX-License-Identifier: MIT
#include "dataplane/dpdk/neighbour_table.h"

#include <gtest/gtest.h>

namespace portcullis::dataplane {
namespace {

using Due = NeighbourTable::Due;

constexpr MacAddress kMac{2, 0, 0, 0, 0, 9};
constexpr std::uint64_t kSecond = 1'000'000'000;

IpAddress host(std::uint32_t number) {
  return IpAddress::from_v4(0xc000'0000U + number);
}

Parcel parcel(std::uint16_t mark) {
  return {.l3_offset = mark};
}

TEST(NeighbourTable, AsksForAPermanentNeighbourForEver) {
  NeighbourTable table(1);
  table.add_permanent(host(1), 3);
  const NeighbourIndex index = table.find(host(1));
  ASSERT_NE(index, kNoNeighbour);
  EXPECT_EQ(table.at(index).port, 3);
  std::uint64_t asked = 0;
  for (std::uint64_t now = 0; now < 60 * kSecond; now += kSecond / 100) {
    asked += table.advance(index, now) == Due::solicit ? 1 : 0;
  }
  EXPECT_GE(asked, 55U);
  EXPECT_LE(asked, 65U);
  EXPECT_FALSE(table.at(index).resolved());
}

TEST(NeighbourTable, KeepsAWithdrawnAddressForAWhile) {
  NeighbourTable table(1);
  table.add_permanent(host(1), 3);
  const NeighbourIndex index = table.find(host(1));
  table.withdraw(index, 7, kSecond);
  table.learn(index, kMac, kSecond);
  EXPECT_FALSE(table.at(index).resolved()) << "somebody else is believed to be it";
  EXPECT_EQ(table.at(index).port, 7);
  EXPECT_EQ(table.advance(index, kSecond + kWithdrawnNs - 1), Due::nothing);
  EXPECT_EQ(table.find(host(1)), index);
  EXPECT_EQ(table.advance(index, kSecond + kWithdrawnNs), Due::nothing);
  EXPECT_EQ(table.find(host(1)), kNoNeighbour);
  table.add_permanent(host(1), 4);
  EXPECT_EQ(table.at(table.find(host(1))).port, 4);
}

TEST(NeighbourTable, GivesUpHeldPacketsAfterThreeQuestions) {
  NeighbourTable table(0);
  const NeighbourIndex index = table.add(host(1), 0, 5);
  EXPECT_EQ(table.advance(index, 5), Due::nothing);  // Nobody wants it yet.
  ASSERT_TRUE(table.hold(index, parcel(1), 5));
  std::uint64_t now = 5;
  for (unsigned i = 0; i < kSolicitationsMax; ++i) {
    EXPECT_EQ(table.advance(index, now), Due::solicit);
    EXPECT_EQ(table.advance(index, now), Due::nothing);
    now += kSolicitationIntervalNs;
  }
  EXPECT_EQ(table.advance(index, now), Due::give_up);
  EXPECT_EQ(table.take_held(index)->l3_offset, 1);
  EXPECT_FALSE(table.take_held(index).has_value());
  // The next packet begins a new round.
  ASSERT_TRUE(table.hold(index, parcel(2), now));
  EXPECT_EQ(table.advance(index, now), Due::solicit);
}

TEST(NeighbourTable, ReleasesHeldPacketsInOrderWithinItsBounds) {
  NeighbourTable table(0);
  const NeighbourIndex index = table.add(host(1), 0, 0);
  for (std::uint16_t i = 0; i < limits::kHeldPerNeighbourMax; ++i) {
    EXPECT_TRUE(table.hold(index, parcel(i), 0));
  }
  EXPECT_FALSE(table.hold(index, parcel(99), 0));
  table.learn(index, kMac, 0);
  EXPECT_TRUE(table.at(index).resolved());
  EXPECT_EQ(table.at(index).mac, kMac);
  for (std::uint16_t i = 0; i < limits::kHeldPerNeighbourMax; ++i) {
    EXPECT_EQ(table.take_held(index)->l3_offset, i);
  }
}

TEST(NeighbourTable, HoldsABoundedNumberForAll) {
  NeighbourTable table(0);
  std::size_t held = 0;
  for (std::uint32_t i = 0; i < 2 * limits::kHeldMax; ++i) {
    const NeighbourIndex index = table.add(host(i), 0, i);
    ASSERT_NE(index, kNoNeighbour);
    held += table.hold(index, parcel(0), i) ? 1 : 0;
  }
  EXPECT_EQ(held, limits::kHeldMax);
}

TEST(NeighbourTable, ForgetsTheLeastUsefulWhenFull) {
  NeighbourTable table(1);
  table.add_permanent(host(0), 0);
  for (std::uint32_t i = 1; i <= limits::kNeighboursMax; ++i) {
    ASSERT_NE(table.add(host(i), 1, i), kNoNeighbour);
  }
  table.learn(table.find(host(1)), kMac, 1);
  ASSERT_TRUE(table.hold(table.find(host(2)), parcel(0), 2));
  ASSERT_NE(table.add(host(5000), 1, 5000), kNoNeighbour);
  EXPECT_NE(table.find(host(0)), kNoNeighbour);  // Permanent.
  EXPECT_NE(table.find(host(1)), kNoNeighbour);  // Resolved.
  EXPECT_NE(table.find(host(2)), kNoNeighbour);  // A packet waits for it.
  EXPECT_EQ(table.find(host(3)), kNoNeighbour);
  EXPECT_NE(table.find(host(5000)), kNoNeighbour);
}

TEST(NeighbourTable, ConfirmsWhatIsUsedAndForgetsWhatIsNot) {
  NeighbourTable table(0);
  const NeighbourIndex used = table.add(host(1), 0, 0);
  const NeighbourIndex idle = table.add(host(2), 0, 0);
  table.learn(used, kMac, 0);
  table.learn(idle, kMac, 0);
  table.use(used, 29 * kSecond);
  EXPECT_EQ(table.advance(used, 31 * kSecond), Due::solicit);
  EXPECT_EQ(table.advance(idle, 31 * kSecond), Due::nothing);
  EXPECT_TRUE(table.at(used).resolved());  // In use while it is asked.
  EXPECT_EQ(table.find(host(2)), kNoNeighbour);
  std::uint64_t now = 31 * kSecond;
  for (int i = 0; i < 10; ++i) {
    now += kSolicitationIntervalNs;
    table.advance(used, now);
  }
  EXPECT_FALSE(table.at(used).resolved());
}

}  // namespace
}  // namespace portcullis::dataplane
