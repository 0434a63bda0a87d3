// SPDX-License-Identifier: MIT
// Which workers serve which ports, and who of them has what.
#include "dataplane/dpdk/spread/crews.h"

#include <algorithm>
#include <array>
#include <numeric>
#include <vector>

#include <gtest/gtest.h>

namespace portcullis::dataplane {
namespace {

using Crews = std::vector<Crew>;

config::Config three_pairs() {
  config::Config config;
  for (const char* name : {"a", "b", "c", "d", "e", "f"}) {
    config.ports.push_back({.name = name});
  }
  config.mode.pairs = {{"a", "d"}, {"b", "c"}, {"e", "f"}};
  return config;
}

TEST(Crews, GiveBothPortsOfAPairToOneWorker) {
  EXPECT_EQ(crews_of(three_pairs(), 2), (Crews{{0}, {1}, {1}, {0}, {0}, {0}}));
  EXPECT_EQ(crews_of(three_pairs(), 1), Crews(6, Crew{0}));
  EXPECT_EQ(crews_of(three_pairs(), 3), (Crews{{0}, {1}, {1}, {0}, {2}, {2}}));
}

TEST(Crews, ShareOutWorkersThatAreMoreThanPairs) {
  EXPECT_EQ(crews_of(three_pairs(), 5), (Crews{{0, 3}, {1, 4}, {1, 4}, {0, 3}, {2}, {2}}));
}

TEST(Crews, GiveEachPortOfAMirrorToAWorker) {
  config::Config config;
  config.ports.resize(3);
  config.mode.kind = config::Mode::Kind::mirror;
  EXPECT_EQ(crews_of(config, 2), (Crews{{0}, {1}, {0}}));
  EXPECT_EQ(crews_of(config, 4), (Crews{{0, 3}, {1}, {2}}));
}

TEST(Crews, LetAllWorkersServeAllPortsOfANode) {
  config::Config config;
  config.ports.resize(3);
  config.mode.kind = config::Mode::Kind::node;
  EXPECT_EQ(crews_of(config, 1), Crews(3, Crew{0}));
  EXPECT_EQ(crews_of(config, 4), Crews(3, Crew{0, 1, 2, 3}));
}

TEST(Crews, HaveSlotsAlike) {
  const Crew crew{2, 5, 7};
  const SlotOwners owners = owners_of(crew);
  for (const std::uint16_t worker : crew) {
    const auto slots = static_cast<std::size_t>(std::count(owners.begin(), owners.end(), worker));
    EXPECT_GE(slots, kAffinitySlots / 3);
    EXPECT_LE(slots, kAffinitySlots / 3 + 1);
  }
}

TEST(Crews, DivideWhatGoesBetweenTwoNodes) {
  constexpr std::size_t kPods = 64;
  for (std::uint16_t workers = 2; workers <= 8; ++workers) {
    Crew crew(workers);
    std::iota(crew.begin(), crew.end(), std::uint16_t{0});
    const SlotOwners owners = owners_of(crew);
    std::vector<std::size_t> pairs(workers);
    for (std::uint8_t a = 1; a <= kPods; ++a) {
      for (std::uint8_t b = 1; b <= kPods; ++b) {
        const std::array<std::uint8_t, 8> addresses{10, 244, 1, a, 10, 244, 7, b};
        ++pairs.at(
            owners.at(affinity_of_addresses(addresses.data(), addresses.size()) % kAffinitySlots));
      }
    }
    for (const std::size_t count : pairs) {
      EXPECT_GT(count, kPods * kPods / workers / 3) << workers;
      EXPECT_LT(count, kPods * kPods / workers * 2) << workers;
    }
  }
}

}  // namespace
}  // namespace portcullis::dataplane
