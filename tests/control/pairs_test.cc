// SPDX-License-Identifier: MIT
#include "control/conntrack/pairs.h"

#include <gtest/gtest.h>

#include "tests/control/fake_publisher.h"
#include "tests/support/tuple.h"

namespace portcullis::control {
namespace {

using dataplane::FlowGroup;
using nlohmann::json;
using test::tuple;

policy::Pod pod(const std::string& name, const std::string& address, policy::Labels labels = {}) {
  return {.name_space = "shop",
          .name = name,
          .labels = std::move(labels),
          .addresses = {*parse_ip(address)}};
}

/// Two replicas of web, db-0, a node, and a pod that has ended.
policy::Snapshot cluster() {
  policy::Snapshot snapshot;
  const policy::Labels of_web{{"pod-template-hash", "5d9"}};
  snapshot.pods = {
      pod("web-5d9-abcde", "10.0.0.1", of_web),
      pod("web-5d9-fghij", "10.0.0.3", of_web),
      pod("db-0",
          "10.0.0.2",
          {{"controller-revision-hash", "db-1"}, {"statefulset.kubernetes.io/pod-name", "db-0"}}),
      pod("ended", "10.0.0.9")};
  snapshot.pods.back().terminated = true;
  snapshot.nodes = {{.name = "n1", .addresses = {*parse_ip("192.0.2.1")}}};
  return snapshot;
}

FlowPairs pairs(const std::vector<FlowGroup>& groups) {
  FakePublisher publisher;
  const Reconcile reconcile(open_by_default(), publisher);
  const Prepared prepared = reconcile.prepare(shop({80}));
  return pairs_of(groups, cluster(), {.table = *prepared->table, .keys = prepared->rule_keys});
}

FlowGroup group(const char* from, const char* to, std::uint16_t port, std::uint64_t flows) {
  return {.key = tuple(from, 0, to, port), .flows = flows};
}

TEST(Pairs, PutTheFlowsOfReplicasTogether) {
  const FlowPairs found =
      pairs({group("10.0.0.1", "10.0.0.2", 81, 5),
             {.key = tuple("10.0.0.3", 0, "10.0.0.2", 81), .flows = 7, .error = 2},
             group("10.0.0.1", "10.0.0.2", 82, 40)});
  EXPECT_EQ(found.total, 2U);
  ASSERT_EQ(found.shown.size(), 2U);
  EXPECT_EQ(found.shown[0]["port"], 82);
  EXPECT_EQ(found.shown[1]["flows"], 12);
  EXPECT_EQ(found.shown[1]["at_least"], 10);
  EXPECT_EQ(found.shown[1]["source"], "shop/web");
  EXPECT_EQ(found.shown[1]["source_kind"], "Deployment");
  EXPECT_EQ(found.shown[1]["destination_kind"], "StatefulSet");
  EXPECT_EQ(found.shown[1]["denied_by"]["policy"], "shop/db");
}

TEST(Pairs, NameNodesAndAddressesThatAreNoPods) {
  const FlowPairs found = pairs({group("192.0.2.1", "10.0.0.2", 81, 3),
                                 group("203.0.113.7", "10.0.0.2", 81, 2),
                                 group("10.0.0.9", "10.0.0.2", 81, 1)});
  ASSERT_EQ(found.shown.size(), 3U);
  EXPECT_EQ(found.shown[0]["source"], "node/n1");
  EXPECT_EQ(found.shown[0]["source_kind"], "Node");
  EXPECT_EQ(found.shown[1]["source"], "203.0.113.7");
  EXPECT_EQ(found.shown[1]["source_kind"], "Address");
  EXPECT_EQ(found.shown[2]["source"], "10.0.0.9") << "a pod that has ended owns nothing";
}

TEST(Pairs, HaveNoPortWhereTheyAreQueries) {
  FlowGroup ping = group("10.0.0.1", "10.0.0.2", 8 << 8, 1);
  ping.key.protocol = classifier::kProtocolIcmp;
  const FlowPairs found = pairs({ping});
  EXPECT_EQ(found.shown[0]["protocol"], "ICMP");
  EXPECT_FALSE(found.shown[0].contains("port"));
}

TEST(Pairs, NameNoRuleWhereTheTableAllowsSuchAFlow) {
  EXPECT_TRUE(pairs({group("10.0.0.1", "10.0.0.2", 80, 1)}).shown[0]["denied_by"].is_null());
}

TEST(Pairs, AreBoundedAndCounted) {
  std::vector<FlowGroup> groups;
  for (std::uint16_t port = 1000; port < 1100; ++port) {
    groups.push_back(group("10.0.0.1", "10.0.0.2", port, port));
  }
  const FlowPairs found = pairs(groups);
  EXPECT_EQ(found.total, 100U);
  ASSERT_EQ(found.shown.size(), 20U);
  EXPECT_EQ(found.shown[0]["port"], 1099);
}

}  // namespace
}  // namespace portcullis::control
