// SPDX-License-Identifier: MIT
#include "classifier/compiler/check_rules.h"

#include <gtest/gtest.h>

#include "tests/classifier/cluster.h"

namespace portcullis::classifier {
namespace {

/// What is wrong, or "".
std::string complaint(const RuleSet& rules) {
  const auto checked = check_rules(rules, alone());
  return checked ? "" : checked.error().message;
}

TEST(CheckRules, AcceptsAnAddressListedTwiceByItsOwner) {
  Cluster cluster;
  cluster.pod({ip("10.0.0.1"), ip("10.0.0.1")});
  EXPECT_EQ(complaint(cluster.rules), "");
}

TEST(CheckRules, NamesBothOwnersOfAnAddress) {
  Cluster cluster;
  cluster.pod({ip("10.0.0.1")});
  cluster.pod({ip("10.0.0.2"), ip("10.0.0.1")});
  EXPECT_EQ(complaint(cluster.rules),
            "address 10.0.0.1 belongs to endpoints 0 and 1; it can have one owner");
}

TEST(CheckRules, RefusesIndicesOutOfRange) {
  Cluster cluster;
  cluster.allow_ingress(cluster.set({}), 7, cluster.every_port());
  EXPECT_EQ(complaint(cluster.rules), "rule 0 names peer set 7 of 1");
  cluster.rules.rules.clear();
  cluster.set({4});
  EXPECT_EQ(complaint(cluster.rules), "set 1 names endpoint 4 of 0");
  cluster.rules.sets.clear();
  cluster.pod({}, 9);
  EXPECT_EQ(complaint(cluster.rules), "endpoint 0 runs on endpoint 9 of 1");
}

TEST(CheckRules, RefusesSetsThatAreNotSortedAndUnique) {
  Cluster cluster;
  cluster.pod({});
  cluster.pod({});
  cluster.set({1, 0});
  EXPECT_EQ(complaint(cluster.rules), "the endpoints of set 0 are not sorted and unique");
  cluster.rules.sets[0].endpoints = {1, 1};
  EXPECT_EQ(complaint(cluster.rules), "the endpoints of set 0 are not sorted and unique");
}

TEST(CheckRules, RefusesBlocksWithHostBits) {
  Cluster cluster;
  cluster.set({}, {{.cidr = {.address = ip("10.0.0.1"), .length = 8}}});
  EXPECT_EQ(complaint(cluster.rules), "block 10.0.0.1/8 has host bits; clear them");
}

}  // namespace
}  // namespace portcullis::classifier
