// SPDX-License-Identifier: MIT
// NetworkPolicy as the API states it: one test for each statement about subjects, types, rules and
// peers, from manifests to the table's verdict. The numbers are those of docs/policy_semantics.md.
#include <gtest/gtest.h>

#include "tests/support/manifest_world.h"

namespace portcullis::policy {
namespace {

using test::ManifestWorld;
using test::policy_in_x;

TEST(Decision, S01FlowNeedsBothEndsToAllow) {
  const std::string quiet =
      policy_in_x("quiet", "  podSelector: {matchLabels: {app: a}}\n  policyTypes: [Egress]");
  const std::string shut = policy_in_x("shut", "  podSelector: {matchLabels: {app: b}}");
  EXPECT_TRUE(ManifestWorld("").allows("x/a", "x/b", "TCP 80"));
  EXPECT_FALSE(ManifestWorld(quiet).allows("x/a", "x/b", "TCP 80"));
  EXPECT_TRUE(ManifestWorld(quiet).allows("x/c", "x/b", "TCP 80"));
  EXPECT_FALSE(ManifestWorld(shut).allows("x/a", "x/b", "TCP 80"));
  EXPECT_TRUE(ManifestWorld(shut).allows("x/b", "x/a", "TCP 80"));
}

TEST(Decision, S02OnlyPodsAreSubjects) {
  const ManifestWorld world(policy_in_x("shut", "  policyTypes: [Ingress, Egress]"));
  EXPECT_TRUE(world.allows("8.8.8.8", "192.168.0.1", "TCP 80"));
  EXPECT_TRUE(world.allows("z/a", "8.8.8.8", "TCP 80"));
  EXPECT_FALSE(world.allows("8.8.8.8", "x/a", "TCP 80"));
}

TEST(Decision, S03PolicyTierDecidesOnlyForTheDirectionsIsolated) {
  const ManifestWorld world(policy_in_x("in", "  podSelector: {matchLabels: {app: a}}"));
  EXPECT_FALSE(world.allows("x/b", "x/a", "TCP 80"));
  EXPECT_TRUE(world.allows("x/a", "x/b", "TCP 80"));
}

TEST(Subject, S01EmptyNullAbsentSelectorAndAbsentSpecSelectTheNamespace) {
  for (const char* spec :
       {"  podSelector: {}", "  podSelector: null", "  policyTypes: [Ingress]"}) {
    const ManifestWorld world(policy_in_x("p", spec));
    EXPECT_FALSE(world.allows("z/a", "x/a", "TCP 80")) << spec;
    EXPECT_FALSE(world.allows("z/a", "x/c", "TCP 80")) << spec;
    EXPECT_TRUE(world.allows("x/a", "z/a", "TCP 80")) << spec;
  }
  const ManifestWorld bare(
      "{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {name: p, namespace: x}}");
  EXPECT_FALSE(bare.allows("z/a", "x/a", "TCP 80"));
  EXPECT_TRUE(bare.allows("x/a", "z/a", "TCP 80"));
}

TEST(Subject, S02AbsentNamespaceIsDefault) {
  const ManifestWorld world(R"(
{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {name: p}}
---
{apiVersion: v1, kind: Namespace, metadata: {name: default}}
---
{apiVersion: v1, kind: Pod, metadata: {name: d}, spec: {containers: [{name: m, image: i}]},
 status: {phase: Running, podIP: 10.0.2.1}}
)");
  EXPECT_FALSE(world.allows("x/a", "default/d", "TCP 80"));
  EXPECT_TRUE(world.allows("z/a", "x/a", "TCP 80"));
}

TEST(Types, S03DefaultToIngressPlusEgressIfThereAreEgressRules) {
  for (const char* types : {"", "  policyTypes: []\n", "  policyTypes: null\n"}) {
    const ManifestWorld none(policy_in_x("p", std::string("  podSelector: {}\n") + types));
    EXPECT_FALSE(none.allows("z/a", "x/a", "TCP 80"));
    EXPECT_TRUE(none.allows("x/a", "z/a", "TCP 80"));
    const ManifestWorld empty(
        policy_in_x("p", std::string("  podSelector: {}\n  egress: []\n") + types));
    EXPECT_TRUE(empty.allows("x/a", "z/a", "TCP 80"));
    const ManifestWorld some(policy_in_x(
        "p", std::string("  podSelector: {}\n  egress: [{ports: [{port: 80}]}]\n") + types));
    EXPECT_TRUE(some.allows("x/a", "z/a", "TCP 80"));
    EXPECT_FALSE(some.allows("x/a", "z/a", "TCP 81"));
    // 5: egress rules without policyTypes shut ingress as well.
    EXPECT_FALSE(some.allows("z/a", "x/a", "TCP 80"));
  }
}

TEST(Types, S04UnlistedSectionsAreIgnoredAndListedOnesIsolate) {
  const ManifestWorld egress(
      policy_in_x("p", "  podSelector: {}\n  policyTypes: [Egress]\n  ingress: [{from: []}]"));
  EXPECT_TRUE(egress.allows("z/a", "x/a", "TCP 80"));
  EXPECT_FALSE(egress.allows("x/a", "z/a", "TCP 80"));
  const ManifestWorld ingress(
      policy_in_x("p", "  podSelector: {}\n  policyTypes: [Ingress, Ingress]\n  egress: [{}]"));
  EXPECT_FALSE(ingress.allows("z/a", "x/a", "TCP 80"));
  EXPECT_TRUE(ingress.allows("x/a", "z/a", "TCP 80"));
}

TEST(Types, S06PoliciesAddUpInAnyOrder) {
  const std::string deny = policy_in_x("deny", "  podSelector: {}");
  const std::string web =
      policy_in_x("web", "  podSelector: {}\n  ingress: [{ports: [{port: 80}]}]");
  const std::string dns =
      policy_in_x("a-dns", "  podSelector: {}\n  ingress: [{ports: [{port: 53, protocol: UDP}]}]");
  for (const std::string& text : {deny + web + dns, dns + web + deny}) {
    const ManifestWorld world(text);
    EXPECT_TRUE(world.allows("z/a", "x/a", "TCP 80"));
    EXPECT_TRUE(world.allows("z/a", "x/a", "UDP 53"));
    EXPECT_FALSE(world.allows("z/a", "x/a", "TCP 53"));
  }
}

TEST(Rules, S07NoRuleAllowsNothingAndAnEmptyRuleEverything) {
  for (const char* section : {"[]", "null"}) {
    EXPECT_FALSE(
        ManifestWorld(policy_in_x("p", std::string("  podSelector: {}\n  ingress: ") + section))
            .allows("z/a", "x/a", "TCP 80"));
  }
  const ManifestWorld open(policy_in_x("p", "  podSelector: {}\n  ingress: [{}]"));
  for (const char* port : {"TCP 80", "UDP 1", "SCTP 65535", "ICMP", "protocol 47"}) {
    EXPECT_TRUE(open.allows("8.8.8.8", "x/a", port)) << port;
  }
}

TEST(Rules, S08PeersNeverCombineWithAnotherRulesPorts) {
  const ManifestWorld world(policy_in_x("p", R"(  podSelector: {matchLabels: {app: b}}
  ingress:
  - from: [{podSelector: {matchLabels: {app: a}}}]
    ports: [{port: 80}]
  - from: [{podSelector: {matchLabels: {app: c}}}]
    ports: [{port: 443}])"));
  EXPECT_TRUE(world.allows("x/a", "x/b", "TCP 80"));
  EXPECT_FALSE(world.allows("x/a", "x/b", "TCP 443"));
  EXPECT_TRUE(world.allows("x/c", "x/b", "TCP 443"));
  EXPECT_FALSE(world.allows("x/c", "x/b", "TCP 80"));
}

TEST(Rules, S09EmptyNullAndAbsentPeersAreEverybody) {
  for (const char* from : {"from: []", "from: null", "ports: [{port: 80}]"}) {
    const ManifestWorld world(
        policy_in_x("p", std::string("  podSelector: {}\n  ingress: [{") + from + "}]"));
    EXPECT_TRUE(world.allows("z/a", "x/a", "TCP 80")) << from;
    EXPECT_TRUE(world.allows("8.8.8.8", "x/a", "TCP 80")) << from;
    EXPECT_TRUE(world.allows("192.168.0.2", "x/a", "TCP 80")) << from;
  }
}

TEST(Rules, S10NoPortsIsEveryProtocolAndAnEmptyPortIsEveryTcpPort) {
  for (const char* ports : {"ports: []", "ports: null", "from: []"}) {
    const ManifestWorld world(
        policy_in_x("p", std::string("  podSelector: {}\n  ingress: [{") + ports + "}]"));
    for (const char* port : {"TCP 1", "UDP 65535", "SCTP 9", "ICMP", "protocol 50"}) {
      EXPECT_TRUE(world.allows("z/a", "x/a", port)) << ports << " " << port;
    }
  }
  const ManifestWorld tcp(policy_in_x("p", "  podSelector: {}\n  ingress: [{ports: [{}]}]"));
  EXPECT_TRUE(tcp.allows("z/a", "x/a", "TCP 1"));
  EXPECT_TRUE(tcp.allows("z/a", "x/a", "TCP 65535"));
  for (const char* port : {"UDP 1", "SCTP 1", "ICMP", "protocol 47"}) {
    EXPECT_FALSE(tcp.allows("z/a", "x/a", port)) << port;
  }
}

/// x/b takes what the `from` item says.
ManifestWorld b_from(std::string_view item) {
  return ManifestWorld(policy_in_x(
      "p", "  podSelector: {matchLabels: {app: b}}\n  ingress:\n  - from:\n" + std::string(item)));
}

TEST(Peers, S11SelectorsScopeCombineAndAlternate) {
  const ManifestWorld pods = b_from("    - podSelector: {matchLabels: {app: a}}");
  EXPECT_TRUE(pods.allows("x/a", "x/b", "TCP 80"));
  EXPECT_FALSE(pods.allows("z/a", "x/b", "TCP 80"));

  const ManifestWorld namespaces = b_from("    - namespaceSelector: {matchLabels: {team: z}}");
  EXPECT_TRUE(namespaces.allows("z/a", "x/b", "TCP 80"));
  EXPECT_TRUE(namespaces.allows("z/b", "x/b", "TCP 80"));
  EXPECT_FALSE(namespaces.allows("x/a", "x/b", "TCP 80"));

  const ManifestWorld both = b_from(
      "    - namespaceSelector: {matchLabels: {team: z}}\n"
      "      podSelector: {matchLabels: {app: a}}");
  EXPECT_TRUE(both.allows("z/a", "x/b", "TCP 80"));
  EXPECT_FALSE(both.allows("z/b", "x/b", "TCP 80"));
  EXPECT_FALSE(both.allows("x/a", "x/b", "TCP 80"));

  const ManifestWorld either = b_from(
      "    - namespaceSelector: {matchLabels: {team: z}}\n"
      "    - podSelector: {matchLabels: {app: a}}");
  EXPECT_TRUE(either.allows("z/b", "x/b", "TCP 80"));
  EXPECT_TRUE(either.allows("x/a", "x/b", "TCP 80"));
  EXPECT_FALSE(either.allows("x/c", "x/b", "TCP 80"));
}

TEST(Peers, S12EmptyPodSelectorIsTheWholeScopeAndNullIsAbsent) {
  const ManifestWorld own = b_from("    - podSelector: {}");
  EXPECT_TRUE(own.allows("x/c", "x/b", "TCP 80"));
  EXPECT_FALSE(own.allows("z/a", "x/b", "TCP 80"));
  const ManifestWorld all = b_from("    - namespaceSelector: {}\n      podSelector: null");
  EXPECT_TRUE(all.allows("x/c", "x/b", "TCP 80"));
  EXPECT_TRUE(all.allows("z/a", "x/b", "TCP 80"));
  EXPECT_FALSE(all.allows("8.8.8.8", "x/b", "TCP 80"));
}

TEST(Peers, S13NamespaceSelectorDoesNotImplyTheOwnNamespace) {
  const ManifestWorld world = b_from(
      "    - namespaceSelector: {matchExpressions: [{key: team, operator: NotIn, values: [x]}]}");
  EXPECT_TRUE(world.allows("z/a", "x/b", "TCP 80"));
  EXPECT_FALSE(world.allows("x/a", "x/b", "TCP 80"));
}

TEST(Peers, S14SelectorsMatchNothingButPods) {
  const ManifestWorld world = b_from("    - namespaceSelector: {}");
  EXPECT_FALSE(world.allows("192.168.0.2", "x/b", "TCP 80"));
  EXPECT_FALSE(world.allows("10.0.0.99", "x/b", "TCP 80"));
  EXPECT_FALSE(world.allows("8.8.8.8", "x/b", "TCP 80"));
}

TEST(Peers, S15ExceptNarrowsItsOwnBlockAndDeniesNothing) {
  const ManifestWorld world =
      b_from("    - ipBlock: {cidr: 8.0.0.0/8, except: [8.8.0.0/16, 8.8.8.0/24]}");
  EXPECT_TRUE(world.allows("8.0.0.0", "x/b", "TCP 80"));
  EXPECT_TRUE(world.allows("8.7.255.255", "x/b", "TCP 80"));
  EXPECT_FALSE(world.allows("8.8.0.0", "x/b", "TCP 80"));
  EXPECT_FALSE(world.allows("8.8.255.255", "x/b", "TCP 80"));
  EXPECT_TRUE(world.allows("8.9.0.0", "x/b", "TCP 80"));
  EXPECT_FALSE(world.allows("9.0.0.0", "x/b", "TCP 80"));
  const ManifestWorld overlap = b_from(
      "    - ipBlock: {cidr: 8.0.0.0/8, except: [8.8.0.0/16]}\n"
      "    - ipBlock: {cidr: 8.8.8.8/32}");
  EXPECT_TRUE(overlap.allows("8.8.8.8", "x/b", "TCP 80"));
  EXPECT_FALSE(overlap.allows("8.8.8.9", "x/b", "TCP 80"));
}

TEST(Peers, S16BlocksMatchPodAddresses) {
  const ManifestWorld world = b_from("    - ipBlock: {cidr: 10.0.1.1/32}");
  EXPECT_TRUE(world.allows("z/a", "x/b", "TCP 80"));
  EXPECT_FALSE(world.allows("z/b", "x/b", "TCP 80"));
  const ManifestWorld out(policy_in_x("p", R"(  podSelector: {matchLabels: {app: a}}
  policyTypes: [Egress]
  egress: [{to: [{ipBlock: {cidr: 10.0.1.2/32}}]}])"));
  EXPECT_TRUE(out.allows("x/a", "z/b", "TCP 80"));
  EXPECT_FALSE(out.allows("x/a", "z/a", "TCP 80"));
}

TEST(Peers, S17FamiliesNeverMixInBlocks) {
  const ManifestWorld v4 = b_from("    - ipBlock: {cidr: 0.0.0.0/0}");
  EXPECT_TRUE(v4.allows("x/a", "10.0.0.2", "TCP 80"));
  EXPECT_FALSE(v4.allows("fd00::1", "x/b", "TCP 80"));
  EXPECT_FALSE(v4.allows("2001:db8::1", "x/b", "TCP 80"));
  const ManifestWorld v6 = b_from("    - ipBlock: {cidr: \"::/0\"}");
  EXPECT_TRUE(v6.allows("fd00::1", "x/b", "TCP 80"));
  EXPECT_FALSE(v6.allows("8.8.8.8", "x/b", "TCP 80"));
}

}  // namespace
}  // namespace portcullis::policy
