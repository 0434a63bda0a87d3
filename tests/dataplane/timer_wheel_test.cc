// SPDX-License-Identifier: MIT
#include "dataplane/flows/timer_wheel.h"

#include <cstdio>
#include <map>
#include <random>
#include <vector>

#include <gtest/gtest.h>

namespace portcullis::dataplane {
namespace {

constexpr std::uint64_t kTick = std::uint64_t{1} << TimerWheel::kTickBits;
constexpr std::uint64_t kTurn = 256 * kTick;
constexpr std::uint64_t kStart = 1'000'000 * kTick;

std::vector<std::uint32_t> all_due(TimerWheel& wheel, std::uint64_t now_ns) {
  std::vector<std::uint32_t> groups;
  for (std::uint32_t group; (group = wheel.take_due(now_ns)) != TimerWheel::kNone;) {
    groups.push_back(group);
  }
  return groups;
}

/// Whose clock has begun.
TimerWheel started(std::size_t groups) {
  TimerWheel wheel(groups);
  EXPECT_TRUE(all_due(wheel, kStart).empty());
  return wheel;
}

TEST(TimerWheel, TellsOfAGroupOnceWhenItsTickHasCome) {
  TimerWheel wheel = started(4);
  wheel.set(2, kStart + 3 * kTick - 1);
  EXPECT_TRUE(all_due(wheel, kStart + 3 * kTick - 1).empty());
  EXPECT_EQ(all_due(wheel, kStart + 3 * kTick), std::vector<std::uint32_t>{2});
  EXPECT_TRUE(all_due(wheel, kStart + 2 * kTurn).empty());
}

TEST(TimerWheel, KeepsTheEarlierOfTwoTimes) {
  TimerWheel wheel = started(1);
  wheel.set(0, kStart + 9 * kTick);
  wheel.set(0, kStart + 4 * kTick);
  wheel.set(0, kStart + 20 * kTick);
  EXPECT_TRUE(all_due(wheel, kStart + 3 * kTick).empty());
  EXPECT_EQ(all_due(wheel, kStart + 4 * kTick).size(), 1U);
  EXPECT_TRUE(all_due(wheel, kStart + 30 * kTick).empty());
}

TEST(TimerWheel, TellsEarlyOfWhatIsDueBeyondATurn) {
  TimerWheel wheel = started(1);
  wheel.set(0, kStart + 10 * kTurn);
  EXPECT_TRUE(all_due(wheel, kStart + kTurn - 2 * kTick).empty());
  EXPECT_EQ(all_due(wheel, kStart + kTurn - kTick).size(), 1U);
}

TEST(TimerWheel, TellsOfAllAfterALongSilence) {
  TimerWheel wheel = started(1000);
  for (std::uint32_t group = 0; group < 1000; ++group) {
    wheel.set(group, kStart + group % 256 * kTick);
  }
  EXPECT_EQ(all_due(wheel, kStart + 1'000'000 * kTick).size(), 1000U);
}

TEST(TimerWheel, TakesTimersBeforeItsClockHasBegun) {
  TimerWheel wheel(2);
  wheel.set(0, kStart);
  wheel.set(1, kStart + 5 * kTick);
  EXPECT_EQ(all_due(wheel, kStart).size(), 2U) << "whoever asks sets the second anew";
}

/// What is late or lost is seen by a model; so is what comes more often than it was set.
TEST(TimerWheel, EqualsAMapOnRandomTimes) {
  const std::uint64_t seed = std::random_device{}();
  std::printf("seed %lu\n", seed);
  std::mt19937_64 random(seed);
  TimerWheel wheel = started(500);
  std::map<std::uint32_t, std::uint64_t> deadlines;
  std::uint64_t now = kStart;
  for (int i = 0; i < 20'000; ++i) {
    now += random() % 64 == 0 ? random() % (2 * kTurn) : random() % (2 * kTick);
    for (const std::uint32_t group : all_due(wheel, now)) {
      ASSERT_EQ(deadlines.count(group), 1U);
      if (deadlines[group] > now) {
        wheel.set(group, deadlines[group]);
      } else {
        deadlines.erase(group);
      }
    }
    for (const auto& [group, deadline] : deadlines) {
      ASSERT_GT(deadline + kTick, now) << "group " << group << " is late";
    }
    const auto group = static_cast<std::uint32_t>(random() % 500);
    const std::uint64_t deadline = now + random() % (i % 2 == 0 ? 8 * kTick : 2 * kTurn);
    wheel.set(group, deadline);
    const auto [known, is_new] = deadlines.try_emplace(group, deadline);
    known->second = std::min(known->second, deadline);
  }
}

}  // namespace
}  // namespace portcullis::dataplane
