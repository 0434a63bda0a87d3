// SPDX-License-Identifier: MIT
// Mode mirror on ports of memory rings: what is judged is counted as on a wire, nothing comes out
// of any port, and every buffer goes back.
#include "dataplane/dpdk/forward_mirror.h"

#include <chrono>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "dataplane/dpdk/engine.h"
#include "tests/dataplane/ring_port.h"
#include "tests/support/generation.h"

namespace portcullis::dataplane {
namespace {

using test::Bytes;
using test::Ends;

constexpr Ends kAllowed{"10.0.0.1", "10.0.0.2", 40'000, 5'000};
constexpr Ends kDenied{"10.0.0.1", "10.0.0.2", 40'000, 5'001};

IpAddress ip(const char* text) {
  return parse_ip(text).value();
}

/// Two pods; the first may reach port 5000 of the second, and nothing else passes.
std::unique_ptr<const Generation> generation(std::uint64_t epoch) {
  using namespace classifier;
  RuleSet rules{
      .default_mode = DefaultMode::deny,
      .endpoints = {{.addresses = {ip("10.0.0.1")}}, {.addresses = {ip("10.0.0.2")}}},
      .sets = {{.endpoints = {0}}, {.endpoints = {1}}},
      .port_sets = {{.ranges = {{kProtocolUdp, 5'000, 5'000}, {kProtocolTcp, 5'000, 5'000}}}}};
  rules.rules = {{.direction = Direction::egress, .subjects = 0, .peers = 1},
                 {.direction = Direction::ingress, .subjects = 1, .peers = 0}};
  return test::generation_of(rules, epoch);
}

class EngineOfAMirror : public testing::Test {
 protected:
  void SetUp() override {
    const std::vector<std::uint32_t> cpus{test::test_eal().worker_cpus().front()};
    static int mirrors = 0;
    const std::string suffix = std::to_string(mirrors++);
    a_ = std::make_unique<test::RingPort>("ma" + suffix);
    b_ = std::make_unique<test::RingPort>("mb" + suffix);
    buffers_ = test::free_buffers();
    config::Config config{.eal = test::test_eal_options(), .conntrack = conntrack_};
    config.eal.mbufs = 1024;
    config.ports = {{.name = "a", .vdev = a_->device(), .role = config::Port::Role::mirror},
                    {.name = "b", .vdev = b_->device(), .role = config::Port::Role::mirror}};
    config.mode.kind = config::Mode::Kind::mirror;
    auto engine = Engine::start(config, cpus, generation(1));
    ASSERT_TRUE(engine.has_value()) << to_string(engine.error());
    engine_ = *std::move(engine);
  }
  /// Whatever a test did: nothing came out, and nothing is kept.
  void TearDown() override {
    if (engine_) {
      for (const PortStatus& port : engine_->status().ports) {
        EXPECT_EQ(port.tx_packets, 0U) << port.name;
      }
    }
    engine_.reset();
    EXPECT_EQ(test::free_buffers(), buffers_) << "a buffer is lost";
    EXPECT_TRUE(a_->take().empty());
    EXPECT_TRUE(b_->take().empty());
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

  config::Conntrack conntrack_;
  std::size_t buffers_ = 0;
  std::unique_ptr<test::RingPort> a_;
  std::unique_ptr<test::RingPort> b_;
  std::unique_ptr<Engine> engine_;
};

TEST_F(EngineOfAMirror, JudgesBothDirectionsOfOnePortAndForwardsNothing) {
  ASSERT_TRUE(a_->put(test::udp_frame(kAllowed)));
  ASSERT_TRUE(a_->put(test::udp_frame(test::turned(kAllowed))));
  ASSERT_TRUE(a_->put(test::udp_frame(kDenied)));
  ASSERT_TRUE(a_->put({1, 2, 3}));
  ASSERT_TRUE(counted(4));
  EXPECT_EQ(worker().forwarded, 2U);
  EXPECT_EQ(worker().dropped, 2U);
  EXPECT_EQ(drops(DropReason::policy_denied), 1U);
  EXPECT_EQ(drops(DropReason::invalid_header), 1U);
  EXPECT_EQ(engine_->status().ports.at(0).rx_packets, 4U);
  const auto list = engine_->flows({.records_max = 10});
  ASSERT_TRUE(list.has_value()) << to_string(list.error());
  ASSERT_EQ(list->front().records.size(), 1U);
  EXPECT_EQ(list->front().records.front().tuple.dst_port, kAllowed.dst_port);
  std::uint64_t hits = 0;
  for (const RuleHits& rule : engine_->rule_hits()) {
    hits += rule.packets;
  }
  EXPECT_EQ(hits, 4U) << "of two judged packets, each for its egress and its ingress";
}

TEST_F(EngineOfAMirror, AnswersNobody) {
  ASSERT_TRUE(a_->put(test::arp_frame(1, "10.0.0.1", "10.0.0.2")));
  ASSERT_TRUE(b_->put(test::nd_frame(135, "fd00::1", "ff02::1:ff00:2", "fd00::2")));
  ASSERT_TRUE(a_->put(test::tcp_frame(kDenied, test::kSyn)));
  ASSERT_TRUE(counted(3));
  EXPECT_EQ(worker().dropped, 1U);
  EXPECT_EQ(drops(DropReason::policy_denied), 1U);
}

TEST_F(EngineOfAMirror, EndsFragmentsThatWaited) {
  const auto parts = test::cut(test::udp_frame(kAllowed, Bytes(100, 7)), 48, 1);
  ASSERT_TRUE(a_->put(parts[2]));
  ASSERT_TRUE(counted(1));
  EXPECT_EQ(worker().held, 1U);
  ASSERT_TRUE(a_->put(parts[0]));
  ASSERT_TRUE(a_->put(parts[1]));
  ASSERT_TRUE(counted(3));
  EXPECT_EQ(worker().held, 0U);
  EXPECT_EQ(worker().forwarded, 3U);
  // One that waits when all ends goes back, too.
  ASSERT_TRUE(a_->put(test::cut(test::udp_frame(kAllowed, Bytes(100, 7)), 48, 2)[1]));
  ASSERT_TRUE(counted(4));
  EXPECT_EQ(worker().held, 1U);
}

TEST_F(EngineOfAMirror, KeepsNoBufferOfManyPackets) {
  for (std::uint64_t burst = 1; burst <= 100; ++burst) {
    for (int i = 0; i < 100; ++i) {
      ASSERT_TRUE(a_->put(test::udp_frame(i % 2 == 0 ? kAllowed : kDenied)));
    }
    ASSERT_TRUE(counted(100 * burst));
  }
  EXPECT_EQ(worker().forwarded, 5'000U);
  EXPECT_EQ(drops(DropReason::policy_denied), 5'000U);
}

/// A server's packet of a connection that began before us, then its client's, whose number lies far
/// from where the server waits for it: copies between them were lost.
constexpr test::Tcp kFromServer{.seq = 5'000, .ack = 1'000};
constexpr test::Tcp kFromClient{.seq = 3'000'000'000, .ack = 5'000};

TEST_F(EngineOfAMirror, PicksUpConnectionsAndForgivesLostCopies) {
  ASSERT_TRUE(a_->put(test::tcp_frame(test::turned(kAllowed), kFromServer)));
  ASSERT_TRUE(counted(1));
  EXPECT_EQ(drops(DropReason::policy_denied), 1U) << "it counts as the begin of a connection";
  ASSERT_TRUE(a_->put(test::tcp_frame(kAllowed, kFromClient)));
  ASSERT_TRUE(a_->put(test::tcp_frame(test::turned(kAllowed), kFromServer)));
  ASSERT_TRUE(counted(3));
  EXPECT_EQ(worker().forwarded, 2U);
  EXPECT_EQ(worker().flows, 1U);
}

class EngineOfAStrictMirror : public EngineOfAMirror {
 protected:
  EngineOfAStrictMirror() {
    conntrack_ = {.tcp_loose = false, .tcp_window = config::TcpWindow::strict};
  }
};

TEST_F(EngineOfAStrictMirror, KeepsToWhatIsWritten) {
  ASSERT_TRUE(a_->put(test::tcp_frame(kAllowed, kFromClient)));
  ASSERT_TRUE(counted(1));
  EXPECT_EQ(drops(DropReason::not_a_new_flow), 1U);
  ASSERT_TRUE(a_->put(test::tcp_frame(kAllowed, test::kSyn)));
  ASSERT_TRUE(a_->put(test::tcp_frame(test::turned(kAllowed), test::kSyn | test::kAck)));
  ASSERT_TRUE(a_->put(test::tcp_frame(kAllowed, kFromClient)));
  ASSERT_TRUE(counted(4));
  EXPECT_EQ(drops(DropReason::tcp_out_of_window), 1U);
  EXPECT_EQ(worker().forwarded, 2U);
}

}  // namespace
}  // namespace portcullis::dataplane
