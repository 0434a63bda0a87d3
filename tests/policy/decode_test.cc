// SPDX-License-Identifier: MIT
// Kinds, lists, metadata, and the objects of the cluster.
#include "policy/manifest/decode.h"

#include <string>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>

#include "tests/policy/load.h"

namespace portcullis::policy {
namespace {

/// Expects one diagnostic, which holds `words`.
void expect_error(std::string_view text, std::string_view words) {
  const Loaded loaded = load_text(text);
  ASSERT_EQ(loaded.diagnostics.size(), 1U) << text << "\n" << complaints(loaded);
  EXPECT_FALSE(loaded.ok()) << text;
  EXPECT_NE(complaints(loaded).find(words), std::string::npos) << text << "\n"
                                                               << complaints(loaded);
}

std::string object(std::string_view api_version, std::string_view kind) {
  return "{apiVersion: " + std::string(api_version) + ", kind: " + std::string(kind) +
         ", metadata: {name: a}}";
}

TEST(DecodeKind, RefusesPoliciesThatNobodyWouldEnforce) {
  for (const auto& [version, kind] : {std::pair{"extensions/v1beta1", "NetworkPolicy"},
                                      std::pair{"networking.k8s.io/v1beta1", "NetworkPolicy"},
                                      std::pair{"networking.k8s.io/v2", "NetworkPolicy"},
                                      std::pair{"v1", "NetworkPolicy"},
                                      std::pair{"networking.k8s.io/v1", "networkpolicy"},
                                      std::pair{"cilium.io/v2", "CiliumNetworkPolicy"},
                                      std::pair{"projectcalico.org/v3", "GlobalNetworkPolicy"},
                                      std::pair{"crd.antrea.io/v1beta1", "ClusterNetworkPolicy"}}) {
    expect_error(object(version, kind),
                 "no matches for kind \"" + std::string(kind) + "\" in version \"" + version);
  }
  for (const char* kind : {"ClusterNetworkPolicy", "AdminNetworkPolicy", "Whatever"}) {
    expect_error(object("policy.networking.k8s.io/v1alpha2", kind), "is not enforced yet");
  }
}

TEST(DecodeKind, RefusesKindsThatDoNotExist) {
  expect_error(object("v1", "pod"),
               "no matches for kind \"pod\" in version \"v1\"; did you mean \"Pod\"?");
  expect_error(object("v2", "Pod"), "no matches for kind \"Pod\" in version \"v2\"");
  expect_error(object("networking.k8s.io/v1", "NetworkPolcy"), "did you mean \"NetworkPolicy\"?");
  expect_error("{kind: Pod, metadata: {name: a}}", "apiVersion: Required value");
  expect_error("{apiVersion: v1, metadata: {name: a}}", "kind: Required value");
  expect_error("{apiVersion: 1, kind: Pod}", "cannot unmarshal number into a field of type string");
  expect_error("[]", "cannot unmarshal array into a field of type object");
  expect_error("hello", "cannot unmarshal string into a field of type object");
}

TEST(DecodeKind, SkipsAndCountsTheUnrelated) {
  const Loaded loaded = load_text(object("v1", "Service") + "\n---\n" + object("v1", "Service") +
                                  "\n---\n" + object("apps/v1", "Deployment") + "\n---\n" +
                                  object("networking.k8s.io/v1", "Ingress"));
  EXPECT_TRUE(loaded.ok()) << complaints(loaded);
  EXPECT_EQ(
      loaded.snapshot.skipped,
      (std::map<std::string, std::size_t>{
          {"v1/Service", 2}, {"apps/v1/Deployment", 1}, {"networking.k8s.io/v1/Ingress", 1}}));
}

TEST(DecodeList, UnwrapsEveryListAndImpliesTheTypeOfItsItems) {
  const Loaded loaded = load_text(R"(
{apiVersion: v1, kind: List, items: [
  {apiVersion: v1, kind: Namespace, metadata: {name: a}},
  {apiVersion: v1, kind: PodList, items: [{metadata: {name: x, namespace: a}}]}]}
---
{apiVersion: networking.k8s.io/v1, kind: NetworkPolicyList, metadata: {},
 items: [{metadata: {name: p}}]}
---
{apiVersion: v1, kind: NamespaceList, items: [{metadata: {name: b}}]}
---
{apiVersion: v1, kind: NodeList, items: [{metadata: {name: n1}}]}
---
{apiVersion: v1, kind: ServiceList, items: [{}, {}]}
)");
  EXPECT_EQ(complaints(loaded), "");
  EXPECT_EQ(loaded.snapshot.pods.size(), 1U);
  EXPECT_EQ(loaded.snapshot.namespaces.size(), 2U);
  EXPECT_EQ(loaded.snapshot.nodes.size(), 1U);
  EXPECT_EQ(loaded.snapshot.policies.size(), 1U);
  EXPECT_EQ(loaded.snapshot.skipped.at("v1/Service"), 2U);
}

TEST(DecodeList, RefusesListsThatLoseTheirItems) {
  expect_error("{apiVersion: v1, kind: List, item: []}", "did you mean \"items\"?");
  expect_error("{apiVersion: v1, kind: List, items: {}}",
               "cannot unmarshal object into a field of type list");
  expect_error("{apiVersion: cilium.io/v2, kind: CiliumNetworkPolicyList, items: [{}]}",
               "no matches for kind");
}

TEST(DecodeMetadata, ChecksNamesLabelsAndAnnotations) {
  const auto pod = [](std::string_view metadata) {
    return "{apiVersion: v1, kind: Pod, metadata: {" + std::string(metadata) + "}}";
  };
  expect_error(
      pod("name: A"),
      "Pod default/A: metadata.name: Invalid value: \"A\": a lowercase RFC 1123 subdomain");
  expect_error(pod("name: " + std::string(254, 'a')), "must be no more than 253 characters");
  expect_error(pod("name: 1"), "metadata.name: cannot unmarshal number");
  expect_error(pod("namespace: a"),
               "metadata.name: Required value: name or generateName is required");
  expect_error(pod("generateName: A-"), "metadata.generateName: Invalid value: \"A-\"");
  expect_error(pod("name: a, labels: {a: 1}"), "metadata.labels: cannot unmarshal number");
  expect_error(pod("name: a, labels: {a: -}"),
               "metadata.labels: Invalid value: \"-\": a valid label");
  expect_error(pod("name: a, annotations: {'a b': c}"),
               "metadata.annotations: Invalid value: \"a b\"");
  expect_error(pod("name: a, annotations: {a: " + std::string(270'000, 'x') + "}"),
               "metadata.annotations: Too long: may not be more than 262144 bytes");
  expect_error("{apiVersion: v1, kind: Namespace, metadata: {name: a.b}}", "must not contain dots");
  expect_error("{apiVersion: v1, kind: Node, metadata: {name: a, namespace: b}}",
               "metadata.namespace: Forbidden: not allowed on this type");
  expect_error("{apiVersion: v1, kind: Namespace, metadata: []}",
               "metadata: cannot unmarshal array");
  const std::string policy = "{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {";
  expect_error(policy + "name: a, namespace: B}}",
               "metadata.namespace: Invalid value: \"B\": a lowercase RFC 1123 label");
}

TEST(DecodePod, ChecksTheFieldsThatDecide) {
  const auto pod = [](std::string_view rest) {
    return "{apiVersion: v1, kind: Namespace, metadata: {name: default}}\n---\n"
           "{apiVersion: v1, kind: Pod, metadata: {name: a}, " +
           std::string(rest) + "}";
  };
  expect_error(pod("status: {podIP: 10.0.0}"),
               "status.podIP: Invalid value: \"10.0.0\": must be a valid IP address");
  expect_error(pod("status: {podIPs: [{ip: x}]}"), "status.podIPs[0].ip: Invalid value");
  expect_error(pod("status: {phase: 1}"), "status.phase: cannot unmarshal number");
  expect_error(pod("spec: {hostNetwork: 'yes'}"),
               "spec.hostNetwork: cannot unmarshal string into a field of type bool");
  const auto ports = [&](std::string_view text) {
    return pod("spec: {containers: [{ports: [" + std::string(text) + "]}]}");
  };
  expect_error(ports("{}"), "spec.containers[0].ports[0].containerPort: Required value");
  expect_error(ports("{containerPort: 0}"), "must be between 1 and 65535, inclusive");
  expect_error(ports("{containerPort: 80, protocol: tcp}"), "Unsupported value: \"tcp\"");
  expect_error(ports("{containerPort: 80, name: aA}"),
               "spec.containers[0].ports[0].name: Invalid value: \"aA\"");
  expect_error(ports("{containerPort: 80, name: a}, {containerPort: 81, name: a}"),
               "spec.containers[0].ports[1].name: Duplicate value: \"a\"");
}

TEST(DecodePod, ReadsAddressesPhaseAndHostNetwork) {
  const Loaded loaded = load_text(R"(
{apiVersion: v1, kind: Namespace, metadata: {name: default}}
---
{apiVersion: v1, kind: Pod, metadata: {name: a}, spec: {hostNetwork: true, unknown: 1},
 status: {phase: Failed, podIP: 10.0.0.1, podIPs: [], hostIP: 10.1.0.1,
          hostIPs: [{ip: 10.1.0.1}, {ip: 'fd00::1'}]}}
---
{apiVersion: v1, kind: Pod, metadata: {generateName: b-}, status: {phase: Succeeded}}
---
{apiVersion: v1, kind: Pod, metadata: {generateName: b-}, status: {phase: Pending, podIP: ""}}
)");
  ASSERT_EQ(complaints(loaded), "");
  ASSERT_EQ(loaded.snapshot.pods.size(), 3U);
  const Pod& first = loaded.snapshot.pods[0];
  EXPECT_TRUE(first.host_network);
  EXPECT_TRUE(first.terminated);
  EXPECT_EQ(first.addresses.size(), 1U);
  EXPECT_EQ(first.host_addresses.size(), 2U);
  EXPECT_TRUE(loaded.snapshot.pods[1].terminated);
  EXPECT_FALSE(loaded.snapshot.pods[2].terminated);
  EXPECT_TRUE(loaded.snapshot.pods[2].addresses.empty());
}

}  // namespace
}  // namespace portcullis::policy
