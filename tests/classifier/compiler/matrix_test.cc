// SPDX-License-Identifier: MIT
#include "classifier/compiler/matrix.h"

#include <gtest/gtest.h>

#include "tests/classifier/cluster.h"

namespace portcullis::classifier {
namespace {

constexpr std::size_t kPlenty = std::size_t{1} << 30U;

TEST(Matrix, GivesRowsWithoutCellsNoTiles) {
  Cluster cluster;
  cluster.rules.default_mode = DefaultMode::kubernetes;
  cluster.pod({ip("10.0.0.1")});
  const Classes classes = find_classes(cluster.rules, alone());
  Matrix matrix(cluster.rules, kPlenty);
  const auto places = matrix.add(Direction::egress, classes.half(Direction::egress), alone());
  ASSERT_TRUE(places);
  EXPECT_EQ(places->size(), 3U);
  EXPECT_EQ(matrix.tile_bytes().size(), kTileColumns) << "tile 0 alone";
  EXPECT_EQ((*places)[0].spans, (*places)[2].spans);
}

TEST(Matrix, SharesTilesBetweenRowsOfOneShape) {
  Cluster cluster;
  cluster.rules.default_mode = DefaultMode::kubernetes;
  const auto a = cluster.pod({ip("10.0.0.1")});
  const auto b = cluster.pod({ip("10.0.0.2")});
  const auto peers = cluster.set({a});
  const auto every_port = cluster.every_port();
  cluster.allow_ingress(cluster.set({a}), peers, every_port);
  cluster.allow_ingress(cluster.set({b}), peers, every_port);
  const Classes classes = find_classes(cluster.rules, alone());
  Matrix matrix(cluster.rules, kPlenty);
  const auto places = matrix.add(Direction::ingress, classes.half(Direction::ingress), alone());
  ASSERT_TRUE(places);
  const RowPlace first = (*places)[kRowsWithoutSubject];
  const RowPlace second = (*places)[kRowsWithoutSubject + 1];
  EXPECT_EQ(first.spans, second.spans);
  EXPECT_NE(first.outcomes, second.outcomes) << "the rules that decide are not the same";
}

TEST(Matrix, RefusesToOutgrowItsLimit) {
  Cluster cluster;
  const auto a = cluster.pod({ip("10.0.0.1")});
  cluster.allow_ingress(cluster.set({a}), cluster.set({a}), cluster.every_port());
  const Classes classes = find_classes(cluster.rules, alone());
  Matrix matrix(cluster.rules, 16);
  const auto places = matrix.add(Direction::ingress, classes.half(Direction::ingress), alone());
  ASSERT_FALSE(places);
  EXPECT_NE(places.error().message.find("ingress matrix of 3 rows by"), std::string::npos)
      << places.error().message;
}

}  // namespace
}  // namespace portcullis::classifier
