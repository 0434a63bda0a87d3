// SPDX-License-Identifier: MIT
#include "control/static_rules.h"

#include <gtest/gtest.h>

#include "control/reconcile.h"
#include "tests/control/fake_publisher.h"

namespace portcullis::control {
namespace {

config::Config configured() {
  return {.file = "portcullis.toml",
          .static_rules = {{.name = "db from outside",
                            .action = config::StaticRule::Action::allow,
                            .destination = *parse_prefix("10.0.0.2/32"),
                            .protocol = classifier::kProtocolTcp,
                            .destination_ports = {5432, 5432},
                            .tcp_flags = {0x02, 0x12},
                            .line = 12},
                           {.action = config::StaticRule::Action::deny,
                            .protocol = classifier::kProtocolIcmp,
                            .icmp_type = 8,
                            .line = 20}}};
}

TEST(StaticRulesOf, SpeakTheClassifiersWords) {
  const auto rules = static_rules_of(configured());
  ASSERT_EQ(rules.size(), 2U);
  EXPECT_EQ(rules[0].name, "db from outside");
  EXPECT_EQ(to_string(rules[0].where), "portcullis.toml:12");
  EXPECT_EQ(rules[0].rule.dst_ports, (classifier::Interval{5432, 5432}));
  EXPECT_EQ(rules[0].rule.tcp_flags_mask, 0x12);
  EXPECT_EQ(rules[0].rule.action, classifier::Action::allow);
  EXPECT_EQ(rules[1].name, "number 2");
  EXPECT_EQ(rules[1].rule.icmp, (classifier::Interval{0x0800, 0x08ff}));
}

TEST(LoweringOf, TakesDefaultModeAndPodCidrs) {
  const auto open = lowering_of({.policy = {.default_mode = config::Policy::Default::kubernetes,
                                            .pod_cidrs = {*parse_prefix("10.9.0.0/16")}}});
  EXPECT_EQ(open.default_mode, classifier::DefaultMode::kubernetes);
  ASSERT_EQ(open.pod_cidrs.size(), 1U);
  EXPECT_EQ(lowering_of({}).default_mode, classifier::DefaultMode::deny);
}

TEST(StaticRulesOf, AreEnforcedExplainedAndCounted) {
  FakePublisher publisher;
  Reconcile reconcile({.lowering = {.default_mode = classifier::DefaultMode::deny},
                       .static_rules = static_rules_of(configured())},
                      publisher);
  Prepared prepared = reconcile.prepare(shop({80}));
  ASSERT_TRUE(prepared);
  const auto applied = reconcile.apply(*std::move(prepared), {.who = "tester"});
  ASSERT_TRUE(applied);
  EXPECT_EQ(applied->revision.counts.static_rules, 2U);
  EXPECT_EQ(publisher.ids, classifier::kBuiltinRules + applied->revision.counts.rules + 2);

  const classifier::Flow flow{.src = *parse_ip("192.0.2.7"),
                              .dst = *parse_ip("10.0.0.2"),
                              .protocol = classifier::kProtocolTcp,
                              .dst_port = 5432,
                              .tcp_flags = 0x02};
  const observe::Explanation allowed = reconcile.view()->explainer().explain(flow);
  EXPECT_TRUE(allowed.allowed);
  EXPECT_EQ(allowed.ingress.reason, "static rule db from outside (portcullis.toml:12) allows it");
  EXPECT_EQ(allowed.egress.stages.front().name, "static rules");

  classifier::Flow ping{.src = flow.src, .dst = flow.dst, .protocol = classifier::kProtocolIcmp};
  ping.icmp = 0x0800;
  const observe::Explanation denied = reconcile.view()->explainer().explain(ping);
  EXPECT_FALSE(denied.allowed);
  EXPECT_EQ(denied.ingress.reason, "static rule number 2 (portcullis.toml:20) denies it");
  EXPECT_TRUE(denied.ingress.near_misses.empty());

  publisher.hits = {{denied.ingress.rule, 7}};
  const auto totals = reconcile.rule_totals();
  ASSERT_EQ(totals.size(), 1U);
  EXPECT_EQ(totals[0].name.origin->policy, "number 2");
  EXPECT_EQ(totals[0].packets, 7U);
}

}  // namespace
}  // namespace portcullis::control
