// SPDX-License-Identifier: MIT
#include "classifier/update.h"

#include <span>
#include <vector>

#include <gtest/gtest.h>

#include "classifier/lookup.h"
#include "classifier/reference.h"
#include "tests/classifier/cluster.h"

namespace portcullis::classifier {
namespace {

/// Two web pods and a client on two nodes; the client may reach web on port 80. Both families.
struct Shop {
  Shop() {
    cluster.rules.pod_cidrs = {block("10.0.0.0/24"), block("fd00::/64")};
    node_a = cluster.node({ip("172.16.0.1"), ip("fd01::1")});
    node_b = cluster.node({ip("172.16.0.2"), ip("fd01::2")});
    const auto web = cluster.pod({ip("10.0.0.1"), ip("fd00::1")}, node_a);
    spare = cluster.pod({}, node_b);
    const auto client = cluster.pod({ip("10.0.0.9"), ip("fd00::9")}, node_b);
    web_set = cluster.set({web});
    client_set = cluster.set({client});
    cluster.allow_ingress(web_set, client_set, cluster.ports({tcp_port(80)}));
    Rule& egress = cluster.allow_ingress(client_set, web_set, cluster.every_port());
    egress.direction = Direction::egress;
  }

  /// Another web pod at these addresses.
  [[nodiscard]] RuleDelta web_at(std::vector<IpAddress> addresses) const {
    return {.endpoints = {{.index = spare, .value = {.node = node_b, .addresses = addresses}}},
            .memberships = {{.set = web_set, .endpoint = spare}}};
  }

  Cluster cluster;
  EndpointIndex node_a = 0;
  EndpointIndex node_b = 0;
  EndpointIndex spare = 0;
  SetIndex web_set = 0;
  SetIndex client_set = 0;
};

bool allowed(const Updater& updater, const char* src, const char* dst, std::uint16_t port) {
  const auto table = updater.table();
  const Verdict verdict = lookup(*table, tcp(src, dst, port));
  EXPECT_EQ(verdict, Reference(updater.rules()).lookup(tcp(src, dst, port)));
  return verdict.allowed();
}

TEST(Update, WritesAPodOfKnownLabelsInPlace) {
  Shop shop;
  auto updater = Updater::start(shop.cluster.rules).value();
  const auto before = updater.table();
  EXPECT_FALSE(allowed(updater, "10.0.0.9", "10.0.0.2", 80));

  const auto report = updater.update(shop.web_at({ip("10.0.0.2"), ip("fd00::2")}));
  ASSERT_TRUE(report) << to_string(report.error());
  EXPECT_EQ(report->way, UpdateWay::in_place) << report->why_whole;
  EXPECT_EQ(report->addresses, 2U);
  EXPECT_EQ(report->parts_copied, 0U);
  EXPECT_TRUE(allowed(updater, "10.0.0.9", "10.0.0.2", 80));
  EXPECT_TRUE(allowed(updater, "fd00::9", "fd00::2", 80));
  EXPECT_FALSE(allowed(updater, "10.0.0.9", "10.0.0.2", 81));
  EXPECT_TRUE(allowed(updater, "172.16.0.2", "10.0.0.2", 81)) << "its own node";
  EXPECT_FALSE(allowed(updater, "172.16.0.1", "10.0.0.2", 81));
  EXPECT_TRUE(lookup(*before, tcp("10.0.0.9", "10.0.0.2", 80)).allowed()) << "a shared part";

  ASSERT_TRUE(updater.update({.endpoints = {{.index = shop.spare, .value = {}}}}));
  EXPECT_FALSE(allowed(updater, "10.0.0.9", "10.0.0.2", 80));
  EXPECT_FALSE(allowed(updater, "fd00::9", "fd00::2", 80));
}

TEST(Update, KeepsStaticRulesUnderTheirNewIds) {
  Shop shop;
  shop.cluster.rules.static_rules = {{.dst = block("10.0.0.1/32"),
                                      .protocol = kProtocolTcp,
                                      .dst_ports = {22, 22},
                                      .action = Action::allow}};
  auto updater = Updater::start(shop.cluster.rules).value();
  EXPECT_TRUE(allowed(updater, "192.0.2.1", "10.0.0.1", 22));
  Rule more = updater.rules().rules[0];
  more.order = 7;
  const auto next = static_cast<std::uint32_t>(updater.rules().rules.size());
  ASSERT_TRUE(updater.update({.rules = {{.index = next, .value = more}}}));
  EXPECT_TRUE(allowed(updater, "192.0.2.1", "10.0.0.1", 22));
  EXPECT_FALSE(allowed(updater, "192.0.2.1", "10.0.0.1", 23));
}

TEST(Update, ChangesSeveralAddressesInPartsOfItsOwn) {
  Shop shop;
  auto updater = Updater::start(shop.cluster.rules).value();
  const auto before = updater.table();
  const auto report = updater.update(shop.web_at({ip("10.0.0.2"), ip("10.0.0.3")}));
  ASSERT_TRUE(report);
  EXPECT_EQ(report->way, UpdateWay::addresses) << report->why_whole;
  EXPECT_TRUE(allowed(updater, "10.0.0.9", "10.0.0.3", 80));
  EXPECT_FALSE(lookup(*before, tcp("10.0.0.9", "10.0.0.3", 80)).allowed()) << "the old table";
  for (const Part part : {Part::sources, Part::tiles, Part::outcomes, Part::permit_cells}) {
    const auto i = static_cast<std::size_t>(part);
    EXPECT_EQ(before->parts()[i].bytes, updater.table()->parts()[i].bytes) << "shared";
  }
}

TEST(Update, MovesAPodWithoutChangingItsClassAndNodeAtOnce) {
  Shop shop;
  auto updater = Updater::start(shop.cluster.rules).value();
  ASSERT_TRUE(updater.update(shop.web_at({ip("10.0.0.2")})));
  // The same address, other labels and another node: two stores would show a mixture.
  RuleDelta delta{.endpoints = {{.index = shop.spare,
                                 .value = {.node = shop.node_a, .addresses = {ip("10.0.0.2")}}}},
                  .memberships = {{.set = shop.web_set, .endpoint = shop.spare, .member = false},
                                  {.set = shop.client_set, .endpoint = shop.spare}}};
  EXPECT_EQ(updater.update(delta).value().way, UpdateWay::addresses);
  EXPECT_TRUE(allowed(updater, "10.0.0.2", "10.0.0.1", 80));
  EXPECT_TRUE(allowed(updater, "172.16.0.1", "10.0.0.2", 1));
  EXPECT_FALSE(allowed(updater, "172.16.0.2", "10.0.0.2", 1));
}

TEST(Update, FollowsRulesThatComeAndGo) {
  Shop shop;
  auto updater = Updater::start(shop.cluster.rules).value();
  const auto next = static_cast<std::uint32_t>(updater.rules().rules.size());
  RuleDelta deny{.rules = {{.index = next,
                            .value = {.action = Action::deny,
                                      .subjects = shop.web_set,
                                      .peers = shop.client_set,
                                      .ports = 1}}}};
  ASSERT_TRUE(updater.update(deny));
  EXPECT_TRUE(allowed(updater, "10.0.0.9", "10.0.0.1", 80)) << "the allow rule comes first";
  deny.rules[0].value.tier = Tier::admin;
  ASSERT_TRUE(updater.update(deny));
  EXPECT_FALSE(allowed(updater, "10.0.0.9", "10.0.0.1", 80));
  ASSERT_TRUE(updater.update({.rules = {{.index = next, .value = {.action = Action::none}}}}));
  EXPECT_TRUE(allowed(updater, "10.0.0.9", "10.0.0.1", 80));
  EXPECT_EQ(updater.rules().rules.size(), next + 1) << "a free slot stays";
}

TEST(Update, OrdersRulesByTheirOrderBeforeTheirPlace) {
  Shop shop;
  shop.cluster.rules.rules[0].order = 1;
  auto updater = Updater::start(shop.cluster.rules).value();
  const auto next = static_cast<std::uint32_t>(updater.rules().rules.size());
  ASSERT_TRUE(updater.update({.rules = {{.index = next,
                                         .value = {.action = Action::deny,
                                                   .subjects = shop.web_set,
                                                   .peers = shop.client_set,
                                                   .ports = 1}}}}));
  EXPECT_FALSE(allowed(updater, "10.0.0.9", "10.0.0.1", 80));
}

/// Found by random walks: most columns of a row were denied, then new ones made them the fewer, and
/// its class kept the number of one that is closed.
TEST(Update, KeepsWhatARowMostlySaysWhenColumnsAreAdded) {
  Cluster cluster;
  cluster.rules.default_mode = DefaultMode::kubernetes;
  const auto target = cluster.set({cluster.pod({ip("10.0.0.1")})});
  const auto other = cluster.set({cluster.pod({ip("10.0.0.2")})});
  const auto every_port = cluster.every_port();
  for (const char* denied : {"10.0.0.3", "10.0.0.4", "10.0.0.5", "10.0.0.6"}) {
    const auto peers = cluster.set({cluster.pod({ip(denied)})});
    cluster.allow_ingress(target, peers, every_port).action = Action::deny;
  }
  std::vector<EndpointIndex> free;
  for (std::uint32_t i = 0; i < 6; ++i) {
    free.push_back(cluster.pod({IpAddress::from_v4(0x0a00'0010U + i)}));
  }
  auto updater = Updater::start(cluster.rules).value();
  RuleDelta delta;
  for (std::uint32_t i = 0; i < free.size(); ++i) {
    const auto set = static_cast<SetIndex>(cluster.rules.sets.size() + i);
    delta.sets.push_back({.index = set, .value = {.endpoints = {free[i]}}});
    delta.rules.push_back({.index = static_cast<std::uint32_t>(cluster.rules.rules.size() + i),
                           .value = {.subjects = other, .peers = set, .ports = every_port}});
  }
  const auto report = updater.update(delta);
  ASSERT_TRUE(report);
  EXPECT_EQ(report->way, UpdateWay::rows) << report->why_whole;
  const Key4 key = key4_of(tcp("10.0.0.16", "10.0.0.1", 80));
  Permit found;
  permit(*updater.table(), std::span(&key, 1), std::span(&found, 1));
  EXPECT_TRUE(found.allowed());
  EXPECT_TRUE(allowed(updater, "10.0.0.16", "10.0.0.1", 80));
  EXPECT_FALSE(allowed(updater, "10.0.0.3", "10.0.0.1", 80));
}

TEST(Update, ChangesNothingOnAnError) {
  Shop shop;
  auto updater = Updater::start(shop.cluster.rules).value();
  const auto bytes = updater.table()->bytes();
  const auto endpoints = updater.rules().endpoints;
  const auto refused = [&](RuleDelta delta, const char* why) {
    const auto report = updater.update(std::move(delta));
    ASSERT_FALSE(report) << why;
    EXPECT_NE(report.error().message.find(why), std::string::npos) << report.error().message;
    EXPECT_EQ(updater.table()->bytes(), bytes);
    EXPECT_EQ(updater.rules().endpoints, endpoints);
    EXPECT_FALSE(allowed(updater, "10.0.0.9", "10.0.0.2", 80));
  };
  refused(shop.web_at({ip("10.0.0.9")}), "belongs to endpoints");
  refused({.endpoints = {{.index = 99, .value = {}}}}, "endpoint 99 where 5");
  refused({.endpoints = {{.index = shop.spare, .value = {.node = 77}}}}, "runs on endpoint 77");
  refused({.memberships = {{.set = 9, .endpoint = 0}}}, "into set 9 of 2");
  refused({.sets = {{.index = 2, .value = {.endpoints = {4, 1}}}}}, "not sorted");
  refused({.rules = {{.index = 2, .value = {.subjects = 8}}}}, "subject set 8 of 2");
}

TEST(Update, RefusesATableOverItsLimit) {
  Shop shop;
  const std::size_t bytes = compile(shop.cluster.rules).value()->sizes().total;
  auto updater = Updater::start(shop.cluster.rules, {.table_bytes_max = bytes}).value();
  RuleDelta delta;
  for (std::uint32_t i = 0; i < 20; ++i) {
    delta.endpoints.push_back(
        {.index = 5 + i, .value = {.addresses = {IpAddress::from_v4(0x0b00'0000U + i * 999)}}});
    delta.sets.push_back({.index = 2 + i, .value = {.endpoints = {5 + i}}});
    delta.rules.push_back({.index = 2 + i, .value = {.subjects = 2 + i, .peers = 0, .ports = 0}});
  }
  ASSERT_FALSE(updater.update(delta));
  EXPECT_EQ(updater.rules().rules.size(), 2U);
  EXPECT_TRUE(allowed(updater, "10.0.0.9", "10.0.0.1", 80));
  EXPECT_TRUE(updater.update(shop.web_at({ip("10.0.0.2")})));
}

}  // namespace
}  // namespace portcullis::classifier
