// SPDX-License-Identifier: MIT
// Two workers on one wire of memory rings, which have one queue: every flow meets at one worker,
// swaps and the end lose and reorder nothing, and what does not fit is counted.
#include <atomic>
#include <chrono>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "dataplane/dpdk/engine.h"
#include "dataplane/dpdk/spread/crews.h"
#include "dataplane/packet/affinity.h"
#include "dataplane/packet/headers.h"
#include "tests/dataplane/ring_port.h"
#include "tests/support/generation.h"

namespace portcullis::dataplane {
namespace {

using test::Bytes;
using test::Ends;

constexpr std::size_t kHosts = 16;

std::string client(std::size_t host) {
  return "10.0.1." + std::to_string(host + 1);
}
/// Not the client's number: what all addresses differ in is what the hash sees.
std::string server(std::size_t host) {
  return "10.0.2." + std::to_string(host * 7 % kHosts + 1);
}
Bytes question(std::size_t host, const Bytes& payload = {}) {
  return test::udp_frame({client(host), server(host), 40'000, 53}, payload);
}
Bytes answer(std::size_t host) {
  return test::udp_frame({server(host), client(host), 53, 40'000});
}

/// Servers may be asked, and nothing else passes.
std::unique_ptr<const Generation> generation(std::uint64_t epoch) {
  using namespace classifier;
  RuleSet rules{.default_mode = DefaultMode::deny,
                .sets = {{}, {}},
                .port_sets = {{.ranges = {{kProtocolUdp, 53, 53}}}}};
  for (std::size_t host = 0; host < kHosts; ++host) {
    for (const std::string& address : {client(host), server(host)}) {
      rules.sets[address == server(host) ? 1 : 0].endpoints.push_back(
          static_cast<std::uint32_t>(rules.endpoints.size()));
      rules.endpoints.push_back({.addresses = {parse_ip(address).value()}});
    }
  }
  rules.rules = {{.direction = Direction::egress, .subjects = 0, .peers = 1},
                 {.direction = Direction::ingress, .subjects = 1, .peers = 0}};
  return test::generation_of(rules, epoch);
}

class TwoWorkersOnAWire : public testing::Test {
 protected:
  void SetUp() override {
    const std::vector<std::uint32_t>& cpus = test::test_eal().worker_cpus();
    static int wires = 0;
    const std::string suffix = std::to_string(wires++);
    left_ = std::make_unique<test::RingPort>("tl" + suffix);
    right_ = std::make_unique<test::RingPort>("tr" + suffix);
    buffers_ = test::free_buffers();
    config::Config config{.eal = test::test_eal_options()};
    config.eal.mbufs = 1024;
    config.ports = {{.name = "left", .vdev = left_->device()},
                    {.name = "right", .vdev = right_->device()}};
    config.mode.pairs = {{"left", "right"}};
    auto engine = Engine::start(config, cpus, generation(1));
    ASSERT_TRUE(engine.has_value()) << to_string(engine.error());
    engine_ = *std::move(engine);
  }
  void TearDown() override {
    engine_.reset();
    left_.reset();
    right_.reset();
    EXPECT_EQ(test::free_buffers(), buffers_) << "a buffer is lost";
  }

  std::uint64_t sum(std::uint64_t WorkerStatus::*member) {
    std::uint64_t total = 0;
    for (const WorkerStatus& worker : engine_->status().workers) {
      total += worker.*member;
    }
    return total;
  }
  /// Waits until the workers have counted `packets`.
  bool counted(std::uint64_t packets) {
    for (int i = 0; i < 30'000 && sum(&WorkerStatus::packets) < packets; ++i) {
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    return sum(&WorkerStatus::packets) == packets;
  }

  std::size_t buffers_ = 0;
  std::unique_ptr<test::RingPort> left_;
  std::unique_ptr<test::RingPort> right_;
  std::unique_ptr<Engine> engine_;
};

TEST_F(TwoWorkersOnAWire, DivideFlowsAndSeeBothDirectionsOfEach) {
  const SlotOwners owners = owners_of({0, 1});
  std::vector<std::uint64_t> expected(2);
  for (std::size_t host = 0; host < kHosts; ++host) {
    ASSERT_TRUE(left_->put(question(host)));
    EXPECT_EQ(right_->wait(), question(host));
    ASSERT_TRUE(right_->put(answer(host)));
    EXPECT_EQ(left_->wait(), answer(host));
    ++expected.at(owners.at(affinity(question(host)) % kAffinitySlots));
  }
  ASSERT_TRUE(counted(2 * kHosts));
  const DataplaneStatus status = engine_->status();
  for (std::size_t i = 0; i < 2; ++i) {
    EXPECT_GT(expected[i], 0U);
    EXPECT_EQ(status.workers[i].flows, expected[i]);
    EXPECT_EQ(status.workers[i].forwarded, 2 * expected[i]);
    EXPECT_EQ(status.workers[i].dropped, 0U);
    EXPECT_EQ(status.ports[i].spread, PortStatus::Spread::software);
  }
  // Worker 0 serves the left port, worker 1 the right one: what comes in at the other's goes over,
  // and so does what leaves by it.
  EXPECT_EQ(status.workers[0].handed_to_judge, expected[1]);
  EXPECT_EQ(status.workers[1].handed_to_judge, expected[0]);
  EXPECT_EQ(status.workers[0].handed_to_send, expected[0]);
  EXPECT_EQ(status.workers[1].handed_to_send, expected[1]);
}

TEST_F(TwoWorkersOnAWire, KnowTheFlowsOfFragmentsAndOfErrors) {
  for (std::size_t host = 0; host < kHosts; ++host) {
    const std::vector<Bytes> parts = test::cut(question(host, Bytes(100, 7)), 48, 1);
    for (const Bytes& part : parts) {
      ASSERT_TRUE(left_->put(part));
      EXPECT_EQ(right_->wait(), part);
    }
    // From a router behind the wire, which is nobody's peer.
    const std::string to = client(host);
    const Bytes error = test::unreachable_frame({"10.0.3.1", to}, question(host), 28);
    ASSERT_TRUE(right_->put(error));
    EXPECT_EQ(left_->wait(), error);
  }
  EXPECT_EQ(sum(&WorkerStatus::flows), kHosts);
}

TEST_F(TwoWorkersOnAWire, DropWhatIsDeniedWhoeverReceivedIt) {
  for (std::size_t host = 0; host < kHosts; ++host) {
    ASSERT_TRUE(right_->put(answer(host)));
  }
  ASSERT_TRUE(left_->put(Bytes(20)));
  ASSERT_TRUE(counted(kHosts + 1));
  EXPECT_EQ(sum(&WorkerStatus::dropped), kHosts + 1);
  EXPECT_TRUE(left_->take().empty());
}

TEST_F(TwoWorkersOnAWire, DivideTheSegmentsOfSuperPackets) {
  const SlotOwners owners = owners_of({0, 1});
  std::vector<std::uint64_t> expected(2);
  for (std::size_t host = 0; host < kHosts; ++host) {
    const Bytes large = test::tcp_frame({client(host), server(host), 40'000, 80},
                                        {.seq = 1, .ack = 1, .payload_bytes = 10'000});
    ASSERT_TRUE(left_->put_chain(large, 1'000));
    expected.at(owners.at(affinity(large) % kAffinitySlots)) += 10;
  }
  ASSERT_TRUE(counted(10 * kHosts));
  const std::vector<WorkerStatus> workers = engine_->status().workers;
  for (std::size_t i = 0; i < 2; ++i) {
    EXPECT_GT(expected[i], 0U);
    EXPECT_EQ(workers[i].dropped, expected[i]);  // Of no connection.
  }
  EXPECT_EQ(sum(&WorkerStatus::super_packets), kHosts);
  EXPECT_EQ(workers[0].handed_to_judge, expected[1]);
}

TEST_F(TwoWorkersOnAWire, LetHostsFindEachOther) {
  const Bytes request = test::arp_frame(1, "10.0.0.1", "10.0.0.2");
  ASSERT_TRUE(left_->put(request));
  EXPECT_EQ(right_->wait(), request);
  ASSERT_TRUE(right_->put(request));
  EXPECT_EQ(left_->wait(), request);
}

/// Numbered packets of all clients in turn.
struct Streams {
  test::RingPort& from;
  test::RingPort& to;
  std::uint32_t sent = 0;
  std::uint32_t received = 0;
  std::uint32_t out_of_order = 0;
  std::vector<std::uint32_t> next = std::vector<std::uint32_t>(kHosts);

  void pump() {
    const auto number = static_cast<std::uint32_t>(sent / kHosts);
    const auto byte = [number](unsigned shift) {
      return static_cast<std::uint8_t>(number >> shift);
    };
    if (sent - received < 512 &&
        from.put(question(sent % kHosts, {byte(24), byte(16), byte(8), byte(0)}))) {
      ++sent;
    }
    drain();
  }
  void drain() {
    for (const Bytes& frame : to.take()) {
      const std::size_t host = frame[wire::kEthernetBytes + wire::kIpv4Src + 3] - 1U;
      const std::uint32_t number =
          wire::load32(&frame[wire::kEthernetBytes + wire::kIpv4Bytes + wire::kUdpBytes]);
      out_of_order += number != next.at(host)++ ? 1 : 0;
      ++received;
    }
  }
};

TEST_F(TwoWorkersOnAWire, LoseAndReorderNothingInAHundredSwaps) {
  constexpr std::uint64_t kSwaps = 100;
  Streams streams{*left_, *right_};
  std::atomic<bool> done{false};
  std::thread control([&] {
    for (std::uint64_t epoch = 2; epoch <= kSwaps + 1; ++epoch) {
      engine_->publish(generation(epoch));
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }
    done = true;
  });
  while (!done) {
    streams.pump();
  }
  control.join();
  for (int i = 0; i < 30'000 && streams.received < streams.sent; ++i) {
    streams.drain();
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  std::printf("100 swaps, two workers: %u packets sent, %u lost, %u reordered\n",
              streams.sent,
              streams.sent - streams.received,
              streams.out_of_order);
  EXPECT_GT(streams.sent, 1000U);
  EXPECT_EQ(streams.received, streams.sent);
  EXPECT_EQ(streams.out_of_order, 0U);
  EXPECT_EQ(sum(&WorkerStatus::forwarded), streams.sent);
  EXPECT_EQ(sum(&WorkerStatus::dropped), 0U);
  EXPECT_GT(sum(&WorkerStatus::revalidated), 0U);
}

TEST_F(TwoWorkersOnAWire, LoseNothingWhenTheyStop) {
  for (int round = 0; round < 20; ++round) {
    std::size_t sent = 0;
    for (; sent < 700; ++sent) {
      ASSERT_TRUE(left_->put(question(sent % kHosts)));
    }
    engine_.reset();
    const std::size_t passed = right_->take().size();
    // What they had not received is in the port still, and what they had is through.
    EXPECT_EQ(passed + (buffers_ - test::free_buffers()), sent);
    TearDown();
    SetUp();
  }
}

TEST(TwoWorkersOnACard, LetItSpreadWhatItProvesToSpread) {
  config::Config config{.eal = test::test_eal_options()};
  config.eal.mbufs = 1024;
  config.ports = {{.name = "left", .vdev = "net_null8,no-rx=1"},
                  {.name = "right", .vdev = "net_null9,no-rx=1"}};
  config.mode.pairs = {{"left", "right"}};
  const auto engine = Engine::start(config, test::test_eal().worker_cpus(), generation(1));
  ASSERT_TRUE(engine.has_value()) << to_string(engine.error());
  for (const PortStatus& port : (*engine)->status().ports) {
    EXPECT_EQ(port.spread, PortStatus::Spread::rss);
  }
}

}  // namespace
}  // namespace portcullis::dataplane
