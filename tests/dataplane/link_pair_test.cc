// SPDX-License-Identifier: MIT
#include <random>

#include <gtest/gtest.h>

#include "dataplane/dpdk/link/pair.h"

namespace portcullis::dataplane {
namespace {

using enum LinkPair::Order;
using Orders = LinkPair::Orders;

constexpr std::uint64_t kSecond = 1'000'000'000;

/// Two cables and the devices at them, which do as they are told: a port that is taken down reads
/// down whatever its cable is like, and one that is let up reads up `negotiates_s` later.
class Wire {
 public:
  Orders after(std::uint64_t seconds) {
    now_ns_ += seconds * kSecond;
    return look();
  }
  Orders look() {
    const Orders orders = pair_.check({reads(0), reads(1)}, now_ns_);
    for (std::size_t end = 0; end < 2; ++end) {
      if (orders.at(end) == down) {
        taken_down.at(end) = true;
      } else if (orders.at(end) == up) {
        taken_down.at(end) = false;
        ready_ns_.at(end) = now_ns_ + negotiates_s * kSecond;
      }
    }
    EXPECT_FALSE(pair_.held(0) && pair_.held(1));
    return orders;
  }
  [[nodiscard]] bool reads(std::size_t end) const {
    return cable.at(end) && !taken_down.at(end) && now_ns_ >= ready_ns_.at(end);
  }
  [[nodiscard]] bool held(std::size_t end) const { return pair_.held(end); }

  std::array<bool, 2> cable{true, true};
  std::array<bool, 2> taken_down{};
  std::uint64_t negotiates_s = 3;

 private:
  std::uint64_t now_ns_ = 1000 * kSecond;
  std::array<std::uint64_t, 2> ready_ns_{};
  LinkPair pair_{now_ns_};
};

constexpr Orders kNothing{none, none};

TEST(LinkPair, LeavesTwoGoodLinksAlone) {
  Wire wire;
  for (int i = 0; i < 30; ++i) {
    EXPECT_EQ(wire.after(1), kNothing);
  }
}

TEST(LinkPair, CarriesALossOverAndTheReturn) {
  for (const std::size_t lost : {0U, 1U}) {
    Wire wire;
    EXPECT_EQ(wire.after(1), kNothing);
    wire.cable.at(lost) = false;
    Orders orders = wire.after(1);
    EXPECT_EQ(orders.at(lost), none);
    EXPECT_EQ(orders.at(1 - lost), down);
    EXPECT_TRUE(wire.held(1 - lost));
    for (int i = 0; i < 60; ++i) {
      EXPECT_EQ(wire.after(1), kNothing) << "what we took down is no reason for anything";
    }
    wire.cable.at(lost) = true;
    orders = wire.after(1);
    EXPECT_EQ(orders.at(lost), none);
    EXPECT_EQ(orders.at(1 - lost), up);
    for (int i = 0; i < 60; ++i) {
      EXPECT_EQ(wire.after(1), kNothing) << "a link that comes up takes its time";
    }
    EXPECT_TRUE(wire.reads(0) && wire.reads(1));
  }
}

TEST(LinkPair, WaitsForLinksThatComeUpAfterTheStart) {
  Wire wire;
  wire.cable = {true, false};
  for (int i = 0; i < 9; ++i) {
    EXPECT_EQ(wire.after(1), kNothing);
  }
  EXPECT_EQ(wire.after(1), (Orders{down, none})) << "it never came";
}

TEST(LinkPair, CarriesALossSoonAfterTheStart) {
  Wire wire;
  EXPECT_EQ(wire.after(1), kNothing);
  wire.cable[0] = false;
  EXPECT_EQ(wire.after(1), (Orders{none, down})) << "it had come up, and so has settled";
}

TEST(LinkPair, TurnsAroundWhereTheOtherCableIsLostMeanwhile) {
  Wire wire;
  wire.after(1);
  wire.cable[0] = false;
  EXPECT_EQ(wire.after(1), (Orders{none, down}));
  wire.cable[1] = false;  // Nobody sees that: the port is taken down.
  EXPECT_EQ(wire.after(1), kNothing);
  wire.cable[0] = true;
  EXPECT_EQ(wire.after(1), (Orders{none, up}));
  for (int i = 0; i < 9; ++i) {
    EXPECT_EQ(wire.after(1), kNothing);
  }
  EXPECT_EQ(wire.after(1), (Orders{down, none}));
  wire.cable[1] = true;
  EXPECT_EQ(wire.after(1), (Orders{up, none}));
  EXPECT_EQ(wire.after(10), kNothing);
  EXPECT_TRUE(wire.reads(0) && wire.reads(1));
}

TEST(LinkPair, HoldsTheFirstThatComesBackWhereBothWereLost) {
  Wire wire;
  wire.after(1);
  wire.cable = {false, false};
  EXPECT_EQ(wire.after(1), kNothing);
  EXPECT_EQ(wire.after(60), kNothing);
  wire.cable[1] = true;
  EXPECT_EQ(wire.after(1), (Orders{none, down}));
  wire.cable[0] = true;
  EXPECT_EQ(wire.after(1), (Orders{none, up}));
  EXPECT_EQ(wire.after(10), kNothing);
  EXPECT_TRUE(wire.reads(0) && wire.reads(1));
}

TEST(LinkPair, RepeatsAnOrderThatWasNotFollowed) {
  LinkPair pair(0);
  EXPECT_EQ(pair.check({true, true}, 1), kNothing);
  EXPECT_EQ(pair.check({false, true}, 2), (Orders{none, down}));
  EXPECT_EQ(pair.check({false, true}, 3), (Orders{none, down}));
  EXPECT_EQ(pair.check({false, false}, 4), kNothing);
}

/// Whatever cables do: once they rest, ports show what their wire is like, and rest too.
TEST(LinkPair, ComesToRestHoweverCablesFlap) {
  for (unsigned seed = 1; seed <= 200; ++seed) {
    SCOPED_TRACE(seed);
    std::mt19937 random(seed);
    Wire wire;
    wire.negotiates_s = random() % 9;
    for (int i = 0; i < 200; ++i) {
      if (random() % 4 == 0) {
        wire.cable.at(random() % 2) = random() % 2 == 0;
      }
      wire.after(1);
    }
    for (int i = 0; i < 40; ++i) {
      wire.after(1);
    }
    for (int i = 0; i < 40; ++i) {
      ASSERT_EQ(wire.after(1), kNothing);
    }
    const bool whole = wire.cable[0] && wire.cable[1];
    EXPECT_EQ(wire.reads(0), whole);
    EXPECT_EQ(wire.reads(1), whole);
  }
}

}  // namespace
}  // namespace portcullis::dataplane
