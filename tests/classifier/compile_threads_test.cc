// SPDX-License-Identifier: MIT
// A compile by several threads: the same bytes, an end when it is told to, and word of how far it
// is. Under TSan, also: nothing is a race.
#include <chrono>
#include <cstdint>
#include <functional>
#include <random>
#include <set>
#include <stop_token>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "bench/corpus.h"
#include "classifier/compile.h"
#include "classifier/key.h"
#include "classifier/update.h"
#include "tests/classifier/random_world.h"

namespace portcullis::classifier {
namespace {

#if defined(__SANITIZE_THREAD__)
constexpr unsigned kWorlds = 15;
constexpr bench::Shape kLarge{.pods = 3'000, .policies = 300};
#else
constexpr unsigned kWorlds = 150;
constexpr bench::Shape kLarge{.pods = 20'000, .policies = 2'000};
#endif

const RuleSet& large_world() {
  static const RuleSet rules = bench::make_world(kLarge).rules;
  return rules;
}

void expect_same_bytes(const RuleSet& rules) {
  const auto alone = compile(rules, {.threads = 1});
  ASSERT_TRUE(alone) << to_string(alone.error());
  for (const unsigned threads : {2U, 5U}) {
    const auto together = compile(rules, {.threads = threads});
    ASSERT_TRUE(together) << to_string(together.error());
    ASSERT_EQ((*alone)->digest(), (*together)->digest()) << threads << " threads";
  }
}

TEST(CompileThreads, GiveTheSameBytesForRandomWorlds) {
  const std::uint64_t seed = seed_of_run(20'261'125);
  for (unsigned world = 0; world < kWorlds && !HasFailure(); ++world) {
    SCOPED_TRACE(fmt::format("world {} of seed {}", world, seed));
    std::mt19937_64 random(seed + world);
    expect_same_bytes(random_rules(random));
  }
}

/// Of random blocks and ports.
std::vector<StaticRule> static_rules(unsigned count) {
  std::mt19937_64 random(1);
  const auto block = [&]() {
    const auto length = static_cast<unsigned>(8 + random() % 25);
    return prefix_of(IpAddress::from_v4(static_cast<std::uint32_t>(random())), length);
  };
  std::vector<StaticRule> rules;
  for (unsigned i = 0; i < count; ++i) {
    const auto port = static_cast<std::uint16_t>(random() % 1000);
    rules.push_back({.src = block(),
                     .dst = block(),
                     .protocol = kProtocolTcp,
                     .dst_ports = {.first = port, .last = port},
                     .action = i % 2 == 0 ? Action::allow : Action::deny});
  }
  return rules;
}

TEST(CompileThreads, GiveTheSameBytesForALargeWorldWithStaticRules) {
  RuleSet rules = large_world();
  expect_same_bytes(rules);
  rules.static_rules = static_rules(300);
  expect_same_bytes(rules);
}

TEST(CompileThreads, GiveTheSameErrors) {
  RuleSet rules = large_world();
  const std::size_t bytes = compile(rules).value()->sizes().total;
  for (const std::size_t bytes_max : {bytes - 1, bytes / 2, bytes / 8, std::size_t{100'000}}) {
    const auto alone = compile(rules, {.table_bytes_max = bytes_max, .threads = 1});
    const auto together = compile(rules, {.table_bytes_max = bytes_max, .threads = 5});
    ASSERT_FALSE(alone);
    ASSERT_FALSE(together);
    EXPECT_EQ(alone.error().message, together.error().message);
  }
  rules.sets[7].endpoints = {2, 1};
  rules.sets[rules.sets.size() - 1].endpoints = {2, 1};
  for (const unsigned threads : {1U, 5U}) {
    const auto refused = compile(rules, {.threads = threads});
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().message, "the endpoints of set 7 are not sorted and unique");
  }
}

TEST(CompileThreads, EndsWhenItIsToldToInEveryPhase) {
  std::set<std::string, std::less<>> phases;
  const auto hear = [&](const CompileProgress& progress) { phases.emplace(progress.phase); };
  ASSERT_TRUE(compile(large_world(), {.threads = 2, .progress = hear}));
  EXPECT_TRUE(phases.contains("classes"));
  EXPECT_TRUE(phases.contains("ingress rows"));
  EXPECT_TRUE(phases.contains("permits"));
  for (const std::string& phase : phases) {
    for (const unsigned threads : {1U, 2U, 5U}) {
      std::stop_source source;
      const auto stop_there = [&](const CompileProgress& progress) {
        if (progress.phase == phase) {
          source.request_stop();
        }
      };
      const auto stopped = compile(
          large_world(), {.threads = threads, .stop = source.get_token(), .progress = stop_there});
      ASSERT_FALSE(stopped) << phase;
      EXPECT_EQ(stopped.error().message, "the compile was stopped; nothing has changed");
    }
  }
}

TEST(CompileThreads, EndsWhenItIsToldToAtAnyMoment) {
  const auto begin = std::chrono::steady_clock::now();
  ASSERT_TRUE(compile(large_world(), {.threads = 3}));
  const auto whole = std::chrono::steady_clock::now() - begin;
  constexpr int kMoments = 20;
  for (int i = 0; i < kMoments; ++i) {
    std::stop_source source;
    std::jthread asker([&] {
      std::this_thread::sleep_for(whole * i / kMoments);
      source.request_stop();
    });
    const auto table = compile(large_world(), {.threads = 3, .stop = source.get_token()});
    EXPECT_TRUE(table || table.error().message.starts_with("the compile was stopped"));
  }
}

TEST(CompileThreads, LetsAnUpdaterGoOnAfterAStop) {
  std::stop_source source;
  auto updater = Updater::start(large_world(), {.stop = source.get_token()}).value();
  const std::string digest = updater.table()->digest();
  source.request_stop();
  EXPECT_FALSE(updater.compact());
  EXPECT_EQ(updater.table()->digest(), digest);
}

}  // namespace
}  // namespace portcullis::classifier
