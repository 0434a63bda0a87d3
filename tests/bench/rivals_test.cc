// SPDX-License-Identifier: MIT
// Rivals give the right answers, or their rates would mean nothing.
#include <algorithm>

#include <gtest/gtest.h>

#include "bench/agree.h"
#include "bench/baselines/acl.h"
#include "bench/baselines/exact_hash.h"
#include "bench/baselines/expand.h"
#include "bench/baselines/fold.h"
#include "bench/baselines/ours.h"
#include "bench/baselines/tuple_space.h"
#include "bench/corpus.h"
#include "classifier/compile.h"

namespace portcullis::bench {
namespace {

using namespace classifier;

TEST(Rivals, AgreeOnAPolicyWorld) {
  const World world = make_world({.pods = 200, .policies = 30, .seed = 3});
  const auto table = compile(world.rules);
  ASSERT_TRUE(table);
  const RuleLists lists = expand(world);
  EXPECT_EQ(lists.rules.size(), expanded_count(world));
  std::vector<Entry> entries;
  entries.push_back(make_reference(world.rules));
  entries.push_back(make_permit(**table, Isa::scalar));
  entries.push_back(make_lookup(**table, Isa::scalar));
  entries.push_back(make_linear(lists));
  entries.push_back(make_exact_hash(world).value());
  entries.push_back(make_tuple_space(lists));
  auto acl = make_acl(lists);
  ASSERT_TRUE(acl) << to_string(acl.error());
  entries.push_back(*std::move(acl));
  const RuleLists folded = fold(world);
  EXPECT_LT(folded.rules.size(), lists.rules.size());
  entries.push_back(make_tuple_space(folded));
  for (const TraceKind kind : {TraceKind::mixed, TraceKind::denied}) {
    const auto agreed = agree(
        "a small world", entries, {make_trace(world, **table, kind), 500, 262'144, kAnswerAllow});
    EXPECT_TRUE(agreed) << to_string(agreed.error());
  }
}

TEST(Rivals, JudgeOnlyTheEndsOnTheNodeGivenItsRulesOnly) {
  const World world = make_world({.pods = 300, .policies = 40, .seed = 4});
  const auto table = compile(world.rules);
  ASSERT_TRUE(table);
  const EndpointIndex node = 301;
  const RuleLists lists = expand(world, {.node = node});
  EXPECT_LT(lists.rules.size(), expanded_count(world) / 2);
  std::vector<Entry> entries;
  entries.push_back(make_reference(world.rules, node));
  entries.push_back(make_tuple_space(lists));
  const auto keys = make_node_trace(world, **table, node, 4096);
  const auto agreed = agree("one node", entries, {keys, 4096, 4096, kAnswerAllow});
  EXPECT_TRUE(agreed) << to_string(agreed.error());
}

TEST(Rivals, AgreeOnTheFirstRuleOfAFilterSet) {
  for (const FilterKind kind : kFilterKinds) {
    const FilterSet filters = make_filters({.kind = kind, .rules = 500, .seed = 5});
    RuleLists lists;
    for (std::uint32_t i = 0; i < filters.size(); ++i) {
      lists.rules.push_back({.rule = filters[i], .priority = 500 - i, .answer = i + 1});
    }
    std::vector<Entry> entries;
    entries.push_back(make_linear(lists));
    entries.push_back(make_tuple_space(lists));
    auto acl = make_acl(lists);
    ASSERT_TRUE(acl) << to_string(acl.error());
    entries.push_back(*std::move(acl));
    const auto agreed =
        agree(to_string(kind), entries, {make_filter_trace(filters, 6), 5000, 262'144});
    EXPECT_TRUE(agreed) << to_string(agreed.error());
  }
}

TEST(Agree, NamesTheKeyOnWhichTwoDiffer) {
  const RuleLists all{.rules = {{.priority = 1, .answer = 1}}};
  const RuleLists none;
  std::vector<Entry> entries;
  entries.push_back(make_tuple_space(all));
  entries.push_back(make_linear(none));
  const std::vector<Key4> keys{{.src = 0x0a00'0001, .dst = 0x0a00'0002, .protocol = 6}};
  const auto agreed = agree("two", entries, {keys, 1});
  ASSERT_FALSE(agreed);
  EXPECT_NE(agreed.error().message.find("10.0.0.1 -> 10.0.0.2"), std::string::npos);
}

}  // namespace
}  // namespace portcullis::bench
