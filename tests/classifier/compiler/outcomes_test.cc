// SPDX-License-Identifier: MIT
#include "classifier/compiler/outcomes.h"

#include <algorithm>
#include <array>
#include <bit>

#include <gtest/gtest.h>

#include "tests/classifier/cluster.h"

namespace portcullis::classifier {
namespace {

constexpr std::uint32_t tcp_key(std::uint32_t port) {
  return (std::uint32_t{kProtocolTcp} << 16U) | port;
}

/// The record of a kind at this index of words.
template <typename Record>
Record record_at(const Intern& words, std::size_t index) {
  std::array<std::uint32_t, sizeof(Record) / 4> copy;
  std::copy_n(words.words().begin() + static_cast<std::ptrdiff_t>(index * copy.size()),
              copy.size(),
              copy.begin());
  return std::bit_cast<Record>(copy);
}

/// Follows an outcome's lines as a kernel does.
Decision decide(const Outcomes& outcomes, std::uint32_t outcome, std::uint32_t key) {
  while ((outcome & kReference) != 0) {
    const auto line = record_at<PortLine>(outcomes.lines(), outcome & kReferenceIndex);
    std::size_t reached = 0;
    while (line.limits[reached] <= key) {
      ++reached;
    }
    outcome = line.outcomes[reached];
  }
  return {outcome};
}

Decision by(std::size_t rule, bool allowed) {
  return allowed ? Decision::allow(rule_id(rule)) : Decision::deny(rule_id(rule));
}

TEST(Outcomes, NeedsNoLineForADecisionOnEveryPort) {
  Cluster cluster;
  const auto all = cluster.everything();
  cluster.allow_ingress(all, all, cluster.every_port());
  Outcomes outcomes(cluster.rules);
  const std::vector<std::uint32_t> rules{0};
  EXPECT_EQ(outcomes.of(rules, false), by(0, true).bits);
  EXPECT_EQ(outcomes.of({}, false), Decision::deny(rule_id(Builtin::default_deny)).bits);
  EXPECT_TRUE(outcomes.lines().words().empty());
}

TEST(Outcomes, DecidesAtTheEdgesOfARange) {
  Cluster cluster;
  const auto all = cluster.everything();
  cluster.allow_ingress(
      all, all, cluster.ports({{.protocol = kProtocolTcp, .first = 1000, .last = 65535}}));
  Outcomes outcomes(cluster.rules);
  const std::vector<std::uint32_t> rules{0};
  const std::uint32_t outcome = outcomes.of(rules, false);
  EXPECT_FALSE(decide(outcomes, outcome, tcp_key(999)).allowed());
  EXPECT_EQ(decide(outcomes, outcome, tcp_key(1000)), by(0, true));
  EXPECT_EQ(decide(outcomes, outcome, tcp_key(65535)), by(0, true));
  EXPECT_FALSE(decide(outcomes, outcome, tcp_key(65535) + 1).allowed());
}

TEST(Outcomes, BuildsATreeForManyPorts) {
  Cluster cluster;
  const auto all = cluster.everything();
  std::vector<std::uint32_t> rules;
  for (std::uint16_t port = 0; port < 1000; port = static_cast<std::uint16_t>(port + 2)) {
    rules.push_back(static_cast<std::uint32_t>(rules.size()));
    cluster.allow_ingress(all, all, cluster.ports({tcp_port(port)}));
  }
  Outcomes outcomes(cluster.rules);
  const std::uint32_t outcome = outcomes.of(rules, false);
  for (std::uint32_t port = 0; port < 1010; ++port) {
    const bool allowed = port % 2 == 0 && port < 1000;
    ASSERT_EQ(decide(outcomes, outcome, tcp_key(port)).allowed(), allowed) << port;
    if (allowed) {
      ASSERT_EQ(decide(outcomes, outcome, tcp_key(port)), by(port / 2, true));
    }
  }
}

TEST(Outcomes, LetsPassLeadToTheNextTier) {
  Cluster cluster;
  const auto all = cluster.everything();
  const auto web = cluster.ports({tcp_port(80)});
  Rule& pass = cluster.allow_ingress(all, all, web);
  pass.tier = Tier::admin;
  pass.action = Action::pass;
  Rule& deny = cluster.allow_ingress(all, all, cluster.every_port());
  deny.tier = Tier::admin;
  deny.action = Action::deny;
  cluster.allow_ingress(all, all, cluster.every_port());
  Outcomes outcomes(cluster.rules);
  const std::vector<std::uint32_t> rules{0, 1, 2};
  const std::uint32_t outcome = outcomes.of(rules, false);
  EXPECT_EQ(decide(outcomes, outcome, tcp_key(80)), by(2, true));
  EXPECT_EQ(decide(outcomes, outcome, tcp_key(81)), by(1, false));
}

TEST(Outcomes, ForksForNodesWhereTheAdminTierLeavesRoom) {
  Cluster cluster;
  const auto all = cluster.everything();
  Rule& deny = cluster.allow_ingress(all, all, cluster.ports({tcp_port(22)}));
  deny.tier = Tier::admin;
  deny.action = Action::deny;
  Outcomes outcomes(cluster.rules);
  const std::vector<std::uint32_t> rules{0};
  const std::uint32_t outcome = outcomes.of(rules, true);
  ASSERT_EQ(outcome & (kFork | kReference), kFork | kReference);
  const auto fork = record_at<Fork>(outcomes.forks(), outcome & kReferenceIndex);
  EXPECT_EQ(decide(outcomes, fork.own_node, tcp_key(22)), by(0, false));
  EXPECT_EQ(decide(outcomes, fork.own_node, tcp_key(80)),
            Decision::allow(rule_id(Builtin::own_node)));
  EXPECT_EQ(decide(outcomes, fork.ordinary, tcp_key(80)),
            Decision::deny(rule_id(Builtin::default_deny)));
}

TEST(Outcomes, NeedsNoForkWhereTheAdminTierDecidesAll) {
  Cluster cluster;
  const auto all = cluster.everything();
  cluster.allow_ingress(all, all, cluster.every_port()).tier = Tier::admin;
  Outcomes outcomes(cluster.rules);
  const std::vector<std::uint32_t> rules{0};
  EXPECT_EQ(outcomes.of(rules, true), by(0, true).bits);
}

TEST(Outcomes, SharesEqualLines) {
  Cluster cluster;
  const auto all = cluster.everything();
  cluster.allow_ingress(all, all, cluster.ports({tcp_port(80), tcp_port(81)}));
  cluster.allow_ingress(all, all, cluster.ports({tcp_port(90)}));
  Outcomes outcomes(cluster.rules);
  const std::vector<std::uint32_t> rules{0};
  const std::vector<std::uint32_t> other{1};
  EXPECT_EQ(outcomes.of(rules, false), outcomes.of(rules, false));
  EXPECT_NE(outcomes.of(rules, false), outcomes.of(other, false));
  EXPECT_EQ(outcomes.lines().words().size(), 32U);
}

}  // namespace
}  // namespace portcullis::classifier
