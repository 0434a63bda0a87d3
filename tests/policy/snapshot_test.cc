// SPDX-License-Identifier: MIT
// load(), read_manifests() and digest(): whole manifests, and what holds between objects.
#include "policy/snapshot.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include <unistd.h>

#include <gtest/gtest.h>

#include "tests/policy/load.h"

namespace portcullis::policy {
namespace {

constexpr std::string_view kShop = R"(# A small shop.
apiVersion: v1
kind: Namespace
metadata: {name: shop, labels: {team: blue}}
---
apiVersion: v1
kind: Node
metadata:
  name: n1
  labels: {zone: a}
spec:
  podCIDR: 10.0.0.0/24
  podCIDRs: [10.0.0.0/24, "fd00::/64"]
status:
  addresses:
  - {type: InternalIP, address: 192.168.0.1}
  - {type: Hostname, address: n1}
---
apiVersion: v1
kind: Pod
metadata:
  name: web
  namespace: shop
  labels: {app: web, "b": "1"}
spec:
  nodeName: n1
  containers:
  - name: web
    ports:
    - {name: http, containerPort: 8080}
    - {name: dns, containerPort: 53, protocol: UDP}
  initContainers:
  - name: proxy
    restartPolicy: Always
    ports: [{containerPort: 15001}]
  - name: once
    ports: [{containerPort: 1}]
status:
  phase: Running
  podIP: 10.0.0.5
  podIPs: [{ip: 10.0.0.5}, {ip: "fd00::5"}]
  hostIP: 192.168.0.1
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: web, namespace: shop}
spec:
  podSelector: {matchLabels: {app: web}}
  ingress:
  - from:
    - podSelector: {}
      namespaceSelector: {matchExpressions: [{key: team, operator: NotIn, values: [red]}]}
    - ipBlock: {cidr: 10.0.0.0/8, except: [10.1.0.0/16]}
    ports:
    - port: http
    - {port: 8000, endPort: 8080, protocol: UDP}
    - {}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {ports: [{port: 1}]}
)";

TEST(Load, ReadsEveryKindThatPoliciesSpeakOf) {
  const Loaded loaded = load_text(kShop);
  ASSERT_TRUE(loaded.ok()) << complaints(loaded);
  EXPECT_EQ(complaints(loaded), "");
  const Snapshot& world = loaded.snapshot;
  ASSERT_EQ(world.namespaces.size(), 1U);
  EXPECT_EQ(world.namespaces[0].labels, (Labels{{"team", "blue"}}));
  EXPECT_EQ(to_string(world.namespaces[0].where), "m.yaml:2:1");
  ASSERT_EQ(world.nodes.size(), 1U);
  EXPECT_EQ(world.nodes[0].addresses.size(), 1U);
  ASSERT_EQ(world.nodes[0].pod_cidrs.size(), 2U);
  EXPECT_EQ(to_string(world.nodes[0].pod_cidrs[1]), "fd00::/64");
  ASSERT_EQ(world.pods.size(), 1U);
  const Pod& pod = world.pods[0];
  EXPECT_EQ(pod.labels, (Labels{{"app", "web"}, {"b", "1"}}));
  EXPECT_EQ(pod.node, "n1");
  EXPECT_FALSE(pod.terminated);
  ASSERT_EQ(pod.addresses.size(), 2U);
  EXPECT_EQ(to_string(pod.addresses[1]), "fd00::5");
  EXPECT_EQ(pod.host_addresses.size(), 1U);
  ASSERT_EQ(pod.ports.size(), 3U);
  EXPECT_EQ(pod.ports[0].name, "http");
  EXPECT_EQ(pod.ports[0].protocol, 6);
  EXPECT_EQ(pod.ports[1].protocol, 17);
  EXPECT_EQ(pod.ports[2].number, 15001);
  EXPECT_EQ(world.skipped, (std::map<std::string, std::size_t>{{"v1/Service", 1}}));
}

TEST(Load, ReadsANetworkPolicyWithItsDefaults) {
  const Loaded loaded = load_text(kShop);
  ASSERT_EQ(loaded.snapshot.policies.size(), 1U);
  const NetworkPolicy& policy = loaded.snapshot.policies[0];
  EXPECT_EQ(policy.name_space, "shop");
  EXPECT_TRUE(policy.isolates_ingress);
  EXPECT_FALSE(policy.isolates_egress);
  ASSERT_EQ(policy.subjects.requirements.size(), 1U);
  EXPECT_EQ(policy.subjects.requirements[0].values, (std::vector<std::string>{"web"}));
  ASSERT_EQ(policy.ingress.size(), 1U);
  const PolicyRule& rule = policy.ingress[0];
  EXPECT_EQ(to_string(rule.where), "m.yaml:50:5");
  ASSERT_EQ(rule.peers.size(), 2U);
  const auto& pods = std::get<PodPeer>(rule.peers[0]);
  ASSERT_TRUE(pods.namespaces);
  EXPECT_EQ(pods.namespaces->requirements[0].op, Requirement::Operator::not_in);
  EXPECT_TRUE(pods.pods.requirements.empty());
  const auto& block = std::get<classifier::Block>(rule.peers[1]);
  EXPECT_EQ(to_string(block.cidr), "10.0.0.0/8");
  ASSERT_EQ(block.except.size(), 1U);
  ASSERT_EQ(rule.ports.size(), 3U);
  EXPECT_EQ(rule.ports[0].name, "http");
  EXPECT_FALSE(rule.ports[0].first);
  EXPECT_EQ(rule.ports[1].first, 8000);
  EXPECT_EQ(rule.ports[1].last, 8080);
  EXPECT_EQ(rule.ports[1].protocol, 17);
  EXPECT_EQ(rule.ports[2].protocol, 6);
  EXPECT_TRUE(rule.ports[2].name.empty());
  EXPECT_FALSE(rule.ports[2].first);
}

}  // namespace
}  // namespace portcullis::policy
