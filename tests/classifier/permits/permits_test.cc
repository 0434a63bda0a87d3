// SPDX-License-Identifier: MIT
#include "classifier/permits/permits.h"

#include <algorithm>

#include <gtest/gtest.h>

#include "classifier/compile.h"
#include "classifier/lookup.h"
#include "tests/classifier/cluster.h"

namespace portcullis::classifier {
namespace {

struct Folded {
  Classes classes;
  std::unique_ptr<PermitFolder> folder;
  Permits permits;
};

Folded fold(const RuleSet& rules) {
  Classes classes = find_classes(rules, alone());
  Matrix matrix(rules, std::size_t{1} << 30U);
  EXPECT_TRUE(matrix.add(Direction::egress, classes.half(Direction::egress), alone()));
  EXPECT_TRUE(matrix.add(Direction::ingress, classes.half(Direction::ingress), alone()));
  auto folder = begin_permits(classes, matrix, false, {.mode = rules.default_mode}, alone());
  EXPECT_TRUE(folder->fold(classes, alone()));
  EXPECT_TRUE(folder->lay_out(classes.classes.size(), alone()));
  Permits permits = permits_of(folder.get(), classes);
  return {
      .classes = std::move(classes), .folder = std::move(folder), .permits = std::move(permits)};
}

std::size_t cells_of(const Permits& permits) {
  return static_cast<std::size_t>(
      std::ranges::count_if(permits.cells, [](std::uint32_t cell) { return cell != kNoCell; }));
}

bool permitted(const Table& table, const Flow& flow) {
  const Key4 key = key4_of(flow);
  Permit permit_of_key;
  permit(table, std::span(&key, 1), std::span(&permit_of_key, 1));
  return permit_of_key.allowed();
}

/// Many pods in mode deny, each with a label of its own: as many classes.
Cluster crowd(std::size_t pods) {
  Cluster cluster;
  cluster.rules.pod_cidrs = {block("10.0.0.0/8")};
  for (std::size_t i = 0; i < pods; ++i) {
    const auto address = IpAddress::from_v4(0x0a00'0001 + static_cast<std::uint32_t>(i));
    const auto itself = cluster.set({cluster.pod({address})});
    const auto port = tcp_port(static_cast<std::uint16_t>(1000 + i));
    cluster.allow_ingress(itself, itself, cluster.ports({port}));
  }
  return cluster;
}

TEST(Permits, NumberClassesByOpening) {
  Cluster cluster;
  cluster.rules.default_mode = DefaultMode::kubernetes;
  const auto free = cluster.pod({ip("10.0.0.1")});
  const auto shut = cluster.pod({ip("10.0.0.2")});
  const auto web = cluster.pod({ip("10.0.0.3")});
  const auto isolate = [&](EndpointIndex pod) {
    cluster.allow_ingress(cluster.set({pod}), cluster.everything(), cluster.every_port()).action =
        Action::deny;
  };
  cluster.allow_ingress(cluster.set({web}), cluster.everything(), cluster.ports({tcp_port(443)}));
  isolate(web);
  isolate(shut);
  const auto [classes, folder, permits] = fold(cluster.rules);
  EXPECT_EQ(classes.first_class, (std::array<std::uint32_t, 4>{0, 1, 2, 3}));
  EXPECT_EQ(classes.addresses[shut].address_class, 0U);
  EXPECT_EQ(classes.addresses[web].address_class, 1U);
  EXPECT_EQ(classes.addresses[free].address_class, 2U);
  EXPECT_EQ(cells_of(permits), 0U);  // The defaults of both ends say it all.
}

TEST(Permits, TakeNoCellForWhatMostOfARowSays) {
  // Every pod is open to all pods but on one port: the peers are a set, not everything.
  Cluster cluster = crowd(100);
  std::vector<EndpointIndex> all;
  for (EndpointIndex pod = 0; pod < 100; ++pod) {
    all.push_back(pod);
  }
  const auto pods = cluster.set(all);
  const auto metrics = cluster.ports({tcp_port(9090)});
  cluster.allow_ingress(pods, pods, metrics);
  cluster.allow_ingress(pods, pods, metrics).direction = Direction::egress;
  const auto [classes, folder, permits] = fold(cluster.rules);
  EXPECT_LT(cells_of(permits), 1000U);  // Not the 10,000 pairs.
  const auto table = compile(cluster.rules);
  ASSERT_TRUE(table);
  EXPECT_TRUE(permitted(**table, tcp("10.0.0.1", "10.0.0.50", 9090)));
  EXPECT_FALSE(permitted(**table, tcp("10.0.0.1", "10.0.0.50", 9091)));
  EXPECT_FALSE(permitted(**table, tcp("10.0.0.1", "10.0.0.200", 9090)));
  EXPECT_FALSE(permitted(**table, tcp("192.0.2.1", "10.0.0.50", 9090)));
}

TEST(Permits, TakeNoCellsForTransit) {
  Cluster cluster = crowd(3);
  for (std::uint32_t i = 0; i < 100; ++i) {
    const Prefix cidr = prefix_of(IpAddress::from_v4(0xc000'0000 + (i << 8U)), 24);
    cluster.allow_ingress(cluster.set({0}),
                          cluster.set({}, {{.cidr = cidr}}),
                          cluster.ports({tcp_port(i & 0xffffU)}));
  }
  const auto [classes, folder, permits] = fold(cluster.rules);
  EXPECT_GT(classes.classes.size(), 100U);
  EXPECT_LT(cells_of(permits), 200U);
  const auto table = compile(cluster.rules);
  ASSERT_TRUE(table);
  EXPECT_FALSE(permitted(**table, tcp("192.0.1.1", "192.0.2.1", 1)));
}

TEST(Permits, AreLeftOutWhereTheTableWouldOutgrowItsLimit) {
  const Cluster cluster = crowd(500);
  const auto table = compile(cluster.rules);
  ASSERT_TRUE(table);
  EXPECT_EQ((*table)->header().permits, static_cast<std::uint32_t>(PermitForm::narrow));
  const std::size_t limit = (*table)->sizes().total - (*table)->sizes().permits / 2;
  const auto tight = compile(cluster.rules, {.table_bytes_max = limit});
  ASSERT_TRUE(tight) << to_string(tight.error());
  EXPECT_EQ((*tight)->sizes().permits, 0U);
  EXPECT_TRUE(permitted(**tight, tcp("10.0.0.9", "10.0.0.9", 1)));
  EXPECT_FALSE(permitted(**tight, tcp("10.0.0.9", "10.0.0.8", 1007)));
}

}  // namespace
}  // namespace portcullis::classifier
