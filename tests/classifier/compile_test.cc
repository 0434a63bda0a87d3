// SPDX-License-Identifier: MIT
#include "classifier/compile.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "classifier/lookup.h"
#include "classifier/reference.h"
#include "tests/classifier/cluster.h"

namespace portcullis::classifier {
namespace {

TEST(Compile, TakesAnEmptyRuleSet) {
  const RuleSet rules;
  const auto table = compile(rules);
  ASSERT_TRUE(table);
  EXPECT_EQ(lookup(**table, tcp("10.0.0.1", "10.0.0.2", 80)).egress,
            Decision::deny(rule_id(Builtin::transit)));
}

TEST(Compile, PassesOnWhatTheCheckRefuses) {
  Cluster cluster;
  cluster.pod({ip("10.0.0.1")});
  cluster.pod({ip("10.0.0.1")});
  const auto table = compile(cluster.rules);
  ASSERT_FALSE(table);
  EXPECT_NE(table.error().message.find("10.0.0.1"), std::string::npos);
}

TEST(Compile, RefusesATableOverItsLimit) {
  const std::size_t bytes = compile(RuleSet{}).value()->sizes().total;
  EXPECT_TRUE(compile(RuleSet{}, {.table_bytes_max = bytes}));
  const auto table = compile(RuleSet{}, {.table_bytes_max = bytes - 1});
  ASSERT_FALSE(table);
  EXPECT_NE(table.error().message.find(fmt::format("more than its limit of {}", bytes - 1)),
            std::string::npos)
      << table.error().message;
  EXPECT_FALSE(compile(RuleSet{}, {.table_bytes_max = 0}));
}

TEST(Compile, KeepsTablesOfSmallClustersSmall) {
  Cluster cluster;
  for (unsigned i = 0; i < 200; ++i) {
    cluster.pod({IpAddress::from_v4(0x0a00'0000U + i)});
  }
  const auto table = compile(cluster.rules);
  ASSERT_TRUE(table);
  EXPECT_EQ((*table)->sizes().classes, 2U) << "pods, and the rest";
  EXPECT_LT((*table)->sizes().total, 300'000U);
}

/// One subject whose rules tell more than 256 peers apart needs cells of 16 bits.
TEST(Compile, WidensCellsForRowsOfManyOutcomes) {
  Cluster cluster;
  const auto subject = cluster.pod({ip("10.1.0.0")});
  const auto subjects = cluster.set({subject});
  constexpr unsigned kPeers = 1500;  // More than one span of columns.
  for (unsigned i = 0; i < kPeers; ++i) {
    const auto peer = cluster.pod({IpAddress::from_v4(0x0a00'0000U + i)});
    cluster.allow_ingress(
        subjects, cluster.set({peer}), cluster.ports({tcp_port(static_cast<std::uint16_t>(i))}));
  }
  const auto table = compile(cluster.rules);
  ASSERT_TRUE(table);
  EXPECT_EQ((*table)->view().cell_shift, 1U);
  const Reference reference(cluster.rules);
  for (unsigned i = 0; i < kPeers; ++i) {
    for (const unsigned port : {i, i + 1}) {
      const Flow flow{.src = IpAddress::from_v4(0x0a00'0000U + i),
                      .dst = ip("10.1.0.0"),
                      .protocol = kProtocolTcp,
                      .dst_port = static_cast<std::uint16_t>(port)};
      ASSERT_EQ(lookup(**table, flow), reference.lookup(flow)) << i;
    }
  }
}

/// 70,000 kinds of peers are more than a cell of 16 bits can number.
TEST(Compile, RefusesMoreOutcomesInARowThanACellCanNumber) {
  Cluster cluster;
  const auto subjects = cluster.set({cluster.pod({ip("10.128.0.0")})});
  const auto every_port = cluster.every_port();
  for (unsigned i = 0; i < 70'000; ++i) {
    const auto peer = cluster.pod({IpAddress::from_v4(0x0a00'0000U + i)});
    cluster.allow_ingress(subjects, cluster.set({peer}), every_port);
  }
  const auto table = compile(cluster.rules);
  ASSERT_FALSE(table);
  EXPECT_NE(table.error().message.find("65,536"), std::string::npos) << table.error().message;
}

}  // namespace
}  // namespace portcullis::classifier
