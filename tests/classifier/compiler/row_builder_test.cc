// SPDX-License-Identifier: MIT
#include "classifier/compiler/row_builder.h"

#include <gtest/gtest.h>

#include "tests/classifier/cluster.h"

namespace portcullis::classifier {
namespace {

TEST(RowBuilder, ListsOnlyCellsThatDifferFromTheRest) {
  Cluster cluster;
  const auto a = cluster.pod({ip("10.0.0.1")});
  const auto b = cluster.pod({ip("10.0.0.2")});
  const auto peers = cluster.set({b});
  const auto all = cluster.everything();
  cluster.allow_ingress(cluster.set({a}), peers, cluster.every_port());
  cluster.allow_ingress(cluster.set({a}), all, cluster.every_port()).action = Action::deny;
  const Classes classes = find_classes(cluster.rules, alone());
  const Half& half = classes.half(Direction::ingress);
  Outcomes outcomes(cluster.rules);
  RowBuilder builder(cluster.rules, half);
  const std::vector<std::uint32_t> rules{0, 1};
  ASSERT_TRUE(builder.build(rules, outcomes));
  const SparseRow& row = builder.row();
  ASSERT_EQ(row.cells.size(), 1U);
  EXPECT_EQ(row.cells[0].column, half.columns_of_set[peers].at(0));
  ASSERT_EQ(row.outcomes.size(), 2U);
  EXPECT_EQ(row.outcomes[0], Decision::deny(rule_id(std::size_t{1})).bits);
  EXPECT_EQ(row.outcomes[1], Decision::allow(rule_id(std::size_t{0})).bits);
}

TEST(RowBuilder, StartsAfreshForEachRow) {
  Cluster cluster;
  const auto a = cluster.pod({ip("10.0.0.1")});
  cluster.allow_ingress(cluster.set({a}), cluster.set({a}), cluster.every_port());
  const Classes classes = find_classes(cluster.rules, alone());
  Outcomes outcomes(cluster.rules);
  RowBuilder builder(cluster.rules, classes.half(Direction::ingress));
  const std::vector<std::uint32_t> rules{0};
  ASSERT_TRUE(builder.build(rules, outcomes));
  EXPECT_EQ(builder.row().cells.size(), 1U);
  ASSERT_TRUE(builder.build({}, outcomes));
  EXPECT_TRUE(builder.row().cells.empty());
  EXPECT_EQ(builder.row().outcomes.size(), 1U);
}

}  // namespace
}  // namespace portcullis::classifier
