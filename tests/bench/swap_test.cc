// SPDX-License-Identifier: MIT
// bench_swap notices what it says never happens: a packet that is lost, and one that is judged by
// parts of two tables.
#include <bit>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "bench/corpus.h"
#include "bench/swap/editions.h"
#include "bench/swap/judge.h"
#include "bench/swap/line.h"
#include "bench/swap/load.h"
#include "bench/swap/packets.h"
#include "classifier/compile.h"
#include "classifier/lookup.h"
#include "classifier/verdict.h"
#include "dataplane/dpdk/engine.h"
#include "dataplane/packet/checksum.h"
#include "tests/dataplane/ring_port.h"

namespace portcullis::bench {
namespace {

using enum FlowKind;

constexpr Mixture kA = Mixture::whole(Edition::a);
constexpr Mixture kB = Mixture::whole(Edition::b);

/// Every mixture, the two editions among them.
std::vector<Mixture> mixtures() {
  std::vector<Mixture> all;
  for (unsigned bits = 0; bits < 16; ++bits) {
    const auto part = [bits](unsigned i) { return static_cast<Edition>(bits >> i & 1U); };
    all.push_back({part(0), part(1), part(2), part(3)});
  }
  return all;
}

bool passes(const classifier::Table& table, FlowKind kind, std::size_t number) {
  const classifier::Key4 key = team_key(kind, number);
  classifier::Verdict verdict;
  classifier::lookup(table, std::span(&key, 1), std::span(&verdict, 1));
  return verdict.allowed();
}

TEST(Editions, SayOfEachKindWhatIsExpectedOfThem) {
  for (const Edition edition : {Edition::a, Edition::b}) {
    const auto table = classifier::compile(rules_of({}, Mixture::whole(edition))).value();
    for (const FlowKind kind : {both, neither, neither_too, only_a, only_b}) {
      for (const std::size_t number : {0U, 1U, 55U, 56U, 9'999U}) {
        EXPECT_EQ(passes(*table, kind, number), allows(edition, kind))
            << to_string(kind) << " " << number;
      }
    }
  }
}

TEST(Editions, AreToldFromAllTheirMixturesByAPacketThatPassesAndByOneThatDoesNot) {
  std::size_t mixed = 0;
  for (const Mixture& mixture : mixtures()) {
    if (mixture == kA || mixture == kB) {
      continue;
    }
    ++mixed;
    const auto table = classifier::compile(rules_of({}, mixture)).value();
    EXPECT_FALSE(passes(*table, both, 3)) << mixed;
    EXPECT_TRUE(passes(*table, neither, 3) || passes(*table, neither_too, 3)) << mixed;
  }
  EXPECT_EQ(mixed, 14U);
}

/// What one judge says of packets in their order.
struct OneWay {
  void add(FlowKind kind, bool passed, Met met) { judge.add(kind, passed, met, account); }
  [[nodiscard]] Judged all() const { return sum(account); }

  Judge judge;
  Account account{};
};

TEST(Judge, ExplainsAPacketByAnyGenerationItMayHaveMet) {
  OneWay way;
  way.add(only_a, true, {1, 1});
  way.add(only_b, false, {1, 1});
  way.add(only_a, true, {1, 2});
  way.add(only_b, true, {1, 2});
  way.add(only_a, false, {2, 2});
  way.add(both, true, {2, 3});
  way.add(neither, false, {2, 3});
  EXPECT_EQ(way.all().passed, 4U);
  EXPECT_EQ(way.all().denied, 3U);
  EXPECT_EQ(way.all().at_swaps, 4U);
  EXPECT_EQ(way.all().lost, 0U);
  EXPECT_EQ(way.all().mixed, 0U);
}

TEST(Judge, CallsItAMixtureWhereWhatNobodyAllowsPasses) {
  OneWay way;
  way.add(neither, true, {1, 2});
  way.add(neither_too, true, {2, 2});
  EXPECT_EQ(way.all().mixed, 2U);
  EXPECT_EQ(way.all().lost, 0U);
}

TEST(Judge, CallsItLostWhereWhatBothAllowDoesNotPass) {
  OneWay way;
  way.add(both, false, {1, 2});
  way.add(steady, false, {2, 2});
  EXPECT_EQ(way.all().lost, 2U);
  EXPECT_EQ(way.all().mixed, 0U);
}

TEST(Judge, LetsNoGenerationJudgeBehindALaterOne) {
  OneWay way;
  way.add(only_b, true, {1, 2});  // By generation 2,
  way.add(only_a, true, {1, 2});  // and by the first again.
  way.add(only_a, true, {2, 2});  // By one that was in force no more.
  EXPECT_EQ(way.all().mixed, 2U);
}

/// A worker on a line, and the load of a small world.
class SwapOnALine : public testing::Test {
 protected:
  SwapOnALine() {
    test::test_eal();
    const auto table = table_of(kA);
    traffic_ = make_swap_traffic(world_, *table, {.steady = 300, .team = 100});
    line_ = Line::make("line").value();
    config::Config config;
    config.eal = test::test_eal_options();
    config.eal.mbufs = 512;
    config.ports = {{.name = "a", .vdev = line_->device(0)},
                    {.name = "b", .vdev = line_->device(1)}};
    config.mode.pairs = {{"a", "b"}};
    engine_ = dataplane::Engine::start(
                  config, {test::test_eal().worker_cpus().front()}, generation_of(table))
                  .value();
    load_ = std::make_unique<Load>(*line_, traffic_);
  }

  [[nodiscard]] std::shared_ptr<const classifier::Table> table_of(const Mixture& mixture) const {
    return classifier::compile(rules_of(world_.rules, mixture)).value();
  }

  std::unique_ptr<const dataplane::Generation> generation_of(
      std::shared_ptr<const classifier::Table> table) {
    auto generation = std::make_unique<dataplane::Generation>();
    generation->epoch = ++epoch_;
    generation->table = std::move(table);
    generation->rule_ids = classifier::kBuiltinRules + world_.rules.rules.size();
    return generation;
  }

  void swap_to(const std::shared_ptr<const classifier::Table>& table) {
    load_->swap([&] { engine_->publish(generation_of(table)); });
  }

  const World world_ = make_world({.pods = 300, .policies = 60, .seed = 7});
  std::uint64_t epoch_ = 0;
  SwapTraffic traffic_;
  std::unique_ptr<Line> line_;
  std::unique_ptr<dataplane::Engine> engine_;  // It uses the line.
  std::unique_ptr<Load> load_;
};

TEST_F(SwapOnALine, LosesNothingAndMixesNothingAndCountsEveryPacket) {
  const std::vector tables{table_of(kA), table_of(kB)};
  ASSERT_TRUE(load_->open());
  for (std::size_t swap = 1; swap <= 20; ++swap) {
    ASSERT_TRUE(load_->run(0.003));
    swap_to(tables[swap % 2]);
  }
  ASSERT_TRUE(load_->drain());
  const Judged all = sum(load_->account());
  EXPECT_EQ(all.lost, 0U);
  EXPECT_EQ(all.mixed, 0U);
  EXPECT_GT(all.at_swaps, 0U);
  for (std::size_t kind = 0; kind < kFlowKinds; ++kind) {
    const Judged& judged = load_->account()[kind];
    EXPECT_GT(judged.passed + judged.denied, 0U) << to_string(static_cast<FlowKind>(kind));
  }
  const dataplane::WorkerStatus counted = engine_->status().workers.front();
  EXPECT_EQ(counted.packets, load_->progress().sent);
  EXPECT_EQ(counted.forwarded, all.passed);
  EXPECT_EQ(counted.forwarded, load_->progress().taken);
  EXPECT_EQ(counted.drops[static_cast<std::size_t>(dataplane::DropReason::policy_denied)],
            all.denied);
  EXPECT_EQ(counted.dropped, all.denied);
  EXPECT_GT(counted.revalidated, 0U);
  EXPECT_GT(counted.resets, 0U);  // Connections that end, and begin anew.
}

TEST_F(SwapOnALine, TellsOfATableThatIsNoEdition) {
  // As if the colours of sources were of one table, and all else of the other.
  const auto mixture = table_of({.source = Edition::b});
  ASSERT_TRUE(load_->open());
  swap_to(mixture);
  ASSERT_TRUE(load_->run(0.02));
  ASSERT_TRUE(load_->drain());
  EXPECT_GT(sum(load_->account()).lost, 0U);
  EXPECT_GT(sum(load_->account()).mixed, 0U);
  EXPECT_EQ(load_->account()[static_cast<std::size_t>(steady)].lost, 0U);
}

TEST_F(SwapOnALine, KeepsChecksumsAsTheyAreWhateverTheNumber) {
  for (const Packets& packets : traffic_.load) {
    for (LineFrame frame : packets.frames) {
      put_number(frame, 0x1234'5678);
      EXPECT_EQ(number_of(frame), 0x1234'5678U);
      // Over addresses, protocol, length and what the IP header is followed by.
      const std::span ip = std::span(frame.bytes).subspan(14);
      std::uint64_t sum = dataplane::checksum_add(ip[9] + ip.size() - 20, ip.subspan(12, 8));
      sum = dataplane::checksum_add(sum, ip.subspan(20));
      EXPECT_EQ(dataplane::checksum_finish(sum), 0);
    }
  }
}

}  // namespace
}  // namespace portcullis::bench
