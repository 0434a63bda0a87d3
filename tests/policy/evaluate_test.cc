// SPDX-License-Identifier: MIT
// The direct evaluator on clusters small enough to judge by hand.
#include "policy/evaluate.h"

#include <gtest/gtest.h>

#include "tests/support/cluster.h"

namespace portcullis::policy {
namespace {

using namespace test;
using classifier::DefaultMode;
using classifier::kProtocolIcmp;
using classifier::kProtocolSctp;
using classifier::kProtocolTcp;
using classifier::kProtocolUdp;

const LowerOptions kOpen{DefaultMode::kubernetes, {}};
const LowerOptions kDeny{DefaultMode::deny, {cidr("10.0.0.0/24")}};

/// shop/web 10.0.0.1 and shop/db 10.0.0.2 on node n1 (192.168.0.1), ops/mon 10.0.0.3.
Snapshot shop() {
  Snapshot snapshot;
  snapshot.namespaces = {{"ops", {{"team", "ops"}}, {}}, {"shop", {{"team", "shop"}}, {}}};
  snapshot.nodes = {{"n1", {}, {ip("192.168.0.1")}, {}, {}},
                    {"n2", {}, {ip("192.168.0.2")}, {}, {}}};
  snapshot.pods = {pod("ops", "mon", {"10.0.0.3", "fd00::3"}, {{"app", "mon"}}),
                   pod("shop", "db", {"10.0.0.2", "fd00::2"}, {{"app", "db"}}),
                   pod("shop", "web", {"10.0.0.1", "fd00::1"}, {{"app", "web"}})};
  snapshot.pods[1].node = "n1";
  snapshot.pods[2].node = "n1";
  snapshot.pods[1].ports = {{"sql", kProtocolTcp, 5432}, {"sql", kProtocolUdp, 5433}};
  return snapshot;
}

bool allowed(const Snapshot& snapshot, const LowerOptions& options, const classifier::Flow& flow) {
  return evaluate(snapshot, options, flow).allowed();
}

TEST(Evaluate, UnselectedPodsAreOpenOrClosedByTheMode) {
  const Snapshot snapshot = shop();
  EXPECT_TRUE(allowed(snapshot, kOpen, flow("10.0.0.1", "10.0.0.2")));
  EXPECT_FALSE(allowed(snapshot, kDeny, flow("10.0.0.1", "10.0.0.2")));
}

TEST(Evaluate, EachEndIsJudgedAlone) {
  Snapshot snapshot = shop();
  snapshot.policies = {egress_policy("shop", "quiet", with("app", "web"))};
  const Evaluation verdict = evaluate(snapshot, kOpen, flow("10.0.0.1", "10.0.0.2"));
  EXPECT_FALSE(verdict.egress_allowed);
  EXPECT_TRUE(verdict.ingress_allowed);
  EXPECT_TRUE(allowed(snapshot, kOpen, flow("10.0.0.2", "10.0.0.1")));
}

TEST(Evaluate, OwnNodeAndSelfPassWhateverIsolates) {
  Snapshot snapshot = shop();
  snapshot.policies = {ingress_policy("shop", "in", {}), egress_policy("shop", "out", {})};
  for (const LowerOptions& options : {kOpen, kDeny}) {
    EXPECT_TRUE(allowed(snapshot, options, flow("192.168.0.1", "10.0.0.2")));
    EXPECT_TRUE(allowed(snapshot, options, flow("10.0.0.2", "192.168.0.1")));
    EXPECT_TRUE(allowed(snapshot, options, flow("10.0.0.2", "10.0.0.2")));
    EXPECT_FALSE(allowed(snapshot, options, flow("192.168.0.2", "10.0.0.2")));
    EXPECT_FALSE(allowed(snapshot, options, flow("10.0.0.2", "192.168.0.2")));
  }
}

TEST(Evaluate, PeerSelectorsStayInTheirScope) {
  Snapshot snapshot = shop();
  PolicyRule same{{PodPeer{{}, with("app", "mon")}}, {}, {}};
  snapshot.policies = {ingress_policy("shop", "p", with("app", "db"), {same})};
  EXPECT_FALSE(allowed(snapshot, kOpen, flow("10.0.0.3", "10.0.0.2")));
  std::get<PodPeer>(snapshot.policies[0].ingress[0].peers[0]).namespaces = with("team", "ops");
  EXPECT_TRUE(allowed(snapshot, kOpen, flow("10.0.0.3", "10.0.0.2")));
  EXPECT_TRUE(allowed(snapshot, kOpen, flow("fd00::3", "fd00::2")));
  EXPECT_FALSE(allowed(snapshot, kOpen, flow("10.0.0.1", "10.0.0.2")));
}

TEST(Evaluate, BlocksMatchAnybodyInsideAndSpareTheirExceptions) {
  Snapshot snapshot = shop();
  PolicyRule rule{{classifier::Block{cidr("10.0.0.0/8"), {cidr("10.0.0.3/32")}}}, {}, {}};
  snapshot.policies = {ingress_policy("shop", "p", with("app", "db"), {rule})};
  EXPECT_TRUE(allowed(snapshot, kOpen, flow("10.0.0.1", "10.0.0.2")));
  EXPECT_TRUE(allowed(snapshot, kOpen, flow("10.9.9.9", "10.0.0.2")));
  EXPECT_FALSE(allowed(snapshot, kOpen, flow("10.0.0.3", "10.0.0.2")));
  EXPECT_FALSE(allowed(snapshot, kOpen, flow("fd00::1", "fd00::2")));
}

TEST(Evaluate, PortsAreProtocolNumberRangeOrName) {
  Snapshot snapshot = shop();
  PolicyRule rule{{}, {port(kProtocolTcp, "sql"), port(kProtocolUdp, 53, 55)}, {}};
  snapshot.policies = {ingress_policy("shop", "p", with("app", "db"), {rule})};
  const auto to_db = [&](std::uint8_t protocol, std::uint16_t number) {
    return allowed(snapshot, kOpen, flow("10.0.0.1", "10.0.0.2", protocol, number));
  };
  EXPECT_TRUE(to_db(kProtocolTcp, 5432));
  EXPECT_FALSE(to_db(kProtocolTcp, 5433));
  EXPECT_FALSE(to_db(kProtocolUdp, 5433));
  EXPECT_FALSE(to_db(kProtocolUdp, 52));
  EXPECT_TRUE(to_db(kProtocolUdp, 53));
  EXPECT_TRUE(to_db(kProtocolUdp, 55));
  EXPECT_FALSE(to_db(kProtocolUdp, 56));
  EXPECT_FALSE(to_db(kProtocolSctp, 53));
  EXPECT_FALSE(to_db(kProtocolIcmp, 0));
}

TEST(Evaluate, TerminatedAndHostNetworkPodsAreNoPods) {
  Snapshot snapshot = shop();
  snapshot.policies = {ingress_policy("shop", "p", {})};
  snapshot.pods[1].terminated = true;
  EXPECT_TRUE(allowed(snapshot, kOpen, flow("10.0.0.1", "10.0.0.2")));
  snapshot.pods[2].host_network = true;
  EXPECT_TRUE(allowed(snapshot, kOpen, flow("10.0.0.3", "10.0.0.1")));
}

TEST(Evaluate, DenyModeTrustsNeitherUnknownPodAddressesNorTransit) {
  Snapshot snapshot = shop();
  snapshot.policies = {ingress_policy("shop", "p", {}, {PolicyRule{}})};
  EXPECT_FALSE(allowed(snapshot, kDeny, flow("10.0.0.77", "10.0.0.2")));
  EXPECT_TRUE(allowed(snapshot, kDeny, flow("8.8.8.8", "10.0.0.2")));
  EXPECT_FALSE(allowed(snapshot, kDeny, flow("8.8.8.8", "9.9.9.9")));
  EXPECT_TRUE(allowed(snapshot, kOpen, flow("8.8.8.8", "9.9.9.9")));
  EXPECT_TRUE(allowed(snapshot, kOpen, flow("10.0.0.77", "10.0.0.2")));
}

TEST(Evaluate, DenyModeKnowsNodesInsideThePodCidrs) {
  Snapshot snapshot = shop();
  snapshot.nodes[0].addresses = {ip("10.0.0.200")};
  EXPECT_TRUE(allowed(snapshot, kDeny, flow("10.0.0.200", "10.0.0.2")));
  EXPECT_FALSE(allowed(snapshot, kDeny, flow("10.0.0.201", "10.0.0.2")));
}

}  // namespace
}  // namespace portcullis::policy
