// SPDX-License-Identifier: MIT
// The policy-shaped world as a Snapshot and as a RuleSet is one and the same.
#include "bench/corpus.h"

#include <gtest/gtest.h>

#include "classifier/compile.h"
#include "classifier/lookup.h"
#include "policy/evaluate.h"

namespace portcullis::bench {
namespace {

using namespace classifier;

constexpr Shape kShape{.pods = 400, .policies = 60, .seed = 5};

TEST(Corpus, NumbersPodsAndThenNodesAsTheSnapshotListsThem) {
  const World world = make_world(kShape);
  const auto& endpoints = world.rules.endpoints;
  ASSERT_EQ(world.snapshot.pods.size(), kShape.pods);
  ASSERT_EQ(endpoints.size(), kShape.pods + world.snapshot.nodes.size());
  for (std::size_t i = 0; i < kShape.pods; ++i) {
    const policy::Pod& pod = world.snapshot.pods[i];
    EXPECT_EQ(endpoints[i].addresses, pod.addresses);
    const std::size_t node = endpoints[i].node - kShape.pods;
    EXPECT_EQ(world.snapshot.nodes.at(node).name, pod.node);
  }
}

TEST(Corpus, HasOneOrTwoRulesADirectionAndItsIsolation) {
  const World world = make_world(kShape);
  EXPECT_EQ(world.snapshot.policies.size(), kShape.policies);
  std::size_t expected = 0;
  for (const policy::NetworkPolicy& policy : world.snapshot.policies) {
    ASSERT_TRUE(policy.isolates_ingress);
    expected += policy.ingress.size() + 1;
    expected += policy.isolates_egress ? policy.egress.size() + 1 : 0;
  }
  EXPECT_EQ(world.rules.rules.size(), expected);
}

TEST(Corpus, MeansTheSameToTheEvaluatorOfSnapshotsAndToTheTable) {
  const World world = make_world(kShape);
  const auto table = compile(world.rules).value();
  const policy::LowerOptions options = lowering_of(world);
  for (const TraceKind kind : {TraceKind::mixed, TraceKind::allowed}) {
    auto trace = make_trace(world, *table, kind);
    trace.resize(2000);
    std::size_t allowed = 0;
    for (const Key4& key : trace) {
      const Flow flow{.src = IpAddress::from_v4(key.src),
                      .dst = IpAddress::from_v4(key.dst),
                      .protocol = key.protocol,
                      .src_port = key.src_port,
                      .dst_port = key.dst_port};
      const bool found = lookup(*table, flow).allowed();
      ASSERT_EQ(found, policy::evaluate(world.snapshot, options, flow).allowed());
      allowed += found ? 1 : 0;
    }
    EXPECT_GT(allowed, trace.size() / 4);
  }
}

TEST(Corpus, IsTheSameForTheSameSeedAndAnotherForAnother) {
  const auto digest = [](const Shape& shape) { return policy::digest(make_world(shape).snapshot); };
  EXPECT_EQ(digest(kShape), digest(kShape));
  Shape other = kShape;
  other.seed = 6;
  EXPECT_NE(digest(kShape), digest(other));
}

}  // namespace
}  // namespace portcullis::bench
