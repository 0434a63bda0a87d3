// SPDX-License-Identifier: MIT
// The router, driven through memory rings by a worker: two pods, an uplink, both families. Every
// packet is allowed by the table; what happens here is the forwarder's doing.
#include "dataplane/dpdk/forward_node.h"

#include <algorithm>
#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "classifier/key.h"
#include "dataplane/dpdk/engine.h"
#include "dataplane/packet/headers.h"
#include "dataplane/packet/parse.h"
#include "dataplane/packet/rewrite.h"
#include "tests/dataplane/ring_port.h"
#include "tests/support/generation.h"

namespace portcullis::dataplane {
namespace {

using test::Around;
using test::Bytes;
using test::Ends;
using Kind = NeighbourMessage::Kind;

constexpr Ends kPodToPod{"10.0.0.1", "10.0.0.2", 40'000, 53};
constexpr Ends kPodToPod6{"fd00::1", "fd00::2", 40'000, 53};
/// The MAC that frames of tests/support/packet.h come from; ring ports have the MAC zero.
constexpr MacAddress kHostMac{0x02, 0, 0, 0, 0, 0x01};
constexpr MacAddress kPortMac{};
constexpr std::uint16_t kUplinkMtu = 1'280;

IpAddress ip(const char* text) {
  return parse_ip(text).value();
}

/// The frame as a host sends it to its router.
Bytes to_router(Bytes frame) {
  std::fill_n(frame.begin(), 6, std::uint8_t{0});
  return frame;
}

MacAddress mac_at(const Bytes& frame, std::size_t offset) {
  MacAddress mac{};
  std::copy_n(frame.begin() + static_cast<std::ptrdiff_t>(offset), 6, mac.begin());
  return mac;
}

std::optional<NeighbourMessage> message_of(const Bytes& frame) {
  const bool arp = wire::load16(&frame[12]) == wire::kTypeArp;
  return arp ? read_arp(frame, 14) : read_nd(frame, 14);
}

auto is_message(Kind kind, const char* target) {
  return [kind, address = ip(target)](const Bytes& frame) {
    const auto message = message_of(frame);
    return message && message->kind == kind && message->target == address;
  };
}

bool is_packet(const Bytes& frame) {
  return parse(frame).kind != Packet::Kind::link;
}

/// Type and code of an ICMP message: type << 8 | code.
std::uint16_t icmp_of(const Bytes& frame) {
  return wire::load16(&frame.at(parse(frame).l4_offset));
}

std::unique_ptr<const Generation> open_generation() {
  return test::generation_of({.default_mode = classifier::DefaultMode::kubernetes}, 1);
}

/// With one worker or with two, which have a table of neighbours each.
class ForwardNodeOnRings : public testing::TestWithParam<std::size_t> {
 protected:
  void SetUp() override {
    std::vector<std::uint32_t> cpus = test::test_eal().worker_cpus();
    cpus.resize(GetParam());
    static int nodes = 0;
    const std::string suffix = std::to_string(nodes++);
    a_ = std::make_unique<test::RingPort>("a" + suffix);
    b_ = std::make_unique<test::RingPort>("b" + suffix);
    up_ = std::make_unique<test::RingPort>("u" + suffix);
    using Role = config::Port::Role;
    config::Config config{.eal = test::test_eal_options()};
    config.eal.mbufs = 4096;
    if (cpus.size() > 1) {
      config.eal.idle = config::Eal::Idle::poll;  // A sleeper lets grace periods pass.
    }
    config.ports = {{.name = "a",
                     .vdev = a_->device(),
                     .role = Role::pod,
                     .addresses = {ip("10.0.0.1"), ip("fd00::1")}},
                    {.name = "b",
                     .vdev = b_->device(),
                     .role = Role::pod,
                     .addresses = {ip("10.0.0.2"), ip("fd00::2")}},
                    {.name = "up",
                     .vdev = up_->device(),
                     .role = Role::uplink,
                     .addresses = {ip("192.0.2.1"), ip("2001:db8::1")},
                     .mtu = kUplinkMtu}};
    config.mode.kind = config::Mode::Kind::node;
    config.mode.gateways = {ip("192.0.2.254")};
    config.mode.uplink_networks = {parse_prefix("192.0.2.0/24").value(),
                                   parse_prefix("2001:db8::/64").value()};
    auto engine = Engine::start(config, cpus, open_generation());
    ASSERT_TRUE(engine.has_value()) << to_string(engine.error());
    engine_ = *std::move(engine);
  }
  void TearDown() override {
    engine_.reset();
    a_.reset();
    b_.reset();
    up_.reset();
  }

  /// The pods and the gateway say where they are.
  void resolve_all() {
    a_->put(to_router(test::arp_frame(2, "10.0.0.1", "192.0.2.1")));
    b_->put(to_router(test::arp_frame(2, "10.0.0.2", "192.0.2.1")));
    up_->put(to_router(test::arp_frame(2, "192.0.2.254", "192.0.2.1")));
    a_->put(to_router(test::nd_frame(136, "fd00::1", "fe80::9", "fd00::1")));
    b_->put(to_router(test::nd_frame(136, "fd00::2", "fe80::9", "fd00::2")));
    ASSERT_TRUE(counted(5));
  }
  /// All workers together, in what the tests want to know.
  WorkerStatus worker() {
    WorkerStatus sum{.drops = std::vector<std::uint64_t>(kDropReasons)};
    for (const WorkerStatus& one : engine_->status().workers) {
      sum.packets += one.packets;
      sum.forwarded += one.forwarded;
      sum.dropped += one.dropped;
      std::ranges::transform(one.drops, sum.drops, sum.drops.begin(), std::plus<>());
    }
    return sum;
  }
  std::uint64_t drops(DropReason reason) {
    return worker().drops.at(static_cast<std::size_t>(reason));
  }
  /// Waits until so many packets are counted and all that came of them is done: a grace period
  /// ends only after the burst. Two more let the other worker take what was handed to it, and again
  /// two give back what it hands over to send.
  bool counted(std::uint64_t packets) {
    const bool arrived = eventually([&] { return worker().packets >= packets; });
    for (int grace = 0; grace < 5; ++grace) {
      engine_->publish(open_generation());
    }
    return arrived && worker().packets == packets;
  }
  template <typename Condition>
  static bool eventually(const Condition& condition) {
    for (int i = 0; i < 30'000; ++i) {
      if (condition()) {
        return true;
      }
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    return false;
  }
  /// Nothing but the router's own questions goes out of the port any more.
  static bool silent(test::RingPort& port) {
    const std::vector<Bytes> frames = port.take();
    return std::none_of(frames.begin(), frames.end(), [](const Bytes& frame) {
      const auto message = message_of(frame);
      return !message || message->kind != Kind::solicitation;
    });
  }

  std::unique_ptr<test::RingPort> a_;
  std::unique_ptr<test::RingPort> b_;
  std::unique_ptr<test::RingPort> up_;
  std::unique_ptr<Engine> engine_;
};
INSTANTIATE_TEST_SUITE_P(Workers, ForwardNodeOnRings, testing::Values(1, 2));

TEST_P(ForwardNodeOnRings, AsksForPodsAndGatewayFromTheStart) {
  EXPECT_TRUE(a_->wait(is_message(Kind::solicitation, "10.0.0.1")).has_value());
  EXPECT_TRUE(a_->wait(is_message(Kind::solicitation, "fd00::1")).has_value());
  EXPECT_TRUE(b_->wait(is_message(Kind::solicitation, "10.0.0.2")).has_value());
  const auto question = up_->wait(is_message(Kind::solicitation, "192.0.2.254"));
  ASSERT_TRUE(question.has_value());
  EXPECT_EQ(message_of(*question)->sender, ip("192.0.2.1"));
}

TEST_P(ForwardNodeOnRings, IsTheWholeWorldToAPod) {
  for (const char* target : {"169.254.1.1", "10.0.0.2", "192.0.2.1", "8.8.8.8"}) {
    a_->put(to_router(test::arp_frame(1, "10.0.0.1", target)));
    const auto reply = a_->wait(is_message(Kind::advertisement, target));
    ASSERT_TRUE(reply.has_value()) << target;
    EXPECT_EQ(message_of(*reply)->mac, kPortMac);
    EXPECT_EQ(mac_at(*reply, 0), kHostMac);
  }
  for (const char* target : {"fe80::1", "fd00::2", "2001:db8::77"}) {
    a_->put(to_router(test::nd_frame(135, "fd00::1", "ff02::1:ff00:1", target)));
    EXPECT_TRUE(a_->wait(is_message(Kind::advertisement, target)).has_value()) << target;
  }
}

TEST_P(ForwardNodeOnRings, LeavesAPodItsOwnAddress) {
  a_->put(to_router(test::arp_frame(1, "10.0.0.1", "10.0.0.1")));  // Gratuitous.
  a_->put(to_router(test::arp_frame(1, "0.0.0.0", "10.0.0.1")));   // Is it free?
  a_->put(to_router(test::nd_frame(135, "::", "ff02::1:ff00:1", "fd00::1")));
  a_->put(to_router(test::nd_frame(135, "::", "ff02::1:ff00:5", "fe80::5")));
  ASSERT_TRUE(counted(4));
  EXPECT_TRUE(silent(*a_));
  EXPECT_EQ(worker().dropped, 0U);
}

TEST_P(ForwardNodeOnRings, AnswersOnTheUplinkForPodsAndItselfOnly) {
  for (const char* target : {"192.0.2.1", "10.0.0.2"}) {
    up_->put(to_router(test::arp_frame(1, "192.0.2.254", target)));
    EXPECT_TRUE(up_->wait(is_message(Kind::advertisement, target)).has_value()) << target;
  }
  up_->put(to_router(test::nd_frame(135, "2001:db8::9", "ff02::1:ff00:1", "2001:db8::1")));
  EXPECT_TRUE(up_->wait(is_message(Kind::advertisement, "2001:db8::1")).has_value());
  for (const char* target : {"192.0.2.254", "192.0.2.77", "10.0.0.3"}) {
    up_->put(to_router(test::arp_frame(1, "192.0.2.9", target)));
  }
  ASSERT_TRUE(counted(6));
  EXPECT_TRUE(silent(*up_));
}

TEST_P(ForwardNodeOnRings, RoutesBetweenPods) {
  resolve_all();
  for (const Ends& ends : {kPodToPod, kPodToPod6}) {
    const Bytes sent = to_router(test::udp_frame(ends, {1, 2, 3}));
    a_->put(sent);
    const auto got = b_->wait(is_packet);
    ASSERT_TRUE(got.has_value());
    EXPECT_EQ(mac_at(*got, 0), kHostMac);
    EXPECT_EQ(mac_at(*got, 6), kPortMac);
    EXPECT_EQ(hop_limit(*got, 14), 63);
    EXPECT_EQ(parse(*got).kind, Packet::Kind::flow);  // The IPv4 checksum is right.
    EXPECT_EQ(got->size(), sent.size());
  }
  EXPECT_EQ(worker().forwarded, 2U);
  EXPECT_EQ(worker().dropped, 0U);
}

TEST_P(ForwardNodeOnRings, RoutesFragmentsBehindTheFirstOne) {
  resolve_all();
  for (const Ends& ends : {kPodToPod, kPodToPod6}) {
    const auto parts = test::cut(test::udp_frame(ends, Bytes(100, 1)), 48, 1);
    for (const std::size_t i : {1, 0, 2}) {
      a_->put(to_router(parts[i]));
    }
    std::vector<Bytes> rest;  // Behind their Ethernet and IPv4 headers, or as much of IPv6.
    for (std::size_t i = 0; i < parts.size(); ++i) {
      const auto got = b_->wait(is_packet);
      ASSERT_TRUE(got.has_value());
      EXPECT_EQ(hop_limit(*got, 14), 63);
      EXPECT_EQ(parse(*got).kind, i == 0 ? Packet::Kind::flow : Packet::Kind::fragment);
      rest.emplace_back(got->begin() + 34, got->end());
    }
    for (const Bytes& part : parts) {
      EXPECT_EQ(std::ranges::count(rest, Bytes(part.begin() + 34, part.end())), 1);
    }
  }
  EXPECT_EQ(worker().forwarded, 6U);
  EXPECT_EQ(worker().dropped, 0U);
}

TEST_P(ForwardNodeOnRings, SendsTheWorldToTheGatewayAndLocalsToThemselves) {
  resolve_all();
  a_->put(to_router(test::udp_frame({"10.0.0.1", "8.8.8.8", 40'000, 53})));
  const auto far = up_->wait(is_packet);
  ASSERT_TRUE(far.has_value());
  EXPECT_EQ(mac_at(*far, 0), kHostMac);

  a_->put(to_router(test::udp_frame({"10.0.0.1", "192.0.2.33", 40'000, 53})));
  ASSERT_TRUE(up_->wait(is_message(Kind::solicitation, "192.0.2.33")).has_value());
  up_->put(to_router(test::arp_frame(2, "192.0.2.33", "192.0.2.1")));
  const auto near = up_->wait(is_packet);
  ASSERT_TRUE(near.has_value());
  EXPECT_EQ(destination_of(*near, 14), ip("192.0.2.33"));
}

TEST_P(ForwardNodeOnRings, HoldsPacketsUntilTheNextHopIsKnown) {
  for (std::uint8_t i = 0; i < limits::kHeldPerNeighbourMax + 4; ++i) {
    a_->put(to_router(test::udp_frame(kPodToPod, {i})));
  }
  ASSERT_TRUE(counted(limits::kHeldPerNeighbourMax + 4));
  EXPECT_EQ(drops(DropReason::neighbour_unresolved), 4U);
  b_->put(to_router(test::arp_frame(2, "10.0.0.2", "192.0.2.1")));
  for (std::uint8_t i = 0; i < limits::kHeldPerNeighbourMax; ++i) {
    const auto got = b_->wait(is_packet);
    ASSERT_TRUE(got.has_value());
    EXPECT_EQ((*got)[14 + 20 + 8], i);  // In order.
  }
  EXPECT_EQ(worker().dropped, 4U);
}

TEST_P(ForwardNodeOnRings, SaysThatAHostIsUnreachable) {
  a_->put(to_router(test::udp_frame(kPodToPod)));
  const auto error = a_->wait(is_packet);
  ASSERT_TRUE(error.has_value());
  EXPECT_EQ(icmp_of(*error), wire::kIcmpUnreachable << 8U | 1U);
  EXPECT_EQ(source_of(*error, 14), ip("192.0.2.1"));
  EXPECT_EQ(destination_of(*error, 14), ip("10.0.0.1"));
  EXPECT_EQ(drops(DropReason::neighbour_unresolved), 1U);
  EXPECT_EQ(worker().forwarded, 0U);
}

TEST_P(ForwardNodeOnRings, EndsPacketsWhoseTimeIsUp) {
  resolve_all();
  a_->put(to_router(test::udp_frame(kPodToPod, {}, {.ttl = 1})));
  const auto error = a_->wait(is_packet);
  ASSERT_TRUE(error.has_value());
  EXPECT_EQ(icmp_of(*error), wire::kIcmpTimeExceeded << 8U);
  a_->put(to_router(test::udp_frame(kPodToPod6, {}, {.ttl = 1})));
  const auto error6 = a_->wait(is_packet);
  ASSERT_TRUE(error6.has_value());
  EXPECT_EQ(icmp_of(*error6), wire::kIcmpv6TimeExceeded << 8U);
  EXPECT_EQ(source_of(*error6, 14), ip("2001:db8::1"));
  EXPECT_EQ(drops(DropReason::ttl_exceeded), 2U);
  EXPECT_TRUE(silent(*b_));
}

TEST_P(ForwardNodeOnRings, SaysThatThereIsNoRoute) {
  a_->put(to_router(test::udp_frame({"fd00::1", "2001:db9::1", 1, 2})));  // No IPv6 gateway.
  const auto error = a_->wait(is_packet);
  ASSERT_TRUE(error.has_value());
  EXPECT_EQ(icmp_of(*error), wire::kIcmpv6Unreachable << 8U);
  EXPECT_EQ(drops(DropReason::no_route), 1U);
}

TEST_P(ForwardNodeOnRings, KeepsToTheLinkWhatBelongsThere) {
  resolve_all();
  const std::uint64_t before = worker().packets;
  for (const char* target : {"224.0.0.251", "255.255.255.255", "169.254.9.9"}) {
    a_->put(to_router(test::udp_frame({"10.0.0.1", target, 1, 2})));
  }
  a_->put(to_router(test::udp_frame({"fd00::1", "ff02::fb", 1, 2})));
  a_->put(to_router(test::udp_frame({"fd00::1", "fe80::9", 1, 2})));
  ASSERT_TRUE(counted(before + 5));
  EXPECT_EQ(worker().dropped, 5U);
  EXPECT_EQ(worker().forwarded, 0U);
  EXPECT_TRUE(silent(*b_));
  EXPECT_TRUE(silent(*up_));
  EXPECT_TRUE(silent(*a_));
}

TEST_P(ForwardNodeOnRings, SaysWhatFitsTheNextLink) {
  resolve_all();
  a_->put(to_router(test::udp_frame({"10.0.0.1", "8.8.8.8", 1, 2}, Bytes(1'300))));
  const auto error = a_->wait(is_packet);
  ASSERT_TRUE(error.has_value());
  EXPECT_EQ(icmp_of(*error), wire::kIcmpUnreachable << 8U | 4U);
  EXPECT_EQ(wire::load16(&(*error)[14 + 20 + 6]), kUplinkMtu);
  EXPECT_EQ(drops(DropReason::packet_too_big), 1U);
}

TEST_P(ForwardNodeOnRings, CountsOnceWhatLeavesInFragments) {
  resolve_all();
  Bytes sent = test::udp_frame({"10.0.0.1", "8.8.8.8", 1, 2}, Bytes(1'300));
  wire::store16(&sent.at(14 + wire::kIpv4Fragment), 0);
  test::mend_ipv4(sent);
  a_->put(to_router(sent));
  for (const std::size_t ip_bytes : {20 + 1'256, 20 + 8 + 1'300 - 1'256}) {
    const auto got = up_->wait(is_packet);
    ASSERT_TRUE(got.has_value());
    EXPECT_EQ(wire::load16(&got->at(14 + wire::kIpv4Total)), ip_bytes);
  }
  EXPECT_EQ(worker().forwarded, 1U);
  EXPECT_EQ(worker().dropped, 0U);
}

TEST_P(ForwardNodeOnRings, AnswersAPing) {
  up_->put(to_router(test::ping_frame({"192.0.2.254", "192.0.2.1"}, false, 7)));
  const auto reply = up_->wait(is_packet);
  ASSERT_TRUE(reply.has_value());
  EXPECT_EQ(icmp_of(*reply), wire::kIcmpEchoReply << 8U);
  EXPECT_EQ(source_of(*reply, 14), ip("192.0.2.1"));
  EXPECT_EQ(mac_at(*reply, 0), kHostMac);
  a_->put(to_router(test::ping_frame({"fd00::1", "2001:db8::1"}, false, 7)));
  const auto reply6 = a_->wait(is_packet);
  ASSERT_TRUE(reply6.has_value());
  EXPECT_EQ(icmp_of(*reply6), wire::kIcmpv6EchoReply << 8U);
  EXPECT_EQ(*reply6, [] {
    Bytes frame = test::ping_frame({"2001:db8::1", "fd00::1"}, true, 7);
    std::copy(kHostMac.begin(), kHostMac.end(), frame.begin());
    std::copy(kPortMac.begin(), kPortMac.end(), frame.begin() + 6);
    return frame;
  }());
}

TEST_P(ForwardNodeOnRings, BelievesNoPodAddressFromOutside) {
  resolve_all();
  up_->put(to_router(test::udp_frame(kPodToPod)));
  up_->put(to_router(test::udp_frame({"192.0.2.1", "10.0.0.2", 1, 2})));
  ASSERT_TRUE(counted(5 + 2));
  EXPECT_EQ(drops(DropReason::invalid_source), 2U);
  EXPECT_TRUE(silent(*b_));
}

TEST_P(ForwardNodeOnRings, LetsNoPodClaimAnothersAddress) {
  resolve_all();
  // Not even where the guard of sources would let it: the uplink speaks for a pod.
  up_->put(to_router(test::arp_frame(2, "10.0.0.2", "192.0.2.1")));
  a_->put(to_router(test::arp_frame(2, "10.0.0.2", "192.0.2.1")));
  ASSERT_TRUE(counted(7));
  a_->put(to_router(test::udp_frame(kPodToPod)));
  EXPECT_TRUE(b_->wait(is_packet).has_value());
}

TEST_P(ForwardNodeOnRings, IgnoresFramesForOthers) {
  resolve_all();
  up_->put(test::udp_frame({"192.0.2.9", "10.0.0.1", 1, 2}));  // To another MAC.
  up_->put(to_router(test::udp_frame({"192.0.2.9", "10.0.0.1", 1, 2})));
  EXPECT_TRUE(a_->wait(is_packet).has_value());
  EXPECT_EQ(worker().packets, 5U + 1U);
}

TEST_P(ForwardNodeOnRings, SendsNothingBackWhereItCameFrom) {
  resolve_all();
  up_->put(to_router(test::udp_frame({"192.0.2.9", "10.0.0.77", 1, 2})));
  const auto error = up_->wait(is_packet);
  ASSERT_TRUE(error.has_value());
  EXPECT_EQ(icmp_of(*error), wire::kIcmpUnreachable << 8U);
  EXPECT_EQ(drops(DropReason::no_route), 1U);
}

TEST_P(ForwardNodeOnRings, BoundsTheRateOfItsErrors) {
  resolve_all();
  constexpr int kPackets = 300;
  for (int i = 0; i < kPackets; ++i) {
    ASSERT_TRUE(
        eventually([&] { return a_->put(to_router(test::udp_frame(kPodToPod, {}, {.ttl = 1}))); }));
  }
  ASSERT_TRUE(counted(5 + kPackets));
  EXPECT_EQ(drops(DropReason::ttl_exceeded), static_cast<std::uint64_t>(kPackets));
  const std::vector<Bytes> frames = a_->take();
  const auto errors = std::count_if(frames.begin(), frames.end(), is_packet);
  EXPECT_GE(errors, 50);
  EXPECT_LT(errors, kPackets);
}

}  // namespace
}  // namespace portcullis::dataplane
