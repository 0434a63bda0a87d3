// SPDX-License-Identifier: MIT
#include "classifier/reference.h"

#include <gtest/gtest.h>

namespace portcullis::classifier {
namespace {

constexpr EndpointIndex kNode = 0;
constexpr EndpointIndex kWeb = 1;
constexpr EndpointIndex kDb = 2;
constexpr SetIndex kEverything = 0;
constexpr SetIndex kWebSet = 1;
constexpr SetIndex kDbSet = 2;
constexpr SetIndex kOfficeSet = 3;
constexpr PortsIndex kAnyPort = 0;
constexpr PortsIndex kPostgres = 1;

IpAddress ip(const char* text) {
  return parse_ip(text).value();
}
Prefix block(const char* text) {
  return parse_prefix(text).value();
}

/// Node 192.0.2.1 runs web 10.0.0.1; db 10.0.0.2 runs elsewhere. No rules.
RuleSet small_world() {
  RuleSet rules;
  rules.pod_cidrs = {block("10.0.0.0/16")};
  rules.endpoints = {
      {.kind = Endpoint::Kind::node, .addresses = {ip("192.0.2.1")}},
      {.kind = Endpoint::Kind::workload, .node = kNode, .addresses = {ip("10.0.0.1")}},
      {.kind = Endpoint::Kind::workload, .addresses = {ip("10.0.0.2")}},
  };
  rules.sets.resize(4);
  rules.sets[kEverything].everything = true;
  rules.sets[kWebSet].endpoints = {kWeb};
  rules.sets[kDbSet].endpoints = {kDb};
  rules.sets[kOfficeSet].blocks = {
      {.cidr = block("172.16.0.0/12"), .except = {block("172.16.9.0/24")}}};
  rules.port_sets.resize(2);
  rules.port_sets[kAnyPort].everything = true;
  rules.port_sets[kPostgres].ranges = {{.protocol = kProtocolTcp, .first = 5432, .last = 5432}};
  return rules;
}

Rule ingress_rule(Tier tier, Action action, SetIndex subjects, SetIndex peers, PortsIndex ports) {
  return {.direction = Direction::ingress,
          .tier = tier,
          .action = action,
          .subjects = subjects,
          .peers = peers,
          .ports = ports};
}

Flow tcp(const char* src, const char* dst, std::uint16_t port) {
  return {.src = ip(src), .dst = ip(dst), .protocol = kProtocolTcp, .dst_port = port};
}

Decision ingress_of(const RuleSet& rules, const Flow& flow) {
  return Reference(rules).decide(Direction::ingress, flow);
}

constexpr Decision allowed_by(Builtin builtin) {
  return Decision::allow(rule_id(builtin));
}
constexpr Decision denied_by(Builtin builtin) {
  return Decision::deny(rule_id(builtin));
}

TEST(Reference, DeniesByDefaultInDenyMode) {
  const RuleSet rules = small_world();
  const Verdict verdict = Reference(rules).lookup(tcp("10.0.0.1", "10.0.0.2", 80));
  EXPECT_EQ(verdict.egress, denied_by(Builtin::default_deny));
  EXPECT_EQ(verdict.ingress, denied_by(Builtin::default_deny));
}

TEST(Reference, AllowsByDefaultInKubernetesMode) {
  RuleSet rules = small_world();
  rules.default_mode = DefaultMode::kubernetes;
  const Verdict verdict = Reference(rules).lookup(tcp("10.0.0.1", "10.0.0.2", 80));
  EXPECT_EQ(verdict.egress, allowed_by(Builtin::default_allow));
  EXPECT_EQ(verdict.ingress, allowed_by(Builtin::default_allow));
}

TEST(Reference, JudgesNoEndThatIsNoWorkload) {
  RuleSet rules = small_world();
  EXPECT_EQ(ingress_of(rules, tcp("10.0.0.1", "198.51.100.1", 80)),
            allowed_by(Builtin::no_subject));
  EXPECT_EQ(ingress_of(rules, tcp("198.51.100.2", "198.51.100.1", 80)),
            denied_by(Builtin::transit));
  EXPECT_EQ(ingress_of(rules, tcp("10.0.0.1", "10.0.0.77", 80)), denied_by(Builtin::unidentified));
  rules.default_mode = DefaultMode::kubernetes;
  EXPECT_EQ(ingress_of(rules, tcp("198.51.100.2", "198.51.100.1", 80)),
            allowed_by(Builtin::no_subject));
  EXPECT_EQ(ingress_of(rules, tcp("10.0.0.1", "10.0.0.77", 80)), allowed_by(Builtin::no_subject));
}

TEST(Reference, LetsAPodReachItselfAheadOfEveryTier) {
  RuleSet rules = small_world();
  rules.rules = {ingress_rule(Tier::admin, Action::deny, kWebSet, kEverything, kAnyPort)};
  EXPECT_EQ(ingress_of(rules, tcp("10.0.0.1", "10.0.0.1", 80)), allowed_by(Builtin::self));
}

TEST(Reference, LetsTheOwnNodeInAfterTheAdminTierOnly) {
  RuleSet rules = small_world();
  rules.rules = {ingress_rule(Tier::network_policy, Action::deny, kWebSet, kEverything, kAnyPort)};
  EXPECT_EQ(ingress_of(rules, tcp("192.0.2.1", "10.0.0.1", 80)), allowed_by(Builtin::own_node));
  EXPECT_EQ(ingress_of(rules, tcp("192.0.2.1", "10.0.0.2", 80)), denied_by(Builtin::default_deny));
  rules.rules[0].tier = Tier::admin;
  EXPECT_EQ(ingress_of(rules, tcp("192.0.2.1", "10.0.0.1", 80)),
            Decision::deny(rule_id(std::size_t{0})));
}

TEST(Reference, TakesTheFirstRuleOfATierAndPassesOn) {
  RuleSet rules = small_world();
  rules.rules = {
      ingress_rule(Tier::baseline, Action::deny, kDbSet, kEverything, kAnyPort),
      ingress_rule(Tier::network_policy, Action::allow, kDbSet, kWebSet, kPostgres),
      ingress_rule(Tier::admin, Action::pass, kDbSet, kWebSet, kAnyPort),
      ingress_rule(Tier::admin, Action::deny, kDbSet, kEverything, kAnyPort),
  };
  const auto by_rule = [](std::size_t index, bool allow) {
    return allow ? Decision::allow(rule_id(index)) : Decision::deny(rule_id(index));
  };
  EXPECT_EQ(ingress_of(rules, tcp("10.0.0.1", "10.0.0.2", 5432)), by_rule(1, true));
  EXPECT_EQ(ingress_of(rules, tcp("10.0.0.1", "10.0.0.2", 5433)), by_rule(0, false));
  EXPECT_EQ(ingress_of(rules, tcp("198.51.100.1", "10.0.0.2", 5432)), by_rule(3, false));
}

TEST(Reference, HoldsABlockLessItsExceptions) {
  const RuleSet rules = small_world();
  const Reference reference(rules);
  EXPECT_TRUE(reference.holds(rules.sets[kOfficeSet], ip("172.16.8.255")));
  EXPECT_FALSE(reference.holds(rules.sets[kOfficeSet], ip("172.16.9.0")));
  EXPECT_FALSE(reference.holds(rules.sets[kOfficeSet], ip("172.32.0.0")));
}

TEST(Reference, HoldsPortsOfTheirOwnProtocolOnly) {
  const PortSet range{.ranges = {{.protocol = kProtocolUdp, .first = 10, .last = 20}}};
  EXPECT_TRUE(Reference::holds(range, kProtocolUdp, 20));
  EXPECT_FALSE(Reference::holds(range, kProtocolUdp, 21));
  EXPECT_FALSE(Reference::holds(range, kProtocolTcp, 15));
  EXPECT_FALSE(Reference::holds(PortSet{}, kProtocolTcp, 15));
}

}  // namespace
}  // namespace portcullis::classifier
