// SPDX-License-Identifier: MIT
// Random worlds: the table says what the linear matcher says, at every boundary.
#include <cstdlib>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "classifier/compile.h"
#include "classifier/compiler/compiled.h"
#include "tests/classifier/compare.h"
#include "tests/classifier/random_world.h"

namespace portcullis::classifier {
namespace {

constexpr unsigned kWorlds = 1000;
/// Every so many worlds have wide permits, too; all of them would take twice as long.
constexpr unsigned kWorldsAWide = 2;

TEST(Oracle, TableEqualsReferenceAtEveryBoundaryOfRandomWorlds) {
  const std::uint64_t seed = seed_of_run(20'260'101);
  const char* wanted = std::getenv("PORTCULLIS_WORLDS");
  const unsigned worlds =
      wanted != nullptr ? static_cast<unsigned>(std::strtoul(wanted, nullptr, 10)) : kWorlds;
  std::size_t flows = 0;
  for (unsigned world = 0; world < worlds && !HasFailure(); ++world) {
    SCOPED_TRACE(fmt::format("world {} of seed {}", world, seed));
    std::mt19937_64 random(seed + world);
    const RuleSet rules = random_rules(random);
    const auto table = compile(rules);
    ASSERT_TRUE(table) << to_string(table.error());
    flows += compare(rules, **table, Family::v4, random);
    flows += compare(rules, **table, Family::v6, random);
    if (world % kWorldsAWide == 0) {
      const auto wide = compile_whole(rules, {}, {.narrowest_permits = PermitForm::wide});
      ASSERT_TRUE(wide) << to_string(wide.error());
      ASSERT_TRUE(wide->table->view().permits_wide);
      flows += compare(rules, *wide->table, Family::v4, random);
      flows += compare(rules, *wide->table, Family::v6, random);
    }
  }
  fmt::print("{} worlds (PORTCULLIS_WORLDS), {} flows under each of {} instruction sets\n",
             worlds,
             flows,
             isa_count());
}

TEST(Oracle, EqualRulesGiveEqualBytes) {
  const std::uint64_t seed = seed_of_run(20'260'102);
  for (unsigned world = 0; world < 50; ++world) {
    std::mt19937_64 random(seed + world);
    const RuleSet rules = random_rules(random);
    const RuleSet copy = rules;
    const auto first = compile(rules);
    const auto second = compile(copy);
    ASSERT_TRUE(first && second);
    EXPECT_EQ((*first)->bytes(), (*second)->bytes());
    EXPECT_EQ((*first)->digest(), (*second)->digest());
  }
}

}  // namespace
}  // namespace portcullis::classifier
