// SPDX-License-Identifier: MIT
// The whole packet path on a wire of memory rings: verdicts with their counters, and swaps under
// load that lose and reorder nothing.
#include "dataplane/dpdk/engine.h"

#include <atomic>
#include <chrono>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "classifier/key.h"
#include "classifier/verdict.h"
#include "dataplane/packet/headers.h"
#include "dataplane/packet/parse.h"
#include "tests/dataplane/ring_port.h"
#include "tests/support/generation.h"

namespace portcullis::dataplane {
namespace {

using classifier::Builtin;
using test::Bytes;
using test::Ends;

constexpr Ends kAllowed{"10.0.0.1", "10.0.0.2", 40'000, 5'000};
constexpr Ends kDenied{"10.0.0.1", "10.0.0.2", 40'000, 5'001};
constexpr Ends kTcp{"10.0.0.1", "10.0.0.2", 40'000, 5'000};
constexpr classifier::RuleId kEgressRule = classifier::rule_id(std::size_t{0});
constexpr classifier::RuleId kIngressRule = classifier::rule_id(std::size_t{1});

IpAddress ip(const char* text) {
  return parse_ip(text).value();
}

/// Two pods; the first may send UDP to `port` of the second, and nothing else passes, unless TCP
/// may.
std::unique_ptr<const Generation> generation(std::uint64_t epoch,
                                             std::uint16_t port,
                                             bool tcp = false) {
  using namespace classifier;
  RuleSet rules{.default_mode = DefaultMode::deny,
                .endpoints = {{.addresses = {ip("10.0.0.1")}}, {.addresses = {ip("10.0.0.2")}}},
                .sets = {{.endpoints = {0}}, {.endpoints = {1}}},
                .port_sets = {{.ranges = {{kProtocolUdp, port, port}}}}};
  if (tcp) {
    rules.port_sets[0].ranges.push_back({kProtocolTcp, port, port});
  }
  rules.rules = {{.direction = Direction::egress, .subjects = 0, .peers = 1},
                 {.direction = Direction::ingress, .subjects = 1, .peers = 0}};
  return test::generation_of(rules, epoch);
}

class EngineOnAWire : public testing::Test {
 protected:
  void SetUp() override {
    const std::vector<std::uint32_t> cpus{test::test_eal().worker_cpus().front()};
    static int wires = 0;
    const std::string suffix = std::to_string(wires++);
    left_ = std::make_unique<test::RingPort>("l" + suffix);
    right_ = std::make_unique<test::RingPort>("r" + suffix);
    config::Config config{.eal = test::test_eal_options()};
    config.eal.mbufs = 1024;
    config.ports = {{.name = "left", .vdev = left_->device()},
                    {.name = "right", .vdev = right_->device()}};
    config.mode.pairs = {{"left", "right"}};
    config.policy.reject = reject_;
    auto engine = Engine::start(config, cpus, generation(1, 5'000));
    ASSERT_TRUE(engine.has_value()) << to_string(engine.error());
    engine_ = *std::move(engine);
  }
  void TearDown() override {
    engine_.reset();
    left_.reset();
    right_.reset();
  }

  WorkerStatus worker() { return engine_->status().workers.at(0); }
  std::uint64_t drops(DropReason reason) {
    return worker().drops.at(static_cast<std::size_t>(reason));
  }
  /// Waits until the worker has counted `packets`.
  bool counted(std::uint64_t packets) {
    for (int i = 0; i < 30'000 && worker().packets < packets; ++i) {
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    return worker().packets == packets;
  }

  config::Policy::Reject reject_ = config::Policy::Reject::drop;
  std::unique_ptr<test::RingPort> left_;
  std::unique_ptr<test::RingPort> right_;
  std::unique_ptr<Engine> engine_;
};

TEST_F(EngineOnAWire, PassesWhatIsAllowedAndItsRepliesUnchanged) {
  const Bytes question = test::udp_frame(kAllowed);
  const Bytes answer = test::udp_frame(test::turned(kAllowed));
  ASSERT_TRUE(left_->put(question));
  EXPECT_EQ(right_->wait(), question);
  ASSERT_TRUE(right_->put(answer));
  EXPECT_EQ(left_->wait(), answer);

  ASSERT_TRUE(counted(2));
  EXPECT_EQ(worker().forwarded, 2U);
  EXPECT_EQ(worker().dropped, 0U);
  EXPECT_EQ(worker().flows, 1U);
  const DataplaneStatus status = engine_->status();
  EXPECT_EQ(status.ports.at(0).name, "left");
  EXPECT_EQ(status.ports.at(0).rx_packets, 1U);
  EXPECT_EQ(status.ports.at(0).tx_packets, 1U);
  const std::vector<RuleHits> hits = engine_->rule_hits();
  ASSERT_EQ(hits.size(), 2U);
  EXPECT_EQ(hits[0].rule, kEgressRule);
  EXPECT_EQ(hits[0].packets, 1U);
  EXPECT_EQ(hits[1].rule, kIngressRule);
}

TEST_F(EngineOnAWire, DropsAndCountsWhatIsDenied) {
  ASSERT_TRUE(left_->put(test::udp_frame(kDenied)));
  ASSERT_TRUE(left_->put(test::tcp_frame(kAllowed, test::kSyn)));
  ASSERT_TRUE(right_->put(test::udp_frame(test::turned(kAllowed))));
  ASSERT_TRUE(left_->put({1, 2, 3}));
  ASSERT_TRUE(counted(4));
  EXPECT_EQ(worker().forwarded, 0U);
  EXPECT_EQ(worker().dropped, 4U);
  EXPECT_EQ(drops(DropReason::policy_denied), 3U);
  EXPECT_EQ(drops(DropReason::invalid_header), 1U);
  EXPECT_TRUE(right_->take().empty());
  EXPECT_TRUE(left_->take().empty());
}

class EngineThatResets : public EngineOnAWire {
 protected:
  EngineThatResets() { reject_ = config::Policy::Reject::reset; }
};

TEST_F(EngineThatResets, TellsTheSenderOfWhatIsDenied) {
  ASSERT_TRUE(left_->put(test::tcp_frame(kDenied, test::kSyn)));
  const Packet reset = parse(left_->wait().value_or(Bytes{}));
  EXPECT_EQ(reset.event, Packet::Event::abort);
  EXPECT_EQ(reset.tuple.src_port, kDenied.dst_port);
  ASSERT_TRUE(left_->put(test::udp_frame(kDenied)));
  EXPECT_EQ(parse(left_->wait().value_or(Bytes{})).kind, Packet::Kind::related);
  EXPECT_TRUE(right_->take().empty());
  ASSERT_TRUE(counted(2));
  EXPECT_EQ(worker().dropped, 2U);
  EXPECT_EQ(drops(DropReason::policy_denied), 2U);
}

TEST_F(EngineThatResets, TellsThoseWhoseConnectionIsNotKnown) {
  ASSERT_TRUE(right_->put(test::tcp_frame(kDenied, test::kAck)));
  EXPECT_EQ(parse(right_->wait().value_or(Bytes{})).event, Packet::Event::abort);
  ASSERT_TRUE(right_->put(test::tcp_frame(kDenied, test::kRst)));
  ASSERT_TRUE(counted(2));
  EXPECT_EQ(drops(DropReason::not_a_new_flow), 2U);
  EXPECT_TRUE(right_->take().empty()) << "a reset is not answered";
}

TEST_F(EngineThatResets, TellsNobodyTooOften) {
  for (int burst = 0; burst < 20; ++burst) {
    for (int i = 0; i < 100; ++i) {
      ASSERT_TRUE(left_->put(test::udp_frame(kDenied)));
    }
    ASSERT_TRUE(counted(100U * static_cast<unsigned>(burst + 1)));
    while (!left_->take().empty()) {
    }
  }
  EXPECT_LE(engine_->status().ports.at(0).tx_packets, 2'000U);
  EXPECT_EQ(drops(DropReason::policy_denied), 2'000U);
}

TEST_F(EngineOnAWire, PassesFragmentsBehindTheFirstOne) {
  const auto parts = test::cut(test::udp_frame(kAllowed, Bytes(100, 7)), 48, 1);
  ASSERT_TRUE(left_->put(parts[2]));
  ASSERT_TRUE(counted(1));
  EXPECT_EQ(worker().held, 1U);
  ASSERT_TRUE(left_->put(parts[0]));
  EXPECT_EQ(right_->wait(), parts[0]);
  EXPECT_EQ(right_->wait(), parts[2]);
  ASSERT_TRUE(left_->put(parts[1]));
  EXPECT_EQ(right_->wait(), parts[1]);
  const auto denied = test::cut(test::udp_frame(kDenied, Bytes(100, 7)), 48, 2);
  ASSERT_TRUE(left_->put(denied[1]));
  ASSERT_TRUE(left_->put(denied[0]));
  ASSERT_TRUE(counted(5));
  EXPECT_EQ(worker().forwarded, 3U);
  EXPECT_EQ(drops(DropReason::policy_denied), 2U);
  EXPECT_EQ(worker().held, 0U);
  // One that waits when all ends goes back to the pool.
  ASSERT_TRUE(left_->put(test::cut(test::udp_frame(kAllowed, Bytes(100, 7)), 48, 3)[1]));
  ASSERT_TRUE(counted(6));
  EXPECT_EQ(worker().held, 1U);
}

TEST_F(EngineOnAWire, LetsHostsFindEachOther) {
  const Bytes request = test::arp_frame(1, "10.0.0.1", "10.0.0.2");
  const Bytes solicitation = test::nd_frame(135, "fd00::1", "ff02::1:ff00:2", "fd00::2");
  ASSERT_TRUE(left_->put(request));
  ASSERT_TRUE(left_->put(solicitation));
  EXPECT_EQ(right_->wait(), request);
  EXPECT_EQ(right_->wait(), solicitation);
  ASSERT_TRUE(counted(2));
  EXPECT_EQ(worker().dropped, 0U);
}

TEST_F(EngineOnAWire, DropsWhatIsLargerThanTheMtu) {
  ASSERT_TRUE(left_->put(test::udp_frame(kAllowed, Bytes(1'600))));
  ASSERT_TRUE(counted(1));
  engine_->publish(generation(2, 5'000));  // Returns after the burst.
  EXPECT_EQ(drops(DropReason::packet_too_big), 1U);
  EXPECT_EQ(worker().dropped, 1U);
  EXPECT_EQ(worker().forwarded, 0U);
}

/// TCP of a connection that is known, to be cut by its device. Mind its numbers: they are followed.
Bytes super_packet(std::uint32_t seq, std::size_t payload, std::uint8_t flags) {
  return test::tcp_frame(kTcp,
                         {.seq = seq, .ack = 1'001, .flags = flags, .payload_bytes = payload});
}

TEST_F(EngineOnAWire, CutsSuperPacketsAndKeepsTheirPlace) {
  engine_->publish(generation(2, 5'000, true));
  for (const Bytes& frame : {test::tcp_frame(kTcp, test::kSyn),
                             test::tcp_frame(test::turned(kTcp), test::kSyn | test::kAck),
                             test::tcp_frame(kTcp, test::kAck)}) {
    const bool back = parse(frame).tuple.src_port == kTcp.dst_port;
    ASSERT_TRUE((back ? right_ : left_)->put(frame));
    ASSERT_EQ((back ? left_ : right_)->wait(), frame);
  }
  const std::size_t buffers = test::free_buffers();
  // A hundred segments make two bursts of them. What came behind it in its burst stays behind it.
  constexpr std::size_t kSegments = 100;
  constexpr std::uint16_t kEach = 500;
  constexpr std::size_t kPayload = kSegments * kEach - 7;
  const Bytes last = super_packet(1'001 + kPayload, 3, test::kAck | test::kFin);
  ASSERT_TRUE(left_->put_chain(super_packet(1'001, kPayload, test::kAck | test::kPsh), kEach));
  ASSERT_TRUE(left_->put(last));
  std::uint32_t expected = 1'001;
  for (std::size_t i = 0; i < kSegments; ++i) {
    const Bytes segment = right_->wait().value_or(Bytes{});
    const Packet packet = parse(segment);
    ASSERT_EQ(packet.kind, Packet::Kind::flow);
    const std::uint8_t* const tcp = &segment[packet.l4_offset];
    ASSERT_EQ(wire::load32(tcp + wire::kTcpSequence), expected);
    ASSERT_EQ((tcp[wire::kTcpFlags] & test::kPsh) != 0, i + 1 == kSegments);
    expected += static_cast<std::uint32_t>(segment.size() - packet.l4_offset - wire::kTcpBytes);
  }
  EXPECT_EQ(expected, 1'001 + kPayload);
  EXPECT_EQ(right_->wait(), last);
  ASSERT_TRUE(counted(3 + kSegments + 1));
  EXPECT_EQ(worker().forwarded, 3 + kSegments + 1);
  EXPECT_EQ(worker().dropped, 0U);
  EXPECT_EQ(worker().super_packets, 1U);
  engine_->publish(generation(3, 5'000, true));  // Returns after the burst.
  EXPECT_EQ(test::free_buffers(), buffers);
}

TEST_F(EngineOnAWire, JudgesTheSegmentsOfASuperPacket) {
  ASSERT_TRUE(left_->put_chain(super_packet(1'001, 4'000, test::kAck), 1'000));
  ASSERT_TRUE(counted(4));
  EXPECT_EQ(drops(DropReason::not_a_new_flow), 4U);
  EXPECT_EQ(worker().super_packets, 1U);
}

TEST_F(EngineOnAWire, LosesLargePacketsThatItCannotCut) {
  const std::size_t buffers = test::free_buffers();
  ASSERT_TRUE(left_->put_chain(super_packet(1'001, 40'000, test::kAck), 1));
  // Nobody says that it is to be cut, and no buffer holds it.
  ASSERT_TRUE(left_->put_chain(test::udp_frame(kAllowed, Bytes(4'000)), 0));
  // More segments than there are buffers, so that each one's have to come back.
  for (int i = 0; i < 12; ++i) {
    ASSERT_TRUE(left_->put_chain(super_packet(1'001, 60'000, test::kAck), 500));
  }
  ASSERT_TRUE(counted(2 + 12 * 120));
  engine_->publish(generation(2, 5'000));  // Returns after the burst.
  EXPECT_EQ(drops(DropReason::packet_too_big), 2U);
  EXPECT_EQ(drops(DropReason::not_a_new_flow), 12U * 120U);
  EXPECT_EQ(worker().super_packets, 12U);
  EXPECT_EQ(test::free_buffers(), buffers);
  EXPECT_EQ(test::engine_buffers_in_use(), 0U);
}

TEST_F(EngineOnAWire, EnforcesAPublishedTableOnKnownFlows) {
  ASSERT_TRUE(left_->put(test::udp_frame(kAllowed)));
  ASSERT_TRUE(right_->wait().has_value());
  engine_->publish(generation(2, 6'000));
  EXPECT_EQ(engine_->status().epoch, 2U);
  ASSERT_TRUE(left_->put(test::udp_frame(kAllowed)));
  ASSERT_TRUE(counted(2));
  EXPECT_EQ(worker().forwarded, 1U);
  EXPECT_EQ(worker().revalidated, 1U);
  EXPECT_EQ(drops(DropReason::policy_denied), 1U);
  EXPECT_TRUE(right_->take().empty());
  for (const RuleHits& hits : engine_->rule_hits()) {
    EXPECT_EQ(hits.rule, classifier::rule_id(Builtin::default_deny));
  }
}

TEST_F(EngineOnAWire, ListsItsFlowsAndForgetsThoseThatAreFlushed) {
  const Bytes answer = test::udp_frame(test::turned(kAllowed));
  ASSERT_TRUE(left_->put(test::udp_frame(kAllowed)));
  ASSERT_TRUE(right_->wait().has_value());
  const auto list = engine_->flows({.records_max = 10});
  ASSERT_TRUE(list.has_value()) << to_string(list.error());
  ASSERT_EQ(list->size(), 1U);
  EXPECT_EQ(list->front().cpu, test::test_eal().worker_cpus().front());
  ASSERT_EQ(list->front().records.size(), 1U);
  const FlowRecord& flow = list->front().records.front();
  EXPECT_EQ(flow.tuple.dst_port, kAllowed.dst_port);
  EXPECT_EQ(flow.verdict.egress.rule(), kEgressRule);
  EXPECT_EQ(flow.verdict.ingress.rule(), kIngressRule);
  EXPECT_EQ(flow.epoch, 1U);
  const auto flush = engine_->flows({.action = FlowRequest::Action::flush});
  ASSERT_TRUE(flush.has_value()) << to_string(flush.error());
  EXPECT_EQ(sum(flush->front().counts), 1U);
  EXPECT_EQ(worker().flows, 0U);
  EXPECT_EQ(worker().flows_created, 1U);
  // An answer to nothing that is known is judged for itself, and nobody may begin that way.
  ASSERT_TRUE(right_->put(answer));
  ASSERT_TRUE(counted(2));
  EXPECT_EQ(drops(DropReason::policy_denied), 1U);
}

TEST_F(EngineOnAWire, NamesThePortThatCannotBeMade) {
  engine_.reset();
  config::Config config{.eal = test::test_eal_options()};
  config.eal.mbufs = 1024;
  config.ports = {{.name = "left", .vdev = "net_af_packet7,iface=no_such_link"},
                  {.name = "right", .vdev = "net_null7"}};
  config.mode.pairs = {{"left", "right"}};
  const auto engine =
      Engine::start(config, {test::test_eal().worker_cpus().front()}, generation(1, 1));
  ASSERT_FALSE(engine.has_value());
  EXPECT_TRUE(engine.error().message.starts_with("ports.left: ")) << engine.error().message;
  EXPECT_NE(engine.error().message.find("no_such_link"), std::string::npos);
}

TEST_F(EngineOnAWire, SaysHowManyBuffersItTakes) {
  engine_.reset();
  config::Config config{.eal = test::test_eal_options()};
  config.eal.mbufs = 2048;
  config.ports = {{.name = "left", .vdev = "net_virtio_user7,path=/nowhere,queue_size=1024"},
                  {.name = "right", .vdev = "net_null7"}};
  config.mode.pairs = {{"left", "right"}};
  const auto engine =
      Engine::start(config, {test::test_eal().worker_cpus().front()}, generation(1, 1));
  ASSERT_FALSE(engine.has_value());
  EXPECT_TRUE(engine.error().message.starts_with("eal.mbufs = 2048 is too few: it takes "))
      << engine.error().message;
}

TEST_F(EngineOnAWire, DrivesNoMorePortsThanDpdk) {
  engine_.reset();
  config::Config config{.eal = test::test_eal_options()};
  for (int i = 0; i < 40; i += 2) {
    const std::string a = fmt::format("p{}", i);
    const std::string b = fmt::format("p{}", i + 1);
    config.ports.push_back({.name = a, .vdev = fmt::format("net_null1{:02},no-rx=1", i)});
    config.ports.push_back({.name = b, .vdev = fmt::format("net_null1{:02},no-rx=1", i + 1)});
    config.mode.pairs.emplace_back(a, b);
  }
  const std::vector<std::uint32_t> cpus{test::test_eal().worker_cpus().front()};
  const auto refused = Engine::start(config, cpus, generation(1, 1));
  ASSERT_FALSE(refused.has_value());
  const std::string& message = refused.error().message;
  EXPECT_TRUE(message.starts_with("ports.p")) << message;
  EXPECT_NE(message.find("as many as this build of DPDK drives (RTE_MAX_ETHPORTS)"),
            std::string::npos)
      << message;
  // It has left nothing behind.
  config.ports.resize(20);
  config.mode.pairs.resize(10);
  const auto engine = Engine::start(config, cpus, generation(1, 1));
  EXPECT_TRUE(engine.has_value()) << (engine ? "" : to_string(engine.error()));
}

TEST(EngineOnTwoWires, GivesEachWorkerAPairAndSwapsForBoth) {
  const std::vector<std::uint32_t>& cpus = test::test_eal().worker_cpus();
  ASSERT_EQ(cpus.size(), 2U);
  std::vector<std::unique_ptr<test::RingPort>> rings;
  config::Config config{.eal = test::test_eal_options()};
  config.eal.mbufs = 1024;
  for (const char* name : {"w0", "w1", "w2", "w3"}) {
    rings.push_back(std::make_unique<test::RingPort>(name));
    config.ports.push_back({.name = name, .vdev = rings.back()->device()});
  }
  config.mode.pairs = {{"w0", "w1"}, {"w2", "w3"}};
  auto engine = Engine::start(config, cpus, generation(1, 5'000));
  ASSERT_TRUE(engine.has_value()) << to_string(engine.error());

  const Bytes packet = test::udp_frame(kAllowed);
  for (std::uint64_t epoch = 2; epoch < 50; ++epoch) {
    ASSERT_TRUE(rings[0]->put(packet));
    ASSERT_TRUE(rings[2]->put(packet));
    EXPECT_EQ(rings[1]->wait(), packet);
    EXPECT_EQ(rings[3]->wait(), packet);
    (*engine)->publish(generation(epoch, 5'000));
  }
  for (const WorkerStatus& worker : (*engine)->status().workers) {
    EXPECT_EQ(worker.packets, 48U);
    EXPECT_EQ(worker.forwarded, 48U);
    EXPECT_EQ(worker.flows, 1U);
    EXPECT_EQ(worker.revalidated, 47U);
  }
  engine->reset();
}

/// A stream of UDP packets, numbered in their payload, unpaced or paced.
struct Stream {
  test::RingPort& from;
  test::RingPort& to;
  std::uint32_t sent = 0;
  std::uint32_t received = 0;
  std::uint32_t out_of_order = 0;

  void pump() {
    const auto byte = [this](unsigned shift) { return static_cast<std::uint8_t>(sent >> shift); };
    if (sent - received < 512 &&
        from.put(test::udp_frame(kAllowed, {byte(24), byte(16), byte(8), byte(0)}))) {
      ++sent;
    }
    drain();
  }
  void drain() {
    for (const Bytes& frame : to.take()) {
      std::uint32_t number = 0;
      for (std::size_t i = 0; i < 4; ++i) {
        number = number << 8U | frame[14 + 20 + 8 + i];
      }
      out_of_order += number != received ? 1 : 0;
      ++received;
    }
  }
  void finish() {
    for (int i = 0; i < 30'000 && received < sent; ++i) {
      drain();
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
  }
};

void swap_under_load(Engine& engine, Stream& stream, std::chrono::microseconds pace) {
  constexpr std::uint64_t kSwaps = 100;
  std::atomic<bool> done{false};
  std::thread control([&] {
    for (std::uint64_t epoch = 2; epoch <= kSwaps + 1; ++epoch) {
      engine.publish(generation(epoch, 5'000));
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }
    done = true;
  });
  while (!done) {
    stream.pump();
    if (pace.count() > 0) {
      std::this_thread::sleep_for(pace);
    }
  }
  control.join();
  stream.finish();
  EXPECT_EQ(engine.status().epoch, kSwaps + 1);
}

TEST_F(EngineOnAWire, LosesAndReordersNothingInAHundredSwapsUnpaced) {
  Stream stream{*left_, *right_};
  swap_under_load(*engine_, stream, std::chrono::microseconds(0));
  RecordProperty("packets", static_cast<int>(stream.sent));
  std::printf("100 swaps, unpaced: %u packets sent, %u lost, %u reordered\n",
              stream.sent,
              stream.sent - stream.received,
              stream.out_of_order);
  EXPECT_GT(stream.sent, 1000U);
  EXPECT_EQ(stream.received, stream.sent);
  EXPECT_EQ(stream.out_of_order, 0U);
  EXPECT_EQ(worker().packets, stream.sent);
  EXPECT_EQ(worker().forwarded, stream.sent);
  EXPECT_EQ(worker().dropped, 0U);
  EXPECT_GT(worker().revalidated, 0U);
}

TEST_F(EngineOnAWire, LosesAndReordersNothingInAHundredSwapsPaced) {
  Stream stream{*left_, *right_};
  swap_under_load(*engine_, stream, std::chrono::microseconds(500));
  std::printf("100 swaps, paced: %u packets sent, %u lost, %u reordered\n",
              stream.sent,
              stream.sent - stream.received,
              stream.out_of_order);
  EXPECT_EQ(stream.received, stream.sent);
  EXPECT_EQ(stream.out_of_order, 0U);
  EXPECT_EQ(worker().forwarded, stream.sent);
  EXPECT_EQ(worker().dropped, 0U);
}

}  // namespace
}  // namespace portcullis::dataplane
