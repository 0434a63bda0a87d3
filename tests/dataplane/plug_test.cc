// SPDX-License-Identifier: MIT
// Ports of pods that come and go while a router's workers run and packets pass between others. What
// policy says is the same throughout.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include <unistd.h>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "base/limits.h"
#include "dataplane/dpdk/engine.h"
#include "dataplane/packet/headers.h"
#include "dataplane/packet/parse.h"
#include "dataplane/packet/rewrite.h"
#include "tests/dataplane/ring_port.h"
#include "tests/support/generation.h"

namespace portcullis::dataplane {
namespace {

using test::Bytes;
using test::Ends;
using Role = config::Port::Role;

constexpr Ends kOld{"10.0.0.1", "10.0.0.2", 40'000, 53};  // Between pods that stay.
constexpr Ends kNew{"10.0.0.1", "10.0.0.3", 40'000, 53};  // To the one that comes.
constexpr Ends kNewDenied{"10.0.0.1", "10.0.0.3", 40'000, 54};
constexpr Ends kNew6{"fd00::1", "fd00::3", 40'000, 53};
constexpr std::uint16_t kMtu = 1'500;

IpAddress ip(const char* text) {
  return parse_ip(text).value();
}

/// The frame as a host sends it to its router; ring ports have the MAC zero.
Bytes to_router(Bytes frame) {
  std::fill_n(frame.begin(), 6, std::uint8_t{0});
  return frame;
}

bool is_packet(const Bytes& frame) {
  return parse(frame).kind != Packet::Kind::link;
}

/// Pods that may ask each other on UDP port 53, and nothing else passes.
std::unique_ptr<const Generation> generation(std::uint64_t epoch) {
  using namespace classifier;
  RuleSet rules{.default_mode = DefaultMode::deny,
                .endpoints = {{.addresses = {ip("10.0.0.1"), ip("fd00::1")}},
                              {.addresses = {ip("10.0.0.2"), ip("fd00::2")}},
                              {.addresses = {ip("10.0.0.3"), ip("fd00::3")}},
                              {.addresses = {ip("192.0.2.77")}}},
                .sets = {{.endpoints = {0, 1, 2, 3}}},
                .port_sets = {{.ranges = {{kProtocolUdp, 53, 53}}}}};
  rules.rules = {{.direction = Direction::egress, .subjects = 0, .peers = 0},
                 {.direction = Direction::ingress, .subjects = 0, .peers = 0}};
  return test::generation_of(rules, epoch);
}

/// A router with the pods a and b and an uplink; c is there and not plugged in. With one worker or
/// with two, which share all ports.
class PortsOfARouter : public testing::TestWithParam<std::size_t> {
 protected:
  void SetUp() override {
    std::vector<std::uint32_t> cpus = test::test_eal().worker_cpus();
    cpus.resize(GetParam());
    static int nodes = 0;
    const std::string suffix = std::to_string(nodes++);
    a_ = std::make_unique<test::RingPort>("pa" + suffix);
    b_ = std::make_unique<test::RingPort>("pb" + suffix);
    c_ = std::make_unique<test::RingPort>("pc" + suffix);
    up_ = std::make_unique<test::RingPort>("pu" + suffix);
    buffers_ = test::free_buffers();
    config::Config config{.eal = test::test_eal_options()};
    if (cpus.size() > 1) {
      config.eal.idle = config::Eal::Idle::poll;  // A sleeper lets grace periods pass.
    }
    config.ports = {pod("a", *a_, {ip("10.0.0.1"), ip("fd00::1")}),
                    pod("b", *b_, {ip("10.0.0.2"), ip("fd00::2")}),
                    {.name = "up",
                     .vdev = up_->device(),
                     .role = Role::uplink,
                     .addresses = {ip("192.0.2.1"), ip("2001:db8::1")},
                     .mtu = kMtu}};
    config.mode.kind = config::Mode::Kind::node;
    config.mode.gateways = {ip("192.0.2.254")};
    config.mode.uplink_networks = {parse_prefix("192.0.2.0/24").value(),
                                   parse_prefix("2001:db8::/64").value()};
    auto engine = Engine::start(config, cpus, generation(1));
    ASSERT_TRUE(engine.has_value()) << to_string(engine.error());
    engine_ = *std::move(engine);
    say_hello(*a_, "10.0.0.1", "fd00::1");
    say_hello(*b_, "10.0.0.2", "fd00::2");
    up_->put(to_router(test::arp_frame(2, "192.0.2.254", "192.0.2.1")));
    ASSERT_TRUE(counted(5));
  }
  void TearDown() override {
    engine_.reset();
    for (const auto& port : {&a_, &b_, &c_, &up_}) {
      port->reset();
    }
    EXPECT_EQ(test::free_buffers(), buffers_) << "a buffer is lost";
  }

  static config::Port pod(const std::string& name,
                          const test::RingPort& port,
                          std::vector<IpAddress> addresses) {
    return {.name = name,
            .vdev = port.device(),
            .role = Role::pod,
            .addresses = std::move(addresses),
            .mtu = kMtu};
  }
  [[nodiscard]] config::Port pod_c() const {
    return pod("c", *c_, {ip("10.0.0.3"), ip("fd00::3")});
  }
  /// A pod says where it is.
  static void say_hello(test::RingPort& port, const char* address, const char* address6) {
    ASSERT_TRUE(port.put(to_router(test::arp_frame(2, address, "192.0.2.1"))));
    ASSERT_TRUE(port.put(to_router(test::nd_frame(136, address6, "fe80::9", address6))));
  }
  void add_c() {
    const Result<void> added = engine_->add_port(pod_c());
    ASSERT_TRUE(added.has_value()) << to_string(added.error());
  }
  void remove_c() {
    const Result<void> removed = engine_->remove_port("c");
    ASSERT_TRUE(removed.has_value()) << to_string(removed.error());
  }
  /// Adds it, and it says where it is.
  void bring_up_c() {
    add_c();
    const std::uint64_t before = packets();
    say_hello(*c_, "10.0.0.3", "fd00::3");
    ASSERT_TRUE(counted(before + 2));
  }
  std::string refusal(const config::Port& options) {
    const Result<void> added = engine_->add_port(options);
    return added ? "" : added.error().message;
  }

  std::uint64_t sum(const std::function<std::uint64_t(const WorkerStatus&)>& what) {
    std::uint64_t all = 0;
    for (const WorkerStatus& worker : engine_->status().workers) {
      all += what(worker);
    }
    return all;
  }
  std::uint64_t packets() {
    return sum([](const WorkerStatus& one) { return one.packets; });
  }
  std::uint64_t drops(DropReason reason) {
    return sum([reason](const WorkerStatus& one) {
      return one.drops.at(static_cast<std::size_t>(reason));
    });
  }
  std::uint64_t dropped() {
    return sum([](const WorkerStatus& one) { return one.dropped; });
  }
  std::vector<std::string> port_names() {
    std::vector<std::string> names;
    for (const PortStatus& port : engine_->status().ports) {
      names.push_back(port.name);
    }
    return names;
  }
  /// Waits until so many packets are counted, and what came of them is done: a grace period ends
  /// only after the burst. The others let what was handed over be taken and sent.
  bool counted(std::uint64_t wanted) {
    for (int i = 0; i < 30'000 && packets() < wanted; ++i) {
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    for (int grace = 0; grace < 5; ++grace) {
      engine_->publish(generation(++epoch_));
    }
    return packets() == wanted;
  }
  /// Puts one frame in, and waits until it is done with.
  void judged(test::RingPort& port, const Bytes& frame) {
    const std::uint64_t before = packets();
    ASSERT_TRUE(port.put(to_router(frame)));
    ASSERT_TRUE(counted(before + 1));
  }
  void expect_no_buffer_in_use() {
    for (const auto& port : {&a_, &b_, &c_, &up_}) {
      (*port)->take();
    }
    EXPECT_EQ(test::engine_buffers_in_use(), 0U) << "a buffer of the engine is lost";
  }
  static bool gets_packet(test::RingPort& port) {
    const std::vector<Bytes> frames = port.take();
    return std::ranges::any_of(frames, is_packet);
  }

  std::size_t buffers_ = 0;
  std::uint64_t epoch_ = 1;
  std::unique_ptr<test::RingPort> a_;
  std::unique_ptr<test::RingPort> b_;
  std::unique_ptr<test::RingPort> c_;
  std::unique_ptr<test::RingPort> up_;
  std::unique_ptr<Engine> engine_;
};
INSTANTIATE_TEST_SUITE_P(Workers, PortsOfARouter, testing::Values(1, 2));

TEST_P(PortsOfARouter, CarryWhatPolicyAllowsOnceTheyAreThere) {
  up_->take();
  judged(*a_, test::udp_frame(kNew));
  EXPECT_TRUE(gets_packet(*up_)) << "unknown, so the gateway's";
  bring_up_c();
  for (const Ends& ends : {kNew, kNew6, test::turned(kNew), test::turned(kNew6)}) {
    const bool back = ends.src_port == 53;
    ASSERT_TRUE((back ? c_ : a_)->put(to_router(test::udp_frame(ends))));
    const auto got = (back ? a_ : c_)->wait(is_packet);
    ASSERT_TRUE(got.has_value());
    EXPECT_EQ(destination_of(*got, wire::kEthernetBytes), ip(std::string(ends.dst).c_str()));
  }
  EXPECT_EQ(dropped(), 0U);
  judged(*a_, test::udp_frame(kNewDenied));
  EXPECT_EQ(drops(DropReason::policy_denied), 1U);
  EXPECT_FALSE(gets_packet(*c_));
}

TEST_P(PortsOfARouter, SpeakForTheirOwnAddressesOnly) {
  bring_up_c();
  judged(*c_, test::udp_frame({"10.0.0.1", "10.0.0.2", 40'000, 53}));
  EXPECT_EQ(drops(DropReason::invalid_source), 1U);
  judged(*up_, test::udp_frame({"10.0.0.3", "10.0.0.2", 40'000, 53}));
  EXPECT_EQ(drops(DropReason::invalid_source), 2U);
  EXPECT_FALSE(gets_packet(*b_));
}

TEST_P(PortsOfARouter, LeaveNoRouteBehind) {
  bring_up_c();
  remove_c();
  up_->take();
  a_->take();
  judged(*a_, test::udp_frame(kNew));
  judged(*b_, test::udp_frame({"fd00::2", "fd00::3", 40'000, 53}));
  EXPECT_EQ(drops(DropReason::no_route), 2U);
  EXPECT_FALSE(gets_packet(*up_)) << "a pod's packet went to the gateway";
  EXPECT_TRUE(gets_packet(*a_)) << "its sender hears nothing";
  // On the uplink nobody answers for it, and nobody there is believed to be it.
  up_->take();
  judged(*up_, test::arp_frame(1, "192.0.2.254", "10.0.0.3"));
  judged(*up_, test::arp_frame(2, "10.0.0.3", "192.0.2.1"));
  judged(*a_, test::udp_frame(kNew));
  EXPECT_EQ(drops(DropReason::no_route), 3U);
  EXPECT_TRUE(up_->take().empty());
}

TEST_P(PortsOfARouter, EndWhatWaitsForThem) {
  add_c();
  for (int i = 0; i < 3; ++i) {
    judged(*a_, test::udp_frame(kNew));  // Nobody answers for it yet.
  }
  EXPECT_EQ(dropped(), 0U);
  remove_c();
  EXPECT_EQ(drops(DropReason::no_route), 3U);
  expect_no_buffer_in_use();
}

TEST_P(PortsOfARouter, TakeTheirAddressFromTheUplink) {
  judged(*a_, test::udp_frame({"10.0.0.1", "192.0.2.77", 40'000, 53}));
  EXPECT_EQ(dropped(), 0U) << "it waits for who answers on the uplink";
  ASSERT_TRUE(engine_->add_port(pod("c", *c_, {ip("192.0.2.77")})).has_value());
  ASSERT_TRUE(c_->wait([](const Bytes& frame) {
                  const auto message = read_arp(frame, wire::kEthernetBytes);
                  return message && message->target == ip("192.0.2.77");
                }).has_value())
      << "nobody asks for it behind its port";
  EXPECT_EQ(drops(DropReason::neighbour_unresolved), 1U);
}

TEST_P(PortsOfARouter, KeepTheirPlace) {
  add_c();
  EXPECT_EQ(port_names(), (std::vector<std::string>{"a", "b", "up", "c"}));
  ASSERT_TRUE(engine_->remove_port("a").has_value());
  EXPECT_EQ(port_names(), (std::vector<std::string>{"b", "up", "c"}));
  a_->plug_in();
  ASSERT_TRUE(engine_->add_port(pod("d", *a_, {ip("10.0.0.1"), ip("fd00::1")})).has_value());
  EXPECT_EQ(port_names(), (std::vector<std::string>{"d", "b", "up", "c"}));
  judged(*a_, test::udp_frame(kOld));
  EXPECT_TRUE(gets_packet(*b_));
  const DataplaneStatus status = engine_->status();
  EXPECT_EQ(status.ports.at(0).device, a_->device());
  EXPECT_EQ(status.ports.at(0).addresses.front(), ip("10.0.0.1"));
  EXPECT_GT(status.ports.at(1).rx_packets, 0U) << "another port's counters are gone";
}

TEST_P(PortsOfARouter, ChangeNothingWhereTheyCannotBe) {
  const auto has = [](const std::string& text, const std::string& part) {
    return text.find(part) != std::string::npos;
  };
  config::Port wrong = pod_c();
  wrong.vdev = "net_af_packet77,iface=no-such-device";
  const std::string no_device = refusal(wrong);
  EXPECT_TRUE(has(no_device, "ports.c: cannot create device")) << no_device;
  EXPECT_EQ(refusal(wrong), no_device) << "the first try has left something";
  wrong = pod_c();
  wrong.mtu = 9'000;
  EXPECT_TRUE(has(refusal(wrong), "frames of mtu 9000 do not fit"));
  wrong = pod_c();
  wrong.vdev = b_->device() + ",numa=0";
  EXPECT_TRUE(has(refusal(wrong), "already serves port 'b'"));
  wrong = pod_c();
  wrong.addresses.assign(limits::kPodAddressesMax, ip("10.0.0.3"));
  EXPECT_TRUE(has(refusal(wrong), "addresses of ports are more than"));
  EXPECT_FALSE(engine_->remove_port("c").has_value());
  EXPECT_TRUE(has(engine_->remove_port("up").error().message, "only pods' ports go"));
  EXPECT_EQ(port_names(), (std::vector<std::string>{"a", "b", "up"}));
  bring_up_c();
  judged(*a_, test::udp_frame(kNew));
  EXPECT_TRUE(gets_packet(*c_));
}

TEST_P(PortsOfARouter, AreRefusedWithoutBuffersForThem) {
  config::Port hungry = pod_c();
  hungry.vdev = "net_virtio_user72,path=/nowhere,queue_size=8192";
  const std::string refused = refusal(hungry);
  EXPECT_TRUE(refused.starts_with("ports.c: eal.mbufs = 8192 is too few: it takes ")) << refused;
  bring_up_c();
}

TEST_P(PortsOfARouter, AreNoMoreThanDpdkDrives) {
  std::vector<std::string> added;
  Result<void> result;
  do {
    config::Port port = pod_c();
    port.name = fmt::format("n{}", added.size());
    port.vdev = fmt::format("net_null2{:02},no-rx=1", added.size());
    port.addresses = {ip(fmt::format("10.0.1.{}", added.size()).c_str())};
    result = engine_->add_port(port);
    if (result) {
      added.push_back(port.name);
    }
  } while (result && added.size() < limits::kPortsMax);
  ASSERT_FALSE(result.has_value());
  const std::string message = result.error().message;
  EXPECT_TRUE(message.starts_with(fmt::format("ports.n{}: there are ", added.size()))) << message;
  EXPECT_NE(message.find("(RTE_MAX_ETHPORTS)"), std::string::npos) << message;
  bring_up_c();  // Its device is there already, and counted.
  judged(*a_, test::udp_frame(kNew));
  EXPECT_TRUE(gets_packet(*c_));
  for (const std::string& name : added) {
    EXPECT_TRUE(engine_->remove_port(name).has_value());
  }
}

TEST_P(PortsOfARouter, MayBeOfOtherDrivers) {
  const std::string socket = fmt::format("/tmp/portcullis-plug-{}.sock", ::getpid());
  for (const std::string& vdev :
       {std::string("net_null71,no-rx=1"),
        fmt::format("net_memif71,role=server,id=0,socket={},socket-abstract=no", socket)}) {
    for (int round = 0; round < 3; ++round) {
      config::Port port = pod_c();
      port.vdev = vdev;
      const Result<void> added = engine_->add_port(port);
      ASSERT_TRUE(added.has_value()) << to_string(added.error());
      remove_c();
    }
  }
  judged(*a_, test::udp_frame(kOld));
  EXPECT_TRUE(gets_packet(*b_));
}

/// Numbered packets between pods that stay.
struct Stream {
  test::RingPort& from;
  test::RingPort& to;
  std::uint32_t sent = 0;
  std::uint32_t received = 0;
  std::uint32_t out_of_order = 0;

  void pump() {
    const auto byte = [this](unsigned shift) { return static_cast<std::uint8_t>(sent >> shift); };
    if (sent - received < 256 &&
        from.put(to_router(test::udp_frame(kOld, {byte(24), byte(16), byte(8), byte(0)})))) {
      ++sent;
    }
    drain();
  }
  void drain() {
    for (const Bytes& frame : to.take()) {
      if (is_packet(frame)) {
        const std::uint32_t number =
            wire::load32(&frame[wire::kEthernetBytes + wire::kIpv4Bytes + wire::kUdpBytes]);
        out_of_order += number != received++ ? 1 : 0;
      }
    }
  }
};

TEST_P(PortsOfARouter, ComeAndGoAHundredTimesWhileAStreamLosesNothing) {
  constexpr int kRounds = 100;
  Stream stream{*a_, *b_};
  std::atomic<bool> done{false};
  std::thread sender([&] {
    while (!done) {
      stream.pump();
    }
  });
  std::uint64_t reached = 0;
  std::size_t bytes = 0;
  for (int round = 0; round < kRounds; ++round) {
    if (round > 0) {
      c_->plug_in();
    }
    add_c();
    say_hello(*c_, "10.0.0.3", "fd00::3");
    ASSERT_TRUE(b_->put(to_router(test::udp_frame({"10.0.0.2", "10.0.0.3", 40'000, 53}))));
    reached += c_->wait(is_packet).has_value() ? 1U : 0U;
    for (const char* source : {"10.0.0.3", "10.0.0.99"}) {  // One is on its way when the port goes.
      c_->put(to_router(test::udp_frame({source, "10.0.0.1", 40'000, 53})));
    }
    remove_c();
    c_->take();
    if (round == kRounds / 10) {
      bytes = test::dpdk_bytes_in_use();
    }
  }
  const std::size_t grown = test::dpdk_bytes_in_use() - bytes;
  done = true;
  sender.join();
  for (int i = 0; i < 30'000 && stream.received < stream.sent; ++i) {
    stream.drain();
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  std::printf("%d ports came and went: %u packets sent between others, %u lost, %u reordered\n",
              kRounds,
              stream.sent,
              stream.sent - stream.received,
              stream.out_of_order);
  EXPECT_GT(stream.sent, 1000U);
  EXPECT_EQ(stream.received, stream.sent);
  EXPECT_EQ(stream.out_of_order, 0U);
  EXPECT_EQ(reached, static_cast<std::uint64_t>(kRounds));
  EXPECT_EQ(grown, 0U) << "DPDK's memory";
  expect_no_buffer_in_use();
}

}  // namespace
}  // namespace portcullis::dataplane
