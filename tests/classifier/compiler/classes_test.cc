// SPDX-License-Identifier: MIT
#include "classifier/compiler/classes.h"

#include <gtest/gtest.h>

#include "tests/classifier/cluster.h"

namespace portcullis::classifier {
namespace {

ClassRoles roles_of_address(const Classes& classes, std::size_t address) {
  return classes.classes[classes.addresses[address].address_class];
}

TEST(Classes, PutsPodsThatNoRuleTellsApartInOneClass) {
  Cluster cluster;
  const auto a = cluster.pod({ip("10.0.0.1")});
  const auto b = cluster.pod({ip("10.0.0.2")});
  const auto c = cluster.pod({ip("10.0.0.3")});
  const auto both = cluster.set({a, b});
  cluster.allow_ingress(both, both, cluster.every_port());
  const Classes classes = find_classes(cluster.rules, alone());
  EXPECT_EQ(classes.addresses[a].address_class, classes.addresses[b].address_class);
  EXPECT_NE(classes.addresses[a].address_class, classes.addresses[c].address_class);
}

TEST(Classes, SharesColumnsBetweenPodsThatDifferOnlyAsSubjects) {
  Cluster cluster;
  const auto a = cluster.pod({ip("10.0.0.1")});
  const auto b = cluster.pod({ip("10.0.0.2")});
  cluster.allow_ingress(cluster.set({a}), cluster.set({a, b}), cluster.every_port());
  const Classes classes = find_classes(cluster.rules, alone());
  EXPECT_NE(roles_of_address(classes, a).ingress_row, roles_of_address(classes, b).ingress_row);
  EXPECT_EQ(roles_of_address(classes, a).ingress_column,
            roles_of_address(classes, b).ingress_column);
  EXPECT_EQ(roles_of_address(classes, a).egress_row, roles_of_address(classes, b).egress_row);
}

TEST(Classes, DoesNotTellNodesApartForTheirOwnSake) {
  Cluster cluster;
  const auto first = cluster.node({ip("192.0.2.1")});
  const auto second = cluster.node({ip("192.0.2.2")});
  const auto a = cluster.pod({ip("10.0.0.1")}, first);
  const auto b = cluster.pod({ip("10.0.0.2")}, second);
  const Classes classes = find_classes(cluster.rules, alone());
  EXPECT_EQ(classes.addresses[first].address_class, classes.addresses[second].address_class);
  EXPECT_EQ(classes.addresses[a].address_class, classes.addresses[b].address_class);
  EXPECT_NE(classes.addresses[a].address_class, classes.addresses[first].address_class);
}

TEST(Classes, CutsAddressesAtBlocks) {
  Cluster cluster;
  const auto a = cluster.pod({ip("10.0.0.1")});
  const auto b = cluster.pod({ip("10.0.1.1")});
  const auto peers = cluster.set({}, {{.cidr = block("10.0.0.0/24")}});
  cluster.allow_ingress(cluster.set({a, b}), peers, cluster.every_port());
  const Classes classes = find_classes(cluster.rules, alone());
  EXPECT_NE(roles_of_address(classes, a).ingress_column,
            roles_of_address(classes, b).ingress_column);
  const Half& half = classes.half(Direction::ingress);
  EXPECT_EQ(half.columns_of_set[peers].size(), 2U) << "the pod's column and the block's";
}

TEST(Classes, KeepsAPodNamedAndInTheBlockWithThoseInTheBlock) {
  Cluster cluster;
  const auto a = cluster.pod({ip("10.0.0.1")});
  const auto b = cluster.pod({ip("10.0.0.2")});
  const auto peers = cluster.set({a}, {{.cidr = block("10.0.0.0/24")}});
  cluster.allow_ingress(cluster.everything(), peers, cluster.every_port());
  const Classes classes = find_classes(cluster.rules, alone());
  EXPECT_EQ(classes.addresses[a].address_class, classes.addresses[b].address_class);
}

TEST(Classes, GivesUnknownAddressesOfPodCidrsARowOfTheirOwnInDenyMode) {
  Cluster cluster;
  cluster.rules.pod_cidrs = {block("10.0.0.0/16")};
  const auto row_at = [&](const char* address) {
    const Classes classes = find_classes(cluster.rules, alone());
    const auto region = classes.regions.locate(ip(address));
    return classes.classes[classes.region_classes[region]].egress_row;
  };
  EXPECT_EQ(row_at("10.0.3.4"), kRowUnidentified);
  EXPECT_EQ(row_at("10.1.0.0"), kRowOutside);
  cluster.rules.default_mode = DefaultMode::kubernetes;
  EXPECT_EQ(row_at("10.0.3.4"), kRowOutside);
}

}  // namespace
}  // namespace portcullis::classifier
