// SPDX-License-Identifier: MIT
// NetworkPolicy as the API states it: one test for each statement about ports, special traffic and
// label selectors. The numbers are those of docs/policy_semantics.md.
#include <gtest/gtest.h>

#include "tests/support/manifest_world.h"

namespace portcullis::policy {
namespace {

using classifier::DefaultMode;
using test::ManifestWorld;
using test::policy_in_x;

/// Every pod of x takes what `ports` says, from anybody.
ManifestWorld x_on(std::string_view ports) {
  return ManifestWorld(
      policy_in_x("p", "  podSelector: {}\n  ingress: [{ports: " + std::string(ports) + "}]"));
}

TEST(Ports, S19NumberRangeOrWholeProtocol) {
  const ManifestWorld one = x_on("[{port: 80}]");
  EXPECT_FALSE(one.allows("z/a", "x/a", "TCP 79"));
  EXPECT_TRUE(one.allows("z/a", "x/a", "TCP 80"));
  EXPECT_FALSE(one.allows("z/a", "x/a", "TCP 81"));
  const ManifestWorld range = x_on("[{port: 80, endPort: 82, protocol: UDP}]");
  EXPECT_FALSE(range.allows("z/a", "x/a", "UDP 79"));
  EXPECT_TRUE(range.allows("z/a", "x/a", "UDP 80"));
  EXPECT_TRUE(range.allows("z/a", "x/a", "UDP 82"));
  EXPECT_FALSE(range.allows("z/a", "x/a", "UDP 83"));
  const ManifestWorld same = x_on("[{port: 80, endPort: 80}]");
  EXPECT_TRUE(same.allows("z/a", "x/a", "TCP 80"));
  EXPECT_FALSE(same.allows("z/a", "x/a", "TCP 81"));
  const ManifestWorld whole = x_on("[{protocol: SCTP}]");
  EXPECT_TRUE(whole.allows("z/a", "x/a", "SCTP 1"));
  EXPECT_TRUE(whole.allows("z/a", "x/a", "SCTP 65535"));
  EXPECT_FALSE(whole.allows("z/a", "x/a", "TCP 1"));
}

TEST(Ports, S20NamesResolveOnTheDestinationPodAndProtocol) {
  const ManifestWorld in = x_on("[{port: http}]");
  EXPECT_TRUE(in.allows("z/a", "x/b", "TCP 8080"));
  EXPECT_FALSE(in.allows("z/a", "x/b", "TCP 80"));
  EXPECT_TRUE(in.allows("z/a", "x/c", "TCP 80"));
  EXPECT_TRUE(in.allows("z/a", "x/c", "TCP 81"));
  EXPECT_FALSE(in.allows("z/a", "x/c", "TCP 8080"));
  EXPECT_FALSE(in.allows("z/a", "x/a", "TCP 80"));
  EXPECT_FALSE(in.allows("z/a", "x/b", "UDP 8080"));
  EXPECT_FALSE(x_on("[{port: http, protocol: UDP}]").allows("z/a", "x/b", "TCP 8080"));
  EXPECT_TRUE(x_on("[{port: dns, protocol: UDP}]").allows("z/a", "x/b", "UDP 53"));
  EXPECT_FALSE(x_on("[{port: dns}]").allows("z/a", "x/b", "TCP 53"));

  const ManifestWorld out(policy_in_x("p", R"(  podSelector: {matchLabels: {app: a}}
  policyTypes: [Egress]
  egress: [{ports: [{port: http}, {port: http, protocol: UDP}]}])"));
  EXPECT_TRUE(out.allows("x/a", "x/b", "TCP 8080"));
  EXPECT_TRUE(out.allows("x/a", "x/c", "TCP 81"));
  EXPECT_FALSE(out.allows("x/a", "x/c", "TCP 8080"));
  EXPECT_TRUE(out.allows("x/a", "z/b", "UDP 8080"));
  EXPECT_FALSE(out.allows("x/a", "z/b", "TCP 8080"));
  EXPECT_FALSE(out.allows("x/a", "8.8.8.8", "TCP 8080"));
  EXPECT_FALSE(out.allows("x/a", "192.168.0.2", "TCP 80"));
}

TEST(Ports, S21NumbersNeedNoDeclaration) {
  EXPECT_TRUE(x_on("[{port: 9999}]").allows("z/a", "x/a", "TCP 9999"));
}

TEST(Ports, S22ProtocolsAreDistinctAndAllIsolate) {
  const ManifestWorld world = x_on("[{port: 80, protocol: SCTP}]");
  EXPECT_TRUE(world.allows("z/a", "x/a", "SCTP 80"));
  EXPECT_FALSE(world.allows("z/a", "x/a", "TCP 80"));
  EXPECT_FALSE(world.allows("z/a", "x/a", "UDP 80"));
  EXPECT_FALSE(world.allows("z/a", "x/a", "SCTP 81"));
}

TEST(Ports, S23NamesBesideBlocksResolveOnThePodThere) {
  const ManifestWorld world(policy_in_x("p", R"(  podSelector: {matchLabels: {app: a}}
  policyTypes: [Egress]
  egress: [{to: [{ipBlock: {cidr: 10.0.0.0/24, except: [10.0.0.3/32]}}], ports: [{port: http}]}])"));
  EXPECT_TRUE(world.allows("x/a", "x/b", "TCP 8080"));
  EXPECT_FALSE(world.allows("x/a", "x/b", "TCP 80"));
  EXPECT_FALSE(world.allows("x/a", "x/c", "TCP 80"));
  EXPECT_FALSE(world.allows("x/a", "10.0.0.77", "TCP 8080"));
  // The block speaks of one family only.
  EXPECT_FALSE(world.allows("x/a", "fd00::2", "TCP 8080"));
}

TEST(Ports, S23RestartableInitContainersDeclareNames) {
  const ManifestWorld world(
      policy_in_x("p", "  podSelector: {}\n  ingress: [{ports: [{port: side}]}]") +
      R"(
---
{apiVersion: v1, kind: Pod, metadata: {name: i, namespace: x},
 spec: {initContainers: [
     {name: s, image: i, restartPolicy: Always, ports: [{name: side, containerPort: 7}]},
     {name: t, image: i, ports: [{name: side, containerPort: 8}]}],
   containers: [{name: m, image: i}]},
 status: {phase: Running, podIP: 10.0.0.9}}
)");
  EXPECT_TRUE(world.allows("z/a", "x/i", "TCP 7"));
  EXPECT_FALSE(world.allows("z/a", "x/i", "TCP 8"));
}

const std::string kShutX = policy_in_x("shut", "  policyTypes: [Ingress, Egress]");

TEST(Special, S24PodReachesItself) {
  for (const DefaultMode mode : {DefaultMode::kubernetes, DefaultMode::deny}) {
    const ManifestWorld world(kShutX, mode);
    EXPECT_TRUE(world.allows("x/a", "x/a", "TCP 80"));
    EXPECT_TRUE(world.allows("fd00::1", "fd00::1", "ICMP"));
  }
}

TEST(Special, S25OwnNodePassesBothWaysAndOtherNodesDoNot) {
  for (const DefaultMode mode : {DefaultMode::kubernetes, DefaultMode::deny}) {
    const ManifestWorld world(kShutX, mode);
    EXPECT_TRUE(world.allows("192.168.0.1", "x/a", "TCP 80"));
    EXPECT_TRUE(world.allows("x/a", "192.168.0.1", "UDP 53"));
    EXPECT_FALSE(world.allows("192.168.0.2", "x/a", "TCP 80"));
    EXPECT_FALSE(world.allows("x/a", "192.168.0.2", "TCP 80"));
    EXPECT_TRUE(world.allows("192.168.0.2", "x/c", "TCP 80"));
  }
  const ManifestWorld block(policy_in_x(
      "p", "  podSelector: {}\n  ingress: [{from: [{ipBlock: {cidr: 192.168.0.2/32}}]}]"));
  EXPECT_TRUE(block.allows("192.168.0.2", "x/a", "TCP 80"));
}

/// x/h runs on n2's network, where z/a and x/c run too.
const std::string kHostPod = R"(
---
{apiVersion: v1, kind: Pod, metadata: {name: h, namespace: x, labels: {app: h}},
 spec: {nodeName: n2, hostNetwork: true, containers: [{name: m, image: i}]},
 status: {phase: Running, podIP: 192.168.0.2, hostIP: 192.168.0.2}}
)";

TEST(Special, S26HostNetworkPodsAreNodeTraffic) {
  const ManifestWorld selected(
      policy_in_x("p", "  podSelector: {}\n  ingress: [{from: [{podSelector: {}}]}]") + kHostPod);
  EXPECT_FALSE(selected.allows("x/h", "x/a", "TCP 80"));  // Selectors do not see it.
  EXPECT_TRUE(selected.allows("x/h", "x/c", "TCP 80"));   // Its node is x/c's own.
  EXPECT_TRUE(selected.allows("z/b", "x/h", "TCP 80"));   // Nothing isolates it.
  const ManifestWorld block(
      policy_in_x("p",
                  "  podSelector: {}\n  ingress: [{from: [{ipBlock: {cidr: 192.168.0.2/32}}]}]") +
      kHostPod);
  EXPECT_TRUE(block.allows("x/h", "x/a", "TCP 80"));
}

TEST(Special, S27RulesWithoutPortsCoverEveryProtocol) {
  const ManifestWorld shut(kShutX);
  EXPECT_FALSE(shut.allows("z/a", "x/a", "ICMP"));
  EXPECT_FALSE(shut.allows("z/a", "x/a", "protocol 47"));
  const ManifestWorld open = x_on("[]");
  EXPECT_TRUE(open.allows("z/a", "x/a", "ICMP"));
  EXPECT_TRUE(open.allows("2001:db8::1", "x/a", "ICMP"));
  const ManifestWorld ports = x_on("[{protocol: TCP}, {protocol: UDP}, {protocol: SCTP}]");
  EXPECT_FALSE(ports.allows("z/a", "x/a", "ICMP"));
  EXPECT_FALSE(ports.allows("z/a", "x/a", "protocol 47"));
}

std::string pod_in_x(std::string_view name, std::string_view phase, std::string_view status) {
  return "\n---\n{apiVersion: v1, kind: Pod, metadata: {name: " + std::string(name) +
         ", namespace: x, labels: {app: job}}, spec: {nodeName: n1, containers: [{name: m, image: "
         "i}]}, status: {phase: " +
         std::string(phase) + std::string(status) + "}}\n";
}

TEST(Special, S28EndedPodsHoldNothing) {
  const std::string job = policy_in_x("p", "  podSelector: {matchLabels: {app: job}}") +
                          policy_in_x("q", R"(  podSelector: {matchLabels: {app: b}}
  ingress: [{from: [{podSelector: {matchLabels: {app: job}}}]}])");
  for (const char* phase : {"Succeeded", "Failed"}) {
    // z/a has the address now: it inherits neither isolation nor labels.
    const ManifestWorld world(job + pod_in_x("j", phase, ", podIP: 10.0.1.1"));
    EXPECT_TRUE(world.allows("x/a", "z/a", "TCP 80")) << phase;
    EXPECT_FALSE(world.allows("z/a", "x/b", "TCP 80")) << phase;
  }
  for (const char* phase : {"Pending", "Unknown", "Running"}) {
    const ManifestWorld world(job + pod_in_x("j", phase, ", podIP: 10.0.0.9"));
    EXPECT_FALSE(world.allows("x/a", "x/j", "TCP 80")) << phase;
    EXPECT_TRUE(world.allows("x/j", "x/b", "TCP 80")) << phase;
  }
  const ManifestWorld waiting(job + pod_in_x("j", "Pending", ""));
  EXPECT_FALSE(waiting.allows("8.8.8.8", "x/b", "TCP 80"));
}

TEST(Special, S29EveryAddressOfAPodCounts) {
  const ManifestWorld world(policy_in_x("p", R"(  podSelector: {matchLabels: {app: b}}
  ingress: [{from: [{podSelector: {matchLabels: {app: a}}}], ports: [{port: http}]}])"));
  EXPECT_TRUE(world.allows("10.0.0.1", "10.0.0.2", "TCP 8080"));
  EXPECT_TRUE(world.allows("fd00::1", "fd00::2", "TCP 8080"));
  EXPECT_FALSE(world.allows("fd00::9", "fd00::2", "TCP 8080"));
  EXPECT_FALSE(world.allows("fd00::1", "fd00::2", "TCP 80"));
}

TEST(Special, S30MetadataNameIsNotMadeUp) {
  const ManifestWorld world(policy_in_x("p", R"(  podSelector: {matchLabels: {app: b}}
  ingress: [{from: [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: z}}}]}])"));
  EXPECT_FALSE(world.allows("z/a", "x/b", "TCP 80"));
}

/// Whether z/a may reach x/a, x/b, x/c when the policy's podSelector isolates: "a", "bc", ...
std::string isolated_by(std::string_view selector) {
  const ManifestWorld world(policy_in_x("p", "  podSelector: " + std::string(selector)));
  std::string pods;
  for (const char* pod : {"a", "b", "c"}) {
    if (!world.allows("z/a", std::string("x/") + pod, "TCP 80")) {
      pods += pod;
    }
  }
  return pods;
}

TEST(Selectors, S31RequirementsAreAndedAndAMissingKeyIsNotEmpty) {
  EXPECT_EQ(isolated_by("{}"), "abc");
  EXPECT_EQ(isolated_by("{matchLabels: {app: a}}"), "a");
  EXPECT_EQ(isolated_by("{matchLabels: {app: a, tier: back}}"), "");
  EXPECT_EQ(isolated_by("{matchLabels: {env: \"\"}}"), "c");
  EXPECT_EQ(
      isolated_by("{matchLabels: {app: c}, matchExpressions: [{key: env, operator: Exists}]}"),
      "c");
}

TEST(Selectors, S32OperatorsAndTheMissingKey) {
  EXPECT_EQ(isolated_by("{matchExpressions: [{key: tier, operator: In, values: [front, x]}]}"),
            "a");
  EXPECT_EQ(isolated_by("{matchExpressions: [{key: tier, operator: NotIn, values: [front]}]}"),
            "bc");
  EXPECT_EQ(isolated_by("{matchExpressions: [{key: env, operator: NotIn, values: [\"\"]}]}"), "ab");
  EXPECT_EQ(isolated_by("{matchExpressions: [{key: env, operator: Exists}]}"), "c");
  EXPECT_EQ(isolated_by("{matchExpressions: [{key: env, operator: DoesNotExist}]}"), "ab");
}

TEST(Selectors, S33KeysAndValuesAreExact) {
  EXPECT_EQ(isolated_by("{matchLabels: {App: a}}"), "");
  EXPECT_EQ(isolated_by("{matchLabels: {app: A}}"), "");
  EXPECT_EQ(isolated_by("{matchLabels: {k8s.io/app: a}}"), "");
  EXPECT_EQ(isolated_by("{matchExpressions: [{key: app, operator: Exists, values: []}]}"), "abc");
}

TEST(DenyMode, WhatNothingAllowsIsDenied) {
  const ManifestWorld world(policy_in_x("in", "  podSelector: {}\n  ingress: [{}]") +
                                policy_in_x("out", "  policyTypes: [Egress]\n  egress: [{}]"),
                            DefaultMode::deny);
  EXPECT_TRUE(world.allows("x/a", "x/b", "TCP 80"));
  EXPECT_FALSE(world.allows("x/a", "z/b", "TCP 80"));        // Nothing allows z's ingress.
  EXPECT_FALSE(world.allows("z/a", "x/b", "TCP 80"));        // Nor its egress.
  EXPECT_TRUE(world.allows("8.8.8.8", "x/b", "TCP 80"));     // No pod, nobody to ask.
  EXPECT_FALSE(world.allows("10.0.0.77", "x/b", "TCP 80"));  // In the pod CIDRs, nobody's.
  EXPECT_FALSE(world.allows("8.8.8.8", "9.9.9.9", "TCP 80"));
}

}  // namespace
}  // namespace portcullis::policy
