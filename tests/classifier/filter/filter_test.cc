// SPDX-License-Identifier: MIT
#include "classifier/filter/filter.h"

#include <gtest/gtest.h>

#include "classifier/compile.h"
#include "classifier/lookup.h"
#include "tests/classifier/cluster.h"

namespace portcullis::classifier {
namespace {

/// db may be reached by nobody; mode deny.
class StaticRules : public testing::Test {
 protected:
  void SetUp() override {
    cluster_.rules.pod_cidrs = {block("10.0.0.0/16")};
    const auto db = cluster_.set({cluster_.pod({ip("10.0.0.2"), ip("fd00::2")})});
    cluster_.allow_ingress(db, cluster_.everything(), cluster_.every_port()).action = Action::deny;
  }

  Verdict of(const Flow& flow) {
    const auto table = compile(cluster_.rules);
    EXPECT_TRUE(table) << to_string(table.error());
    return lookup(**table, flow);
  }

  RuleId id(std::size_t static_rule) const {
    return rule_id(cluster_.rules.rules.size() + static_rule);
  }

  Cluster cluster_;
};

TEST_F(StaticRules, DecideBothDirectionsAheadOfPolicies) {
  cluster_.rules.static_rules = {{.dst = block("10.0.0.2/32"),
                                  .protocol = kProtocolTcp,
                                  .dst_ports = {5432, 5432},
                                  .action = Action::allow}};
  const Verdict allowed = of(tcp("192.0.2.1", "10.0.0.2", 5432));
  EXPECT_EQ(allowed.egress, Decision::allow(id(0)));
  EXPECT_EQ(allowed.ingress, Decision::allow(id(0)));
  const Verdict denied = of(tcp("192.0.2.1", "10.0.0.2", 5433));
  EXPECT_EQ(denied.ingress, Decision::deny(rule_id(std::size_t{0})));
}

TEST_F(StaticRules, OpenTransitThatModeDenyShuts) {
  EXPECT_FALSE(of(tcp("192.0.2.1", "203.0.113.9", 443)).allowed());
  cluster_.rules.static_rules = {{.src = block("192.0.2.0/24"), .action = Action::allow}};
  EXPECT_TRUE(of(tcp("192.0.2.1", "203.0.113.9", 443)).allowed());
  EXPECT_FALSE(of(tcp("203.0.113.9", "192.0.2.1", 443)).allowed());
}

TEST_F(StaticRules, PassLeavesTheRestToThePolicies) {
  cluster_.rules.static_rules = {{.dst = block("10.0.0.2/32"), .action = Action::pass},
                                 {.action = Action::allow}};
  EXPECT_EQ(of(tcp("192.0.2.1", "10.0.0.2", 1)).ingress, Decision::deny(rule_id(std::size_t{0})));
  EXPECT_EQ(of(tcp("fd00::9", "fd00::2", 1)).ingress, Decision::allow(id(1)))
      << "a rule without addresses is of both families";
}

TEST_F(StaticRules, GiveTheSameBytesForTheSameRules) {
  cluster_.rules.static_rules = {{.src = block("192.0.2.0/24"), .action = Action::allow},
                                 {.protocol = kProtocolUdp, .src_ports = {1, 9}}};
  const auto once = compile(cluster_.rules);
  const auto again = compile(cluster_.rules);
  ASSERT_TRUE(once && again);
  EXPECT_EQ((*once)->digest(), (*again)->digest());
  EXPECT_GT((*once)->sizes().filter, 0U);
}

TEST_F(StaticRules, AreRefusedOverTheLimit) {
  cluster_.rules.static_rules = {{.src = block("192.0.2.0/24"), .action = Action::allow}};
  const auto refused = compile(cluster_.rules, {.table_bytes_max = 1'000});
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().message.find("static rules"), std::string::npos)
      << refused.error().message;
}

TEST_F(StaticRules, AreLeftAsTheyAreOnceACompileIsStopped) {
  cluster_.rules.static_rules = {{.action = Action::allow}};
  std::stop_source source;
  EXPECT_FALSE(compile_filter(cluster_.rules, 1'000'000, source.get_token())->empty());
  source.request_stop();
  EXPECT_TRUE(compile_filter(cluster_.rules, 1'000'000, source.get_token())->empty());
}

TEST_F(StaticRules, AreRefusedWhereTheyContradictThemselves) {
  const std::pair<StaticRule, const char*> cases[] = {
      {{.src = block("10.0.0.0/8"), .dst = block("fd00::/8")}, "different families"},
      {{.protocol = kProtocolTcp, .dst_ports = {9, 8}}, "ahead of its begin"},
      {{.tcp_flags = 2, .tcp_flags_mask = 2}, "not TCP"},
      {{.protocol = kProtocolTcp, .tcp_flags = 3, .tcp_flags_mask = 2}, "its mask leaves out"},
      {{.protocol = kProtocolUdp, .icmp = {0x0800, 0x08ff}}, "neither ICMP"},
  };
  for (const auto& [rule, what] : cases) {
    cluster_.rules.static_rules = {rule};
    const auto refused = compile(cluster_.rules);
    ASSERT_FALSE(refused) << what;
    EXPECT_NE(refused.error().message.find(what), std::string::npos) << refused.error().message;
  }
}

}  // namespace
}  // namespace portcullis::classifier
