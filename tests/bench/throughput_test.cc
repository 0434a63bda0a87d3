// SPDX-License-Identifier: MIT
// The traffic of portcullis-bench is what its figures say: real frames of flows that are allowed,
// each of its own, established by both directions. Its children listen, and memory that grows is
// noticed.
#include <array>
#include <bit>
#include <set>
#include <vector>

#include <unistd.h>

#include <gtest/gtest.h>

#include "bench/measure.h"
#include "bench/throughput/attack.h"
#include "bench/throughput/child.h"
#include "bench/throughput/drive.h"
#include "bench/throughput/traffic.h"
#include "classifier/compile.h"
#include "dataplane/counters.h"
#include "dataplane/packet/checksum.h"
#include "dataplane/packet/parse.h"
#include "dataplane/pipeline.h"

namespace portcullis::bench {
namespace {

using dataplane::Outcome;
using dataplane::Packet;
using Kind = Traffic::Kind;
using Step = Traffic::Step;

constexpr std::size_t kFlows = 700;

class TrafficOfAWorld : public testing::Test {
 protected:
  TrafficOfAWorld() {
    add_ipv6(world_);
    generation_.epoch = 1;
    generation_.table = classifier::compile(world_.rules).value();
    generation_.rule_ids = classifier::kBuiltinRules + world_.rules.rules.size();
  }

  std::span<std::uint8_t> frame(const Traffic& traffic, std::size_t flow, Step step) {
    return std::span(bytes_).first(traffic.write(flow, step, 64, bytes_));
  }

  World world_ = make_world({.pods = 300, .policies = 60, .seed = 7});
  dataplane::Generation generation_;
  std::vector<std::uint8_t> bytes_ = std::vector<std::uint8_t>(Traffic::kFrameBytesMax);
};

class TrafficOfAKind : public TrafficOfAWorld, public testing::WithParamInterface<Kind> {};

TEST_P(TrafficOfAKind, GivesEachFlowATupleOfItsOwnAndItsReplyTheReverse) {
  const Traffic traffic(world_, *generation_.table, GetParam());
  ASSERT_GE(traffic.flows_max(), kFlows);
  using Raw = std::array<std::uint8_t, sizeof(dataplane::FlowTuple)>;
  std::set<Raw> tuples;
  for (std::size_t flow = 0; flow < kFlows; ++flow) {
    const Packet data = dataplane::parse(frame(traffic, flow, Step::data));
    ASSERT_EQ(data.kind, Packet::Kind::flow);
    const Packet reply = dataplane::parse(frame(traffic, flow, Step::data_reply));
    EXPECT_EQ(reply.tuple, dataplane::reversed(data.tuple));
    for (const dataplane::FlowTuple& tuple : {data.tuple, reply.tuple}) {
      EXPECT_TRUE(tuples.insert(std::bit_cast<Raw>(tuple)).second);
    }
  }
}

TEST_P(TrafficOfAKind, IsForwardedWholeAndKnownByItsFlows) {
  const Traffic traffic(world_, *generation_.table, GetParam());
  dataplane::Pipeline pipeline({.conntrack = {}, .ports = 2});
  std::vector<std::uint64_t> hits(generation_.rule_ids);
  for (const Step step : {Step::open, Step::accept, Step::data, Step::data_reply}) {
    for (std::size_t flow = 0; flow < kFlows; ++flow) {
      const std::span<std::uint8_t> bytes = frame(traffic, flow, step);
      const dataplane::Frame one{.data = bytes.data(),
                                 .length = static_cast<std::uint32_t>(bytes.size())};
      Outcome outcome;
      pipeline.process(generation_, 1, std::span(&one, 1), std::span(&outcome, 1), {hits, {}});
      ASSERT_EQ(outcome.action, Outcome::Action::forward) << "flow " << flow;
      EXPECT_EQ(outcome.judged, step == Step::open);
    }
  }
  EXPECT_EQ(pipeline.counters().flows.get(), kFlows);
  EXPECT_EQ(pipeline.counters().replies.get(), 2 * kFlows);
  EXPECT_EQ(pipeline.counters().dropped.get(), 0U);
}

INSTANTIATE_TEST_SUITE_P(Kinds, TrafficOfAKind, testing::Values(Kind::udp4, Kind::mixed));

TEST_F(TrafficOfAWorld, IsUdpOverIpv4OrAllThatPoliciesAllow) {
  const Traffic udp4(world_, *generation_.table, Kind::udp4);
  const Traffic mixed(world_, *generation_.table, Kind::mixed);
  std::set<std::pair<Family, std::uint8_t>> of_udp4;
  std::set<std::pair<Family, std::uint8_t>> of_mixed;
  for (std::size_t flow = 0; flow < kFlows; ++flow) {
    const Packet plain = dataplane::parse(frame(udp4, flow, Step::open));
    of_udp4.emplace(plain.tuple.family, plain.tuple.protocol);
    const Packet any = dataplane::parse(frame(mixed, flow, Step::open));
    of_mixed.emplace(any.tuple.family, any.tuple.protocol);
  }
  EXPECT_EQ(of_udp4.size(), 1U);
  EXPECT_EQ(of_mixed.size(), 4U);
}

TEST_F(TrafficOfAWorld, IsAsLongAsAskedWithChecksumsThatHold) {
  const Traffic traffic(world_, *generation_.table, Kind::udp4);
  for (const std::size_t length : {64U, 65U, 594U, 1518U, 9018U}) {
    ASSERT_EQ(traffic.write(3, Step::data, length, bytes_), length);
    const std::span ip = std::span(bytes_).first(length).subspan(14);
    // Over addresses, protocol, length and the datagram.
    std::uint64_t sum = dataplane::checksum_add(17 + length - 34, ip.subspan(12, 8));
    sum = dataplane::checksum_add(sum, ip.subspan(20));
    EXPECT_EQ(dataplane::checksum_finish(sum), 0);
  }
}

class AttackOnAWorld : public TrafficOfAWorld {
 protected:
  /// How many of the first `count` packets of a kind come to an action.
  std::size_t outcomes(Attack::Kind kind, std::size_t count, Outcome::Action action) {
    dataplane::Pipeline pipeline({.conntrack = {}, .ports = 2});
    std::vector<std::uint64_t> hits(generation_.rule_ids);
    std::size_t found = 0;
    for (std::size_t number = 0; number < count; ++number) {
      // Every way of lying, and not ten thousand times the first one.
      const std::size_t length = attack_.write(kind, number * 2'501, bytes_);
      EXPECT_LE(length, 64U);
      const dataplane::Frame one{.data = bytes_.data(),
                                 .length = static_cast<std::uint32_t>(length)};
      Outcome outcome;
      pipeline.process(generation_, 1, std::span(&one, 1), std::span(&outcome, 1), {hits, {}});
      found += outcome.action == action ? 1 : 0;
      reasons_.insert(outcome.reason);
    }
    return found;
  }

  const Traffic tcp4_ = Traffic(world_, *generation_.table, Kind::tcp4);
  const Attack attack_ = Attack(world_, *generation_.table, tcp4_);
  std::set<dataplane::DropReason> reasons_;
};

TEST_F(AttackOnAWorld, LetsNothingMalformedPass) {
  EXPECT_EQ(outcomes(Attack::Kind::malformed, 64, Outcome::Action::drop), 64U);
  EXPECT_EQ(
      reasons_,
      (std::set{dataplane::DropReason::invalid_header, dataplane::DropReason::invalid_source}));
}

TEST_F(AttackOnAWorld, ScansWhatPoliciesDeny) {
  EXPECT_EQ(outcomes(Attack::Kind::scan, 200, Outcome::Action::drop), 200U);
  EXPECT_EQ(reasons_.count(dataplane::DropReason::policy_denied), 1U);
  EXPECT_EQ(reasons_.count(dataplane::DropReason::invalid_header), 0U);
}

TEST_F(AttackOnAWorld, SendsFragmentsThatOverlapAndSomeThatWaitInVain) {
  dataplane::Pipeline pipeline({.conntrack = {}, .ports = 2});
  std::vector<std::uint64_t> hits(generation_.rule_ids);
  std::vector<Outcome> outcomes(4);
  for (std::size_t number = 0; number < 4; ++number) {
    const std::size_t length = attack_.write(Attack::Kind::fragments, number, bytes_);
    const dataplane::Frame one{.data = bytes_.data(), .length = static_cast<std::uint32_t>(length)};
    pipeline.process(
        generation_, 1, std::span(&one, 1), std::span(&outcomes[number], 1), {hits, {}});
  }
  EXPECT_EQ(outcomes[0].action, Outcome::Action::forward);
  EXPECT_EQ(outcomes[1].reason, dataplane::DropReason::fragment_overlap);
  EXPECT_EQ(outcomes[2].action, Outcome::Action::drop);
  EXPECT_EQ(outcomes[3].action, Outcome::Action::hold);
}

TEST_F(TrafficOfAWorld, IsNotedAsLostWhereADriveDoesNotForwardIt) {
  const Traffic tcp4(world_, *generation_.table, Kind::tcp4);
  const Attack attack(world_, *generation_.table, tcp4);
  Drive drive(generation_, tcp4, kFlows, &attack);
  for (const Step step : {Step::open, Step::accept, Step::data}) {
    drive.run(of_every_flow(kFlows, step), 64);
  }
  EXPECT_TRUE(drive.expect_forwarded());
  const auto flow = static_cast<std::uint32_t>(kFlows);
  drive.run(std::vector<Turn>{{.flow = 0, .attack = Attack::Kind::scan},
                              {.flow = 0, .attack = Attack::Kind::malformed},
                              {.flow = 0, .attack = Attack::Kind::fragments},
                              {.flow = flow, .step = Step::data},
                              {.flow = 1, .step = Step::data_reply}},
            64);
  EXPECT_EQ(drive.attack_passed(), 1U);  // The first fragment.
  EXPECT_EQ(drive.good_lost(), 1U);      // Of a connection that nobody opened.
  EXPECT_FALSE(drive.expect_forwarded());
}

TEST(Imix, IsSevenFourOne) {
  std::size_t bytes = 0;
  for (std::size_t flow = 0; flow < 12; ++flow) {
    bytes += imix_bytes(flow);
  }
  EXPECT_EQ(bytes, 7U * 64 + 4 * 594 + 1518);
}

TEST(AnonymousBytes, GrowByWhatIsWrittenTo) {
  constexpr std::size_t kMore = std::size_t{8} << 20U;
  const auto before = anonymous_bytes();
  ASSERT_TRUE(before);
  const std::vector<std::uint8_t> bytes(kMore, 1);
  const auto after = anonymous_bytes();
  ASSERT_TRUE(after);
  EXPECT_GE(*after, *before + bytes.size());
  EXPECT_LT(*after, *before + 2 * kMore);
}

TEST(Child, AnswersAndSaysHowItEnded) {
  auto child = Child::fork([](int descriptor) {
    char asked = 0;
    EXPECT_EQ(read(descriptor, &asked, 1), 1);
    EXPECT_EQ(write(descriptor, "yes\nthen no", 11), 11);
  });
  ASSERT_TRUE(child);
  ASSERT_TRUE(child->send("?"));
  EXPECT_EQ(child->read_until("\n", 10).value(), "yes");
  const auto ended = child->read_until("\n", 10);
  ASSERT_FALSE(ended);
  EXPECT_NE(ended.error().message.find("then no"), std::string::npos);
}

TEST(Child, TellsOfAProgramThatIsNotThere) {
  auto child = Child::start({"portcullis-no-such-program"});
  ASSERT_TRUE(child);
  const auto said = child->read_until("ready", 10);
  ASSERT_FALSE(said);
  EXPECT_NE(said.error().message.find("No such file"), std::string::npos);
}

}  // namespace
}  // namespace portcullis::bench
