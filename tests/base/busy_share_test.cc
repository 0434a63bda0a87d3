// SPDX-License-Identifier: MIT
#include "base/busy_share.h"

#include <gtest/gtest.h>

namespace portcullis {
namespace {

constexpr std::uint64_t kSecond = 1'000'000'000;

/// A second and one turn of `work_ns`, then `rest_ns`, again and again.
void pass_a_second(BusyShare& busy,
                   std::uint64_t& now,
                   std::uint64_t work_ns,
                   std::uint64_t rest_ns) {
  for (const std::uint64_t end = now + kSecond + work_ns + rest_ns; now < end;) {
    busy.turn(now, false);
    busy.turn(now += work_ns, true);
    now += rest_ns;
  }
}

TEST(BusyShare, IsOfTimeAndNotOfTurns) {
  BusyShare busy;
  std::uint64_t now = 0;
  pass_a_second(busy, now, 750, 250);
  EXPECT_NEAR(busy.get(), 0.75, 0.001);
}

TEST(BusyShare, IsOfTheLastWholeSecond) {
  BusyShare busy;
  std::uint64_t now = 0;
  EXPECT_EQ(busy.get(), 0);
  pass_a_second(busy, now, 1000, 0);
  EXPECT_NEAR(busy.get(), 1, 0.001);
  pass_a_second(busy, now, 0, 1000);
  pass_a_second(busy, now, 0, 1000);
  EXPECT_EQ(busy.get(), 0);
}

TEST(BusyShare, CountsASleepLongerThanASecond) {
  BusyShare busy;
  busy.turn(kSecond / 2, true);
  busy.turn(5 * kSecond, false);
  EXPECT_NEAR(busy.get(), 0.1, 0.001);
}

}  // namespace
}  // namespace portcullis
