// SPDX-License-Identifier: MIT
// The shape of what lower() makes: endpoints, shared sets, rule order, provenance, warnings.
// That it means the right thing is oracle_test.cc's part.
#include "policy/lower.h"

#include <algorithm>
#include <tuple>

#include <gtest/gtest.h>

#include "policy/selector.h"
#include "tests/support/cluster.h"

namespace portcullis::policy {
namespace {

using namespace test;
using classifier::Action;
using classifier::DefaultMode;
using classifier::Direction;
using classifier::EndpointIndex;
using classifier::kNoEndpoint;
using classifier::kProtocolTcp;
using classifier::PortRange;
using classifier::PortSet;

Snapshot two_pods() {
  Snapshot snapshot;
  snapshot.namespaces = {{"shop", {}, {}}};
  snapshot.pods = {pod("shop", "a", {"10.0.0.1"}, {{"app", "a"}}),
                   pod("shop", "b", {"10.0.0.2"}, {{"app", "b"}})};
  return snapshot;
}

Lowered lowered(const Snapshot& snapshot, const LowerOptions& options = {}) {
  return lower(snapshot, options).value();
}

bool warns(const Lowered& lowered, std::string_view text) {
  return std::any_of(lowered.warnings.begin(), lowered.warnings.end(), [&](const auto& warning) {
    return warning.find(text) != std::string::npos;
  });
}

TEST(Lower, KeepsLivePodsThenNodesAsEndpoints) {
  Snapshot snapshot = two_pods();
  snapshot.nodes = {{"n1", {}, {ip("192.168.0.1")}, {}, {}}};
  snapshot.pods[0].node = "n1";
  snapshot.pods.push_back(pod("shop", "done", {"10.0.0.1"}));
  snapshot.pods.back().terminated = true;
  snapshot.pods.push_back(pod("shop", "waiting", {}));
  const Lowered got = lowered(snapshot);
  ASSERT_EQ(got.endpoints.size(), 4U);
  EXPECT_EQ(got.endpoints[0].text(), "shop/a");
  EXPECT_EQ(got.endpoints[2].text(), "shop/waiting");
  EXPECT_EQ(got.endpoints[3].text(), "node/n1");
  EXPECT_EQ(got.rules.endpoints[0].node, 3U);
  EXPECT_EQ(got.rules.endpoints[1].node, kNoEndpoint);
  EXPECT_EQ(got.rules.endpoints[3].kind, classifier::Endpoint::Kind::node);
}

TEST(Lower, GivesHostNetworkAddressesToTheNode) {
  Snapshot snapshot = two_pods();
  snapshot.pods[0].host_network = true;
  snapshot.pods[0].node = "bare";
  snapshot.pods[1].node = "bare";
  snapshot.pods[1].host_addresses = {ip("10.0.0.1")};
  const Lowered got = lowered(snapshot);
  ASSERT_EQ(got.endpoints.size(), 2U);
  EXPECT_EQ(got.endpoints[1].text(), "node/bare");
  EXPECT_EQ(got.rules.endpoints[1].addresses, std::vector{ip("10.0.0.1")});
  EXPECT_EQ(got.rules.endpoints[0].node, 1U);
}

TEST(Lower, RefusesTwoOwnersOfOneAddress) {
  Snapshot snapshot = two_pods();
  snapshot.pods[1].addresses = {ip("10.0.0.1")};
  snapshot.pods[1].where = {"other.yaml", 7, 0};
  const auto pods = lower(snapshot, {});
  ASSERT_FALSE(pods.has_value());
  EXPECT_NE(
      pods.error().message.find("pod shop/a (pods.yaml:1:1) and by pod shop/b (other.yaml:7)"),
      std::string::npos)
      << pods.error().message;
  EXPECT_EQ(pods.error().where, "other.yaml:7");

  Snapshot node = two_pods();
  node.nodes = {{"n1", {}, {ip("10.0.0.2")}, {}, {"nodes.yaml", 3, 0}}};
  EXPECT_FALSE(lower(node, {}).has_value());
  node.nodes[0].addresses = {};
  node.nodes.push_back(node.nodes[0]);
  node.nodes[0].addresses = {ip("192.168.0.1")};
  node.nodes[1].name = "n2";
  node.nodes[1].addresses = {ip("192.168.0.1")};
  EXPECT_FALSE(lower(node, {}).has_value());
}

TEST(Lower, PutsEveryAllowAheadOfEveryIsolation) {
  Snapshot snapshot = two_pods();
  snapshot.policies = {ingress_policy("shop", "deny", {}),
                       ingress_policy("shop", "open", with("app", "a"), {PolicyRule{}})};
  const Lowered got = lowered(snapshot);
  ASSERT_EQ(got.rules.rules.size(), 3U);
  const auto& [isolation, allow, own_isolation] =
      std::tie(got.rules.rules[0], got.rules.rules[1], got.rules.rules[2]);
  EXPECT_EQ(isolation.action, Action::deny);
  EXPECT_EQ(allow.action, Action::allow);
  EXPECT_EQ(own_isolation.action, Action::deny);
  EXPECT_LT(allow.order, isolation.order);
  EXPECT_EQ(isolation.order, own_isolation.order);
  EXPECT_EQ(got.provenance[allow.provenance].policy, "shop/open");
  EXPECT_EQ(got.provenance[allow.provenance].rule, 1U);
  EXPECT_EQ(got.provenance[isolation.provenance].policy, "shop/deny");
  EXPECT_EQ(got.provenance[isolation.provenance].rule, RuleOrigin::kIsolation);
  // Both policies' "all ports" and "all peers" are one set each.
  EXPECT_EQ(got.rules.port_sets.size(), 1U);
  EXPECT_EQ(got.rules.sets.size(), 3U);
}

TEST(Lower, IgnoresSectionsWhoseTypeIsNotListed) {
  Snapshot snapshot = two_pods();
  NetworkPolicy policy = egress_policy("shop", "p", {});
  policy.ingress = {PolicyRule{}};
  snapshot.policies = {policy};
  const Lowered got = lowered(snapshot);
  ASSERT_EQ(got.rules.rules.size(), 1U);
  EXPECT_EQ(got.rules.rules[0].direction, Direction::egress);
}

TEST(Lower, SplitsSubjectsByWhatAPortNameMeansToThem) {
  Snapshot snapshot = two_pods();
  snapshot.pods[0].ports = {{"http", kProtocolTcp, 80}, {"http", kProtocolTcp, 81}};
  snapshot.pods[1].ports = {{"http", kProtocolTcp, 8080}};
  snapshot.policies = {ingress_policy(
      "shop", "p", {}, {PolicyRule{{}, {port(kProtocolTcp, "http")}, {"p.yaml", 9, 5}}})};
  const Lowered got = lowered(snapshot);
  ASSERT_EQ(got.rules.rules.size(), 3U);
  const auto& first = got.rules.rules[0];
  const auto& second = got.rules.rules[1];
  EXPECT_EQ(got.provenance[first.provenance].rule, got.provenance[second.provenance].rule);
  EXPECT_EQ(got.rules.sets[first.subjects].endpoints, std::vector<EndpointIndex>{0});
  EXPECT_EQ(got.rules.port_sets[first.ports].ranges,
            (std::vector<PortRange>{{kProtocolTcp, 80, 81}}));
  EXPECT_EQ(got.rules.port_sets[second.ports].ranges,
            (std::vector<PortRange>{{kProtocolTcp, 8080, 8080}}));
}

TEST(Lower, ResolvesNamesOnThePodsInsideABlock) {
  Snapshot snapshot = two_pods();
  snapshot.pods[0].ports = {{"http", kProtocolTcp, 80}};
  snapshot.pods[1].ports = {{"http", kProtocolTcp, 80}};
  const classifier::Block block{cidr("10.0.0.0/24"), {cidr("10.0.0.2/32")}};
  snapshot.policies = {
      egress_policy("shop", "p", {}, {PolicyRule{{block}, {port(kProtocolTcp, "http")}, {}}})};
  const Lowered got = lowered(snapshot);
  ASSERT_EQ(got.rules.rules.size(), 2U);
  const auto& peers = got.rules.sets[got.rules.rules[0].peers];
  EXPECT_TRUE(peers.endpoints.empty());
  EXPECT_EQ(peers.blocks, (std::vector<classifier::Block>{{cidr("10.0.0.1/32"), {}}}));
}

TEST(Lower, MergesPortRangesThatTouch) {
  Snapshot snapshot = two_pods();
  PolicyRule rule{
      {}, {port(kProtocolTcp, 80, 90), port(kProtocolTcp, 91), port(kProtocolTcp, 85, 88)}, {}};
  snapshot.policies = {ingress_policy("shop", "p", {}, {rule})};
  const Lowered got = lowered(snapshot);
  EXPECT_EQ(got.rules.port_sets[got.rules.rules[0].ports],
            (PortSet{false, {{kProtocolTcp, 80, 91}}}));
}

TEST(Lower, WarnsOfWhatCanHaveNoEffect) {
  Snapshot snapshot = two_pods();
  snapshot.policies = {
      ingress_policy("shop", "nobody", with("app", "zzz")),
      ingress_policy("shop", "name", {}, {PolicyRule{{}, {port(kProtocolTcp, "http")}, {}}}),
      ingress_policy("shop", "peer", {}, {PolicyRule{{PodPeer{{}, with("app", "zzz")}}, {}, {}}})};
  const Lowered got = lowered(snapshot);
  EXPECT_TRUE(warns(got, "NetworkPolicy shop/nobody (policies.yaml:1:1) selects no pod"));
  EXPECT_TRUE(warns(got, "names a port that no destination pod has"));
  EXPECT_TRUE(warns(got, "has peers that no pod matches"));
  EXPECT_EQ(got.warnings.size(), 3U);
}

TEST(Lower, TakesNodesOutOfThePodCidrs) {
  Snapshot snapshot = two_pods();
  snapshot.nodes = {{"n1", {}, {ip("10.0.0.5")}, {cidr("10.0.0.4/30")}, {}}};
  const Lowered got = lowered(snapshot, {DefaultMode::deny, {cidr("10.1.0.0/16")}});
  EXPECT_EQ(got.rules.pod_cidrs,
            (std::vector<Prefix>{cidr("10.0.0.4/32"), cidr("10.0.0.6/31"), cidr("10.1.0.0/16")}));
  EXPECT_EQ(got.rules.default_mode, DefaultMode::deny);
}

TEST(Lower, NeverGivesOneAddressToTwoNodes) {
  Snapshot snapshot = two_pods();
  for (Pod& pod : snapshot.pods) {
    pod.node = "node-" + pod.name;
    pod.host_addresses = {ip("192.168.0.1")};
  }
  const Lowered got = lowered(snapshot);
  ASSERT_EQ(got.endpoints.size(), 3U);
  EXPECT_EQ(got.rules.endpoints[1].node, kNoEndpoint);
  EXPECT_TRUE(warns(got, "which belongs to node node-a; ignored"));
}

/// Enough pods in one namespace that selectors go through the index, not a scan.
TEST(Lower, SelectsTheSamePodsThroughTheIndexAsByLooking) {
  Snapshot snapshot;
  for (unsigned i = 0; i < 60; ++i) {
    Labels labels;
    if (i % 3 != 0) {
      labels.emplace_back("app", i % 2 == 0 ? "x" : "y");
    }
    if (i % 5 == 0) {
      labels.emplace_back("tier", "1");
    }
    Pod made = pod(i < 40 ? "big" : "big2", "p" + std::to_string(100 + i), {}, labels);
    made.addresses = {IpAddress::from_v4(0x0a000000U + i)};
    snapshot.pods.push_back(std::move(made));
  }
  using Operator = Requirement::Operator;
  const std::vector<Selector> selectors{
      {{{"app", Operator::in, {"x", "y", "x"}}}},
      {{{"app", Operator::in, {"x"}}, {"tier", Operator::exists, {}}}},
      {{{"app", Operator::not_in, {"x"}}}},
      {{{"tier", Operator::exists, {}}, {"app", Operator::does_not_exist, {}}}},
      {{{"app", Operator::in, {"zzz"}}}},
      {{{"nokey", Operator::exists, {}}}},
      {}};
  for (std::size_t i = 0; i < selectors.size(); ++i) {
    snapshot.policies = {ingress_policy(
        "big",
        "p",
        {},
        {PolicyRule{{PodPeer{{}, selectors[i]}, PodPeer{Selector{}, selectors[i]}}, {}, {}}})};
    const Lowered got = lowered(snapshot);
    const auto& peers = got.rules.sets[got.rules.rules[0].peers].endpoints;
    std::vector<EndpointIndex> expected;
    for (EndpointIndex j = 0; j < snapshot.pods.size(); ++j) {
      if (matches(selectors[i], snapshot.pods[j].labels)) {
        expected.push_back(j);
      }
    }
    EXPECT_EQ(peers, expected) << "selector " << i;
  }
}

}  // namespace
}  // namespace portcullis::policy
