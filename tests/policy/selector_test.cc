// SPDX-License-Identifier: MIT
// Label selectors: the semantics of apimachinery, also where well-known tools differ from it.
#include "policy/selector.h"

#include <gtest/gtest.h>

namespace portcullis::policy {
namespace {

using Operator = Requirement::Operator;

const Labels kLabels{{"a.b/app", "web"}, {"app", "db"}, {"empty", ""}};

bool holds(const std::string& key, Operator op, std::vector<std::string> values = {}) {
  return matches(Requirement{key, op, std::move(values)}, kLabels);
}

TEST(Selector, EmptySelectorMatchesEverything) {
  EXPECT_TRUE(matches(Selector{}, kLabels));
  EXPECT_TRUE(matches(Selector{}, Labels{}));
}

TEST(Selector, InNeedsThePresentKeyWithAListedValue) {
  EXPECT_TRUE(holds("app", Operator::in, {"x", "db"}));
  EXPECT_FALSE(holds("app", Operator::in, {"x"}));
  EXPECT_FALSE(holds("missing", Operator::in, {"x"}));
}

TEST(Selector, MissingKeyIsNotTheEmptyString) {
  EXPECT_FALSE(holds("missing", Operator::in, {""}));
  EXPECT_TRUE(holds("empty", Operator::in, {""}));
}

TEST(Selector, NotInHoldsForAMissingKey) {
  EXPECT_TRUE(holds("missing", Operator::not_in, {"x"}));
  EXPECT_TRUE(holds("app", Operator::not_in, {"x"}));
  EXPECT_FALSE(holds("app", Operator::not_in, {"x", "db"}));
  EXPECT_FALSE(holds("empty", Operator::not_in, {""}));
}

TEST(Selector, ExistsAndDoesNotExistLookAtPresenceOnly) {
  EXPECT_TRUE(holds("empty", Operator::exists));
  EXPECT_TRUE(holds("app", Operator::exists, {}));
  EXPECT_FALSE(holds("missing", Operator::exists));
  EXPECT_TRUE(holds("missing", Operator::does_not_exist));
  EXPECT_FALSE(holds("empty", Operator::does_not_exist));
}

TEST(Selector, KeysAndValuesAreCaseSensitiveAndPrefixesCount) {
  EXPECT_FALSE(holds("App", Operator::exists));
  EXPECT_FALSE(holds("app", Operator::in, {"DB"}));
  EXPECT_TRUE(holds("a.b/app", Operator::in, {"web"}));
  EXPECT_FALSE(holds("app", Operator::in, {"web"}));
  EXPECT_FALSE(holds("b/app", Operator::exists));
}

TEST(Selector, RequirementsAreAnded) {
  const Requirement app{"app", Operator::in, {"db"}};
  const Requirement absent{"missing", Operator::does_not_exist, {}};
  const Requirement wrong{"app", Operator::not_in, {"db"}};
  EXPECT_TRUE(matches(Selector{{app, absent}}, kLabels));
  EXPECT_FALSE(matches(Selector{{app, wrong}}, kLabels));
}

TEST(Selector, FindsEveryLabelByBinarySearch) {
  for (const auto& [key, value] : kLabels) {
    ASSERT_NE(find_label(kLabels, key), nullptr) << key;
    EXPECT_EQ(*find_label(kLabels, key), value);
  }
  EXPECT_EQ(find_label(kLabels, ""), nullptr);
  EXPECT_EQ(find_label(kLabels, "zzz"), nullptr);
  EXPECT_EQ(find_label({}, "app"), nullptr);
}

}  // namespace
}  // namespace portcullis::policy
