// SPDX-License-Identifier: MIT
#include "control/status/coverage.h"

#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "control/status/standing.h"

namespace portcullis::control {
namespace {

using nlohmann::json;

IpAddress ip(const std::string& text) {
  return *parse_ip(text);
}

policy::Pod pod(const std::string& name, std::vector<IpAddress> addresses, std::string node = "") {
  return {.name_space = "shop",
          .name = name,
          .node = std::move(node),
          .addresses = std::move(addresses)};
}

/// A policy of namespace shop over the pods with this label.
policy::NetworkPolicy over(const std::string& name, const std::string& label) {
  policy::NetworkPolicy made{.name_space = "shop", .name = name};
  made.subjects.requirements = {{.key = label, .op = policy::Requirement::Operator::exists}};
  made.isolates_ingress = true;
  made.where = {.file = "policies.yaml", .line = 7};
  return made;
}

class Covered : public testing::Test {
 protected:
  Covered() { snapshot_.namespaces = {{.name = "shop"}}; }

  [[nodiscard]] Coverage coverage(const std::vector<IpAddress>& node_addresses = {}) const {
    const auto lowered = policy::lower(snapshot_, {});
    EXPECT_TRUE(lowered) << lowered.error().message;
    return {snapshot_, *lowered, node_addresses};
  }

  policy::Snapshot snapshot_;
};

dataplane::PortStatus port(std::vector<IpAddress> addresses) {
  return {.name = "port", .addresses = std::move(addresses)};
}

TEST_F(Covered, NamesPoliciesThatSelectNoPod) {
  snapshot_.pods = {pod("web", {ip("10.0.0.1")})};
  snapshot_.pods[0].labels = {{"web", "1"}};
  snapshot_.policies = {over("idle", "db"), over("used", "web")};
  const json unselected = coverage().unselected();
  EXPECT_EQ(unselected["total"], 1);
  EXPECT_EQ(unselected["policies"],
            json::array({{{"policy", "shop/idle"}, {"file", "policies.yaml"}, {"line", 7}}}));
}

TEST_F(Covered, CountsAPolicyOfEgressAloneAsSelecting) {
  snapshot_.pods = {pod("web", {ip("10.0.0.1")})};
  snapshot_.pods[0].labels = {{"web", "1"}};
  snapshot_.policies = {over("out", "web")};
  snapshot_.policies[0].isolates_ingress = false;
  snapshot_.policies[0].isolates_egress = true;
  EXPECT_EQ(coverage().unselected()["total"], 0);
}

TEST_F(Covered, ListsSomeOfManyAndCountsAll) {
  for (int i = 0; i < 150; ++i) {
    snapshot_.policies.push_back(over(fmt::format("idle-{:03}", i), "none"));
    snapshot_.pods.push_back(pod(fmt::format("late-{:03}", i), {}));
  }
  const Coverage coverage = this->coverage();
  EXPECT_EQ(coverage.unselected()["total"], 150);
  EXPECT_EQ(coverage.unselected()["policies"].size(), Coverage::kNamesMax);
  const json unmanaged = coverage.unmanaged({});
  EXPECT_EQ(unmanaged["total"], 150);
  EXPECT_EQ(unmanaged["reasons"]["no_address"], 150);
  EXPECT_EQ(unmanaged["pods"].size(), Coverage::kNamesMax);
}

TEST_F(Covered, TellsPodsWithoutAddressAndOnTheHost) {
  snapshot_.pods = {pod("ended", {}), pod("host", {ip("192.0.2.1")}, "n1"), pod("late", {})};
  snapshot_.pods[0].terminated = true;
  snapshot_.pods[1].host_network = true;
  const json unmanaged = coverage().unmanaged({});
  EXPECT_EQ(unmanaged["reasons"], json({{"no_port", 0}, {"no_address", 1}, {"host_network", 1}}));
  EXPECT_EQ(unmanaged["pods"],
            json::array({{{"pod", "shop/late"}, {"reason", "no_address"}},
                         {{"pod", "shop/host"}, {"reason", "host_network"}}}));
  EXPECT_TRUE(unmanaged["node"].is_null());
}

class CoveredNode : public Covered {
 protected:
  CoveredNode() {
    snapshot_.nodes = {{.name = "n1", .addresses = {ip("192.0.2.1")}},
                       {.name = "n2", .addresses = {ip("192.0.2.2")}}};
    snapshot_.pods = {pod("db", {ip("10.0.0.2"), ip("fd00::2")}, "n1"),
                      pod("far", {ip("10.0.1.1")}, "n2"),
                      pod("web", {ip("10.0.0.1")}, "n1")};
  }
};

TEST_F(CoveredNode, TellsPodsOfThisNodeWithoutPort) {
  const Coverage coverage = this->coverage({ip("192.0.2.1")});
  const json before = coverage.unmanaged({});
  EXPECT_EQ(before["node"], "n1");
  EXPECT_EQ(before["total"], 2);
  // A port on one of its addresses is a port; the uplink's own address is no pod's.
  const std::vector<dataplane::PortStatus> ports{port({ip("fd00::2")}), port({ip("192.0.2.1")})};
  const json after = coverage.unmanaged(ports);
  EXPECT_EQ(after["pods"], json::array({{{"pod", "shop/web"}, {"reason", "no_port"}}}));
}

TEST_F(CoveredNode, SaysNothingOfPortsWhereItDoesNotKnowItsNode) {
  const json unmanaged = coverage({ip("192.0.2.77")}).unmanaged({});
  EXPECT_TRUE(unmanaged["node"].is_null());
  EXPECT_EQ(unmanaged["total"], 0);
}

TEST_F(CoveredNode, IsToldInWords) {
  for (const char* name : {"a", "b", "c"}) {
    snapshot_.policies.push_back(over(name, "none"));
  }
  snapshot_.policies.push_back(over("d", "none"));
  const Coverage coverage = this->coverage({ip("192.0.2.1")});
  const auto rows = standing_rows({{"limits",
                                    {{"table_bytes", {{"used", 1'572'864U}, {"limit", 1U << 30U}}},
                                     {"flows", {{"used", 1U}, {"limit", 2U}}},
                                     {"port_addresses", {{"used", 3U}, {"limit", 1024U}}}}},
                                   {"unselected", coverage.unselected()},
                                   {"unmanaged", coverage.unmanaged({})}});
  ASSERT_EQ(rows.size(), 3U);
  EXPECT_EQ(rows[0][1], "table 1.5 of 1024 MiB, port addresses 3 of 1024");
  EXPECT_EQ(rows[1][1],
            "4 policies select no pod: shop/a (policies.yaml:7), shop/b (policies.yaml:7), shop/c "
            "(policies.yaml:7) and 1 more");
  EXPECT_EQ(rows[2][1], "2 without a port here (shop/db, shop/web)");
}

TEST(Standing, HasNoRowForWhatAnOlderDaemonLacks) {
  EXPECT_TRUE(standing_rows({{"running", nullptr}, {"unmanaged", nullptr}}).empty());
}

}  // namespace
}  // namespace portcullis::control
