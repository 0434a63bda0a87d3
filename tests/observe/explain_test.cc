// SPDX-License-Identifier: MIT
// Explanations on a small shop: who decided, in which file and line, and what came nearest.
#include "observe/explain.h"

#include <memory>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "classifier/compile.h"
#include "tests/support/cluster.h"

namespace portcullis::observe {
namespace {

using namespace test;
using classifier::DefaultMode;
using classifier::kProtocolIcmp;
using classifier::kProtocolTcp;
using classifier::kProtocolUdp;
using policy::PodPeer;
using policy::PolicyRule;

/// shop/db takes TCP 5432 from shop/web (rule 1, db.yaml:10) and anything from 10.9.0.0/16.
policy::Snapshot shop() {
  policy::Snapshot snapshot;
  snapshot.namespaces = {{"shop", {}, {}}};
  snapshot.nodes = {{"n1", {}, {ip("192.168.0.1")}, {cidr("10.0.0.0/24")}, {}}};
  snapshot.pods = {pod("shop", "cron", {"10.0.0.3"}, {{"app", "cron"}}),
                   pod("shop", "db", {"10.0.0.2"}, {{"app", "db"}}),
                   pod("shop", "web", {"10.0.0.1"}, {{"app", "web"}})};
  snapshot.pods[1].node = "n1";
  snapshot.pods[1].ports = {{"sql", kProtocolTcp, 5432}};
  snapshot.policies = {ingress_policy(
      "shop",
      "db",
      with("app", "db"),
      {PolicyRule{
           {PodPeer{{}, with("app", "web")}}, {port(kProtocolTcp, "sql")}, {"db.yaml", 10, 5}},
       PolicyRule{{classifier::Block{cidr("10.9.0.0/16"), {cidr("10.9.1.0/24")}}},
                  {},
                  {"db.yaml", 20, 5}}})};
  snapshot.policies[0].where = {"db.yaml", 1, 1};
  return snapshot;
}

/// A snapshot with its table and explainer.
class Shop {
 public:
  explicit Shop(const policy::Snapshot& snapshot, DefaultMode mode = DefaultMode::kubernetes)
      : lowered_(policy::lower(snapshot, {mode, {}}).value()),
        table_(classifier::compile(lowered_.rules).value()),
        explainer_({*table_, lowered_.rules, lowered_.provenance, lowered_.endpoints}) {}

  [[nodiscard]] Explanation explain(const classifier::Flow& flow) const {
    return explainer_.explain(flow);
  }

 private:
  policy::Lowered lowered_;
  std::unique_ptr<const classifier::Table> table_;
  Explainer explainer_;
};

TEST(Explain, NamesTheRuleThatAllows) {
  const Explanation got = Shop(shop()).explain(flow("10.0.0.1", "10.0.0.2", kProtocolTcp, 5432));
  EXPECT_TRUE(got.allowed);
  EXPECT_EQ(got.src.name, "shop/web");
  EXPECT_EQ(got.dst.kind, End::Kind::pod);
  ASSERT_TRUE(got.ingress.decider.has_value());
  EXPECT_EQ(describe(*got.ingress.decider), "NetworkPolicy shop/db rule 1 (db.yaml:10:5)");
  EXPECT_EQ(got.egress.reason,
            "no policy selects shop/web for egress, and the default mode is kubernetes");
  EXPECT_TRUE(got.ingress.near_misses.empty());
}

TEST(Explain, NamesTheIsolationAndTheMissByPort) {
  const Explanation got = Shop(shop()).explain(flow("10.0.0.1", "10.0.0.2", kProtocolTcp, 5433));
  EXPECT_FALSE(got.allowed);
  EXPECT_TRUE(got.egress.allowed);
  ASSERT_EQ(got.ingress.selected_by.size(), 1U);
  EXPECT_EQ(got.ingress.reason,
            "NetworkPolicy shop/db (db.yaml:1:1) isolates shop/db for ingress, and no rule of it "
            "allows this");
  ASSERT_EQ(got.ingress.near_misses.size(), 2U);
  EXPECT_EQ(got.ingress.near_misses[0].text, "allows from shop/web on TCP 5432, not on TCP 5433");
  EXPECT_TRUE(got.ingress.near_misses[0].peer_fits);
  EXPECT_EQ(got.ingress.near_misses[1].text,
            "allows TCP 5433 from 10.9.0.0/16 except 10.9.1.0/24, not from shop/web");
}

TEST(Explain, NamesTheMissByPeer) {
  const Explanation got = Shop(shop()).explain(flow("10.0.0.3", "10.0.0.2", kProtocolTcp, 5432));
  ASSERT_EQ(got.ingress.near_misses.size(), 2U);
  EXPECT_EQ(got.ingress.near_misses[0].text, "allows TCP 5432 from shop/web, not from shop/cron");
  EXPECT_TRUE(got.ingress.near_misses[0].port_fits);
  EXPECT_EQ(got.ingress.near_misses[0].origin.rule, 1U);
}

TEST(Explain, PutsRulesWithOneWrongPartAheadOfThoseWithTwo) {
  const Explanation got = Shop(shop()).explain(flow("10.0.0.3", "10.0.0.2", kProtocolUdp, 53));
  ASSERT_EQ(got.ingress.near_misses.size(), 2U);
  EXPECT_EQ(got.ingress.near_misses[0].origin.rule, 2U);
  EXPECT_EQ(got.ingress.near_misses[1].text,
            "allows TCP 5432 from shop/web; neither shop/cron nor UDP 53 fits");
}

TEST(Explain, SaysThatThePodLacksANamedPort) {
  policy::Snapshot snapshot = shop();
  policy::Pod other = pod("shop", "db2", {"10.0.0.4"}, {{"app", "db"}});
  snapshot.pods.insert(snapshot.pods.begin() + 2, other);
  const Explanation got = Shop(snapshot).explain(flow("10.0.0.1", "10.0.0.4", kProtocolTcp, 5432));
  ASSERT_FALSE(got.ingress.near_misses.empty());
  EXPECT_EQ(got.ingress.near_misses[0].text, "names a port that the destination pod does not have");
  snapshot.pods[1].ports.clear();
  const Explanation none = Shop(snapshot).explain(flow("10.0.0.1", "10.0.0.2", kProtocolTcp, 1));
  EXPECT_EQ(none.ingress.near_misses[0].text, "names a port that no destination pod has");
}

TEST(Explain, GivesBuiltInReasonsInPlainWords) {
  const Shop open(shop());
  EXPECT_EQ(open.explain(flow("8.8.8.8", "10.0.0.2")).egress.reason,
            "8.8.8.8 is no pod, so no policy judges this end");
  EXPECT_EQ(open.explain(flow("192.168.0.1", "10.0.0.2")).ingress.reason,
            "node/n1 is the pod's own node, which policies never cut off");
  EXPECT_EQ(open.explain(flow("10.0.0.2", "10.0.0.2")).ingress.reason,
            "a pod always reaches itself");

  const Shop deny(shop(), DefaultMode::deny);
  EXPECT_EQ(deny.explain(flow("10.0.0.1", "10.0.0.3")).egress.reason,
            "no policy selects shop/web for egress, and the default mode is deny");
  EXPECT_EQ(deny.explain(flow("10.0.0.99", "10.0.0.3")).src.kind, End::Kind::unknown_pod);
  EXPECT_EQ(deny.explain(flow("10.0.0.99", "10.0.0.3")).egress.reason,
            "10.0.0.99 lies in the pod CIDRs but is no known pod, and the default mode deny trusts "
            "no such address");
  EXPECT_FALSE(deny.explain(flow("8.8.8.8", "9.9.9.9")).allowed);
}

TEST(Explain, WalksTheStagesInOrderAndStopsAtTheDecision) {
  const Explanation got = Shop(shop()).explain(flow("192.168.0.1", "10.0.0.2"));
  ASSERT_EQ(got.ingress.stages.size(), 6U);
  EXPECT_EQ(got.ingress.stages[0].name, "to itself");
  EXPECT_FALSE(got.ingress.stages[1].decided);
  EXPECT_TRUE(got.ingress.stages[2].decided);
  EXPECT_EQ(got.ingress.stages[3].outcome, "not reached");
  EXPECT_EQ(got.egress.stages.size(), 1U);
}

TEST(Explain, RendersTextForAPerson) {
  const std::string text =
      to_text(Shop(shop()).explain(flow("10.0.0.1", "10.0.0.2", kProtocolTcp, 5433)));
  EXPECT_NE(text.find("DENIED: shop/web (10.0.0.1) -> shop/db (10.0.0.2), TCP 5433\n"),
            std::string::npos)
      << text;
  EXPECT_NE(text.find("  nearest miss        NetworkPolicy shop/db rule 1 (db.yaml:10:5) allows"),
            std::string::npos)
      << text;
}

TEST(Explain, RendersJsonForAProgram) {
  const auto json = nlohmann::json::parse(
      to_json(Shop(shop()).explain(flow("10.0.0.3", "10.0.0.2", kProtocolTcp, 5432))));
  EXPECT_EQ(json["verdict"], "denied");
  EXPECT_EQ(json["source"]["name"], "shop/cron");
  EXPECT_EQ(json["ingress"]["decided_by"]["line"], 1);
  EXPECT_EQ(json["ingress"]["near_misses"][0]["rule"], 1);
  EXPECT_EQ(json["ingress"]["near_misses"][0]["line"], 10);
  EXPECT_EQ(json["egress"]["decided_by"], nullptr);
  EXPECT_EQ(json["table"].get<std::string>().size(), 64U);
}

}  // namespace
}  // namespace portcullis::observe
