// SPDX-License-Identifier: MIT
// Random walks: after every delta the updated table says what the linear matcher says of the whole
// RuleSet, at every boundary; compacted, its bytes are compile()'s.
#include <array>
#include <cstdlib>
#include <map>
#include <string>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "classifier/compiler/compiled.h"
#include "classifier/updater/start.h"
#include "tests/classifier/compare.h"
#include "tests/classifier/random_world.h"

namespace portcullis::classifier {
namespace {

constexpr unsigned kWalks = 250;
constexpr unsigned kStepsOfAWalk = 40;
constexpr std::size_t kFlowsOfAStep = 600;

/// Walks taken, and how the updates were made.
struct Tally {
  std::size_t flows = 0;
  std::size_t refused = 0;
  std::array<std::size_t, 5> ways{};
  std::map<std::string, std::size_t> why_whole;
};

/// The bytes of compile(), from the same RuleSet.
void expect_compacted(Updater& updater, PermitForm narrowest) {
  ASSERT_TRUE(updater.compact());
  const auto whole = compile_whole(updater.rules(), {}, {.narrowest_permits = narrowest});
  ASSERT_TRUE(whole);
  EXPECT_EQ(updater.table()->bytes(), whole->table->bytes());
  EXPECT_EQ(updater.table()->digest(), whole->table->digest());
}

void walk(std::mt19937_64& random, PermitForm narrowest, Tally& tally) {
  auto updater = start_updater(random_rules(random), {}, narrowest).value();
  for (unsigned step = 0; step < kStepsOfAWalk && !testing::Test::HasFailure(); ++step) {
    SCOPED_TRACE(fmt::format("step {}", step));
    const auto report = updater.update(random_delta(updater.rules(), random));
    if (!report) {
      ++tally.refused;
    } else {
      SCOPED_TRACE(fmt::format("{} {}", to_string(report->way), report->why_whole));
      ++tally.ways[static_cast<std::size_t>(report->way)];
      ++tally.why_whole[report->why_whole];
      const auto table = updater.table();
      for (const Family family : {Family::v4, Family::v6}) {
        tally.flows += compare(updater.rules(), *table, family, random, kFlowsOfAStep);
      }
    }
    if (step % 16 == 15) {
      expect_compacted(updater, narrowest);
    }
  }
}

TEST(UpdateOracle, UpdatedTablesEqualTheReferenceOnRandomWalks) {
  const std::uint64_t seed = seed_of_run(20'260'111);
  const char* wanted = std::getenv("PORTCULLIS_WORLDS");
  const unsigned walks =
      wanted != nullptr ? static_cast<unsigned>(std::strtoul(wanted, nullptr, 10)) : kWalks;
  Tally tally;
  for (unsigned i = 0; i < walks && !HasFailure(); ++i) {
    SCOPED_TRACE(fmt::format("walk {} of seed {}", i, seed));
    std::mt19937_64 random(seed + i);
    walk(random, i % 2 == 0 ? PermitForm::narrow : PermitForm::wide, tally);
  }
  fmt::print(
      "{} walks of {} steps (PORTCULLIS_WORLDS), {} flows under each of {} instruction sets\n",
      walks,
      kStepsOfAWalk,
      tally.flows,
      isa_count());
  fmt::print(
      "{} deltas refused; made: {} of nothing, {} in place, {} addresses, {} rows, {} whole\n",
      tally.refused,
      tally.ways[0],
      tally.ways[1],
      tally.ways[2],
      tally.ways[3],
      tally.ways[4]);
  for (const auto& [why, count] : tally.why_whole) {
    fmt::print("{:>6} {}\n", count, why.empty() ? "less than whole" : why);
  }
}

}  // namespace
}  // namespace portcullis::classifier
