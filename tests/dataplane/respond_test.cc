// SPDX-License-Identifier: MIT
#include "dataplane/respond.h"

#include <gtest/gtest.h>

#include "classifier/key.h"
#include "dataplane/packet/checksum.h"
#include "dataplane/packet/headers.h"
#include "dataplane/packet/parse.h"
#include "tests/support/packet.h"

namespace portcullis::dataplane {
namespace {

using test::Bytes;
using test::Ends;

constexpr MacAddress kOurs{0x02, 0, 0, 0, 0, 0x99};
constexpr MacAddress kAsker{0x02, 0, 0, 0, 0, 0x01};
constexpr std::size_t kIp = wire::kEthernetBytes;

IpAddress ip(std::string_view text) {
  return parse_ip(text).value();
}

/// Runs a builder into a full-size buffer and cuts it to what was written.
template <typename Build>
Bytes built(Build build) {
  Bytes out(kResponseBytesMax, 0xee);
  out.resize(build(std::span<std::uint8_t>(out)));
  return out;
}

MacAddress mac_at(const Bytes& frame, std::size_t offset) {
  MacAddress mac;
  std::copy_n(frame.begin() + static_cast<std::ptrdiff_t>(offset), mac.size(), mac.begin());
  return mac;
}

/// 0 for a right ICMPv6 checksum of an untagged frame without extension headers.
std::uint16_t icmpv6_checksum(const Bytes& frame) {
  const std::size_t length = wire::load16(&frame[kIp + wire::kIpv6Payload]);
  std::uint64_t sum = checksum_add(0, {&frame[kIp + wire::kIpv6Src], 32});
  sum += length + classifier::kProtocolIcmpv6;
  return checksum_finish(checksum_add(sum, {&frame[kIp + wire::kIpv6Bytes], length}));
}
std::uint16_t icmp_checksum(const Bytes& frame) {
  const std::size_t length =
      wire::load16(&frame[kIp + wire::kIpv4Total]) - std::size_t{wire::kIpv4Bytes};
  return checksum_finish(checksum_add(0, {&frame[kIp + wire::kIpv4Bytes], length}));
}

Bytes error_about(const Bytes& frame,
                  IcmpError error,
                  std::string_view from,
                  std::uint16_t mtu = 0) {
  const std::size_t l3_offset = parse(frame).l3_offset;
  return built([&](std::span<std::uint8_t> out) {
    return icmp_error(frame, l3_offset, error, {{kOurs, ip(from)}, mtu}, out);
  });
}

TEST(Checksum, EqualsTheExampleOfTheRfc) {
  const Bytes bytes{0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7};
  EXPECT_EQ(checksum_finish(checksum_add(0, bytes)), static_cast<std::uint16_t>(~0xddf2U));
  EXPECT_EQ(checksum_finish(checksum_add(0, Bytes{0xab})), static_cast<std::uint16_t>(~0xab00U));
}

TEST(ArpReply, AnswersTheAskerWithOurMac) {
  const Bytes request = test::arp_frame(wire::kArpRequest, "10.0.0.1", "10.0.0.254");
  const Bytes reply = built([&](auto out) { return arp_reply(request, kIp, kOurs, out); });
  ASSERT_EQ(reply.size(), kFrameBytesMin);
  EXPECT_EQ(mac_at(reply, 0), kAsker);
  EXPECT_EQ(mac_at(reply, 6), kOurs);
  const auto message = read_arp(reply, kIp);
  ASSERT_TRUE(message);
  EXPECT_EQ(message->kind, NeighbourMessage::Kind::advertisement);
  EXPECT_EQ(message->target, ip("10.0.0.254"));
  EXPECT_EQ(message->mac, kOurs);
  EXPECT_EQ(parse(reply).kind, Packet::Kind::link);
}

TEST(ArpReply, KeepsVlanTags) {
  Bytes request = test::arp_frame(wire::kArpRequest, "10.0.0.1", "10.0.0.254");
  const Bytes tag{0x81, 0x00, 0x00, 0x2a};
  request.insert(request.begin() + 12, tag.begin(), tag.end());
  const Bytes reply = built([&](auto out) { return arp_reply(request, kIp + 4, kOurs, out); });
  EXPECT_TRUE(std::equal(tag.begin(), tag.end(), reply.begin() + 12));
  EXPECT_TRUE(read_arp(reply, kIp + 4));
}

TEST(ArpReply, AnswersNothingButRequests) {
  const Bytes reply = test::arp_frame(wire::kArpReply, "10.0.0.1", "10.0.0.254");
  EXPECT_TRUE(built([&](auto out) { return arp_reply(reply, kIp, kOurs, out); }).empty());
  Bytes cut = test::arp_frame(wire::kArpRequest, "10.0.0.1", "10.0.0.254");
  cut.pop_back();
  EXPECT_TRUE(built([&](auto out) { return arp_reply(cut, kIp, kOurs, out); }).empty());
}

TEST(ArpRequest, AsksEveryone) {
  const Bytes request = built([&](auto out) {
    return arp_request({kOurs, ip("10.0.0.254")}, ip("10.0.0.1"), out);
  });
  EXPECT_EQ(mac_at(request, 0), kBroadcastMac);
  const auto message = read_arp(request, kIp);
  ASSERT_TRUE(message);
  EXPECT_EQ(message->kind, NeighbourMessage::Kind::solicitation);
  EXPECT_EQ(message->sender, ip("10.0.0.254"));
  EXPECT_EQ(message->target, ip("10.0.0.1"));
}

TEST(NeighbourAdvertisement, AnswersASolicitation) {
  const Bytes asked = test::nd_frame(135, "fe80::1", "ff02::1:ff00:fe", "2001:db8::fe");
  const Bytes answer =
      built([&](auto out) { return neighbour_advertisement(asked, kIp, kOurs, out); });
  const auto message = read_nd(answer, kIp);
  ASSERT_TRUE(message);
  EXPECT_EQ(message->kind, NeighbourMessage::Kind::advertisement);
  EXPECT_EQ(message->target, ip("2001:db8::fe"));
  EXPECT_EQ(message->sender, ip("2001:db8::fe"));
  EXPECT_EQ(message->mac, kOurs);
  EXPECT_EQ(mac_at(answer, 0), kAsker);
  EXPECT_EQ(parse(answer).tuple.dst, ip("fe80::1").bytes);
  EXPECT_EQ(icmpv6_checksum(answer), 0);
  EXPECT_EQ(parse(answer).kind, Packet::Kind::link);
}

TEST(NeighbourAdvertisement, TellsAllNodesAboutADuplicate) {
  const Bytes probe = test::nd_frame(135, "::", "ff02::1:ff00:fe", "2001:db8::fe");
  const Bytes answer =
      built([&](auto out) { return neighbour_advertisement(probe, kIp, kOurs, out); });
  ASSERT_FALSE(answer.empty());
  EXPECT_EQ(mac_at(answer, 0), (MacAddress{0x33, 0x33, 0, 0, 0, 1}));
  EXPECT_EQ(parse(answer).tuple.dst, ip("ff02::1").bytes);
  EXPECT_EQ(answer[kIp + wire::kIpv6Bytes + 4] & 0x40, 0);  // Not solicited.
}

TEST(NeighbourAdvertisement, AnswersNothingButSolicitations) {
  const Bytes other = test::nd_frame(136, "fe80::1", "ff02::1", "fe80::1");
  EXPECT_TRUE(
      built([&](auto out) { return neighbour_advertisement(other, kIp, kOurs, out); }).empty());
  const Bytes ping = test::ping_frame({"2001:db8::1", "2001:db8::2"}, false, 1);
  EXPECT_TRUE(
      built([&](auto out) { return neighbour_advertisement(ping, kIp, kOurs, out); }).empty());
}

TEST(NeighbourSolicitation, AsksTheGroupOfTheTarget) {
  const Bytes asked = built([&](auto out) {
    return neighbour_solicitation({kOurs, ip("fe80::99")}, ip("2001:db8::12:3456"), out);
  });
  EXPECT_EQ(mac_at(asked, 0), (MacAddress{0x33, 0x33, 0xff, 0x12, 0x34, 0x56}));
  EXPECT_EQ(parse(asked).tuple.dst, ip("ff02::1:ff12:3456").bytes);
  EXPECT_EQ(icmpv6_checksum(asked), 0);
  const auto message = read_nd(asked, kIp);
  ASSERT_TRUE(message);
  EXPECT_EQ(message->kind, NeighbourMessage::Kind::solicitation);
  EXPECT_EQ(message->mac, kOurs);
}

TEST(IcmpError, QuotesThePacketToItsSender) {
  struct Case {
    IcmpError error;
    std::uint8_t type4, code4, type6, code6;
  };
  for (const Case& c : {Case{IcmpError::time_exceeded, 11, 0, 3, 0},
                        Case{IcmpError::network_unreachable, 3, 0, 1, 0},
                        Case{IcmpError::host_unreachable, 3, 1, 1, 3},
                        Case{IcmpError::admin_prohibited, 3, 13, 1, 1},
                        Case{IcmpError::packet_too_big, 3, 4, 2, 0}}) {
    const Bytes sent4 = test::udp_frame({"10.0.0.1", "10.0.0.2", 5, 6}, Bytes(100, 3));
    const Bytes error4 = error_about(sent4, c.error, "10.0.0.254", 1400);
    ASSERT_FALSE(error4.empty());
    EXPECT_EQ(error4[kIp + 20], c.type4);
    EXPECT_EQ(error4[kIp + 21], c.code4);
    EXPECT_EQ(icmp_checksum(error4), 0);
    const Packet read4 = parse(error4);  // Which checks the IPv4 header's checksum, too.
    ASSERT_EQ(read4.kind, Packet::Kind::related);
    EXPECT_EQ(read4.tuple, parse(sent4).tuple);
    EXPECT_EQ(read4.source, ip("10.0.0.254").bytes);

    const Bytes sent6 = test::udp_frame({"2001:db8::1", "2001:db8::2", 5, 6}, Bytes(100, 3));
    const Bytes error6 = error_about(sent6, c.error, "2001:db8::fe", 1400);
    ASSERT_FALSE(error6.empty());
    EXPECT_EQ(error6[kIp + 40], c.type6);
    EXPECT_EQ(error6[kIp + 41], c.code6);
    EXPECT_EQ(icmpv6_checksum(error6), 0);
    EXPECT_EQ(parse(error6).tuple, parse(sent6).tuple);
    EXPECT_EQ(mac_at(error6, 0), kAsker);
    EXPECT_EQ(mac_at(error6, 6), kOurs);
  }
}

TEST(IcmpError, SaysTheMtu) {
  const Bytes four = error_about(
      test::udp_frame({"10.0.0.1", "10.0.0.2"}, {1}), IcmpError::packet_too_big, "10.0.0.9", 1400);
  EXPECT_EQ(wire::load16(&four[kIp + 26]), 1400);
  const Bytes six = error_about(test::udp_frame({"2001:db8::1", "2001:db8::2"}, {1}),
                                IcmpError::packet_too_big,
                                "2001:db8::9",
                                1400);
  EXPECT_EQ(wire::load32(&six[kIp + 44]), 1400U);
}

TEST(IcmpError, StaysWithinItsLimit) {
  const Bytes six = error_about(test::udp_frame({"2001:db8::1", "2001:db8::2"}, Bytes(8000, 1)),
                                IcmpError::packet_too_big,
                                "2001:db8::9",
                                1400);
  EXPECT_EQ(six.size(), 1280 + kIp);
  EXPECT_EQ(icmpv6_checksum(six), 0);
  const Bytes four = error_about(test::udp_frame({"10.0.0.1", "10.0.0.2"}, Bytes(8000, 1)),
                                 IcmpError::time_exceeded,
                                 "10.0.0.9");
  EXPECT_EQ(four.size(), 576 + kIp);
}

TEST(IcmpError, IsNeverSentWhereTheRfcsForbidIt) {
  const Ends four{"10.0.0.1", "10.0.0.2", 5, 6};
  const Ends six{"2001:db8::1", "2001:db8::2", 5, 6};
  Bytes multicast_mac = test::udp_frame(four, {1});
  multicast_mac[0] = 1;
  Bytes later_fragment = test::udp_frame(four, {1});
  later_fragment[kIp + 7] = 5;
  const std::vector<Bytes> silent4{
      multicast_mac,
      later_fragment,
      test::unreachable_frame(turned(four), test::udp_frame(four, {1})),
      test::udp_frame({"10.0.0.1", "224.0.0.1", 5, 6}, {1}),
      test::udp_frame({"10.0.0.1", "255.255.255.255", 5, 6}, {1}),
      test::udp_frame({"0.0.0.0", "10.0.0.1", 5, 6}, {1}),
      test::udp_frame({"224.0.0.1", "10.0.0.1", 5, 6}, {1}),
      test::icmp_frame(four, {.type = 5})};
  for (const Bytes& frame : silent4) {
    EXPECT_TRUE(error_about(frame, IcmpError::time_exceeded, "10.0.0.9").empty());
  }
  const auto parts = test::cut(test::udp_frame(six, Bytes(64, 1)), 40, 1);
  EXPECT_FALSE(error_about(parts[0], IcmpError::time_exceeded, "2001:db8::9").empty());
  const std::vector<Bytes> silent6{parts[1],
                                   test::unreachable_frame(turned(six), test::udp_frame(six, {1})),
                                   test::udp_frame({"2001:db8::1", "ff02::1", 5, 6}, {1}),
                                   test::udp_frame({"::", "2001:db8::1", 5, 6}, {1}),
                                   test::udp_frame({"ff02::1", "2001:db8::1", 5, 6}, {1}),
                                   test::nd_frame(137, "fe80::1", "2001:db8::1", "2001:db8::2")};
  for (const Bytes& frame : silent6) {
    EXPECT_TRUE(error_about(frame, IcmpError::time_exceeded, "2001:db8::9").empty());
  }
  // Path MTU discovery of multicast needs this one (RFC 4443 section 2.4 e.3).
  EXPECT_FALSE(error_about(test::udp_frame({"2001:db8::1", "ff0e::1", 5, 6}, {1}),
                           IcmpError::packet_too_big,
                           "2001:db8::9")
                   .empty());
  // A ping is answered like any packet.
  EXPECT_FALSE(
      error_about(test::ping_frame(four, false, 1), IcmpError::time_exceeded, "10.0.0.9").empty());
}

TEST(IcmpError, NeedsAnAddressOfTheFamily) {
  EXPECT_TRUE(error_about(test::udp_frame({"10.0.0.1", "10.0.0.2"}, {1}),
                          IcmpError::time_exceeded,
                          "2001:db8::9")
                  .empty());
}

constexpr Ends kEnds4{"10.0.0.1", "10.0.0.2", 40'000, 443};
constexpr Ends kEnds6{"fd00::1", "fd00::2", 40'000, 443};

Bytes reset_of(const Bytes& frame) {
  const std::size_t l3_offset = parse(frame).l3_offset;
  return built([&](auto out) { return tcp_reset(frame, l3_offset, out); });
}

/// 0 for a right checksum of a segment without options.
std::uint16_t tcp_checksum(const Bytes& frame, bool v4) {
  const std::size_t addresses = v4 ? wire::kIpv4Src : wire::kIpv6Src;
  const std::size_t header = v4 ? wire::kIpv4Bytes : wire::kIpv6Bytes;
  const std::uint64_t sum = checksum_add(wire::kTcpBytes + classifier::kProtocolTcp,
                                         {&frame[kIp + addresses], v4 ? 8U : 32U});
  return checksum_finish(checksum_add(sum, {&frame[kIp + header], wire::kTcpBytes}));
}

TEST(TcpReset, AcknowledgesASyn) {
  for (const bool v4 : {true, false}) {
    const Bytes syn = test::tcp_frame(v4 ? kEnds4 : kEnds6, test::kSyn);
    const Bytes reset = reset_of(syn);
    const Packet packet = parse(reset);
    EXPECT_EQ(packet.event, Packet::Event::abort);
    EXPECT_EQ(packet.tuple.src, parse(syn).tuple.dst);
    EXPECT_EQ(packet.tuple.dst, parse(syn).tuple.src);
    EXPECT_EQ(packet.tuple.src_port, 443);
    EXPECT_EQ(packet.tuple.dst_port, 40'000);
    EXPECT_EQ(mac_at(reset, 0), mac_at(syn, 6));
    EXPECT_EQ(mac_at(reset, 6), mac_at(syn, 0));
    const std::uint8_t* tcp = &reset[kIp + (v4 ? wire::kIpv4Bytes : wire::kIpv6Bytes)];
    EXPECT_EQ(tcp[wire::kTcpFlags], wire::kTcpRst | wire::kTcpAck);
    EXPECT_EQ(wire::load32(tcp + wire::kTcpSequence), 0U);
    EXPECT_EQ(wire::load32(tcp + wire::kTcpAcknowledgement), 1'001U);
    EXPECT_EQ(tcp_checksum(reset, v4), 0);
  }
}

TEST(TcpReset, GoesOnWhereTheSenderExpectsIt) {
  const Bytes reset = reset_of(test::tcp_frame(kEnds4, {.ack = 2'000, .payload_bytes = 100}));
  const std::uint8_t* tcp = &reset[kIp + wire::kIpv4Bytes];
  EXPECT_EQ(tcp[wire::kTcpFlags], wire::kTcpRst);
  EXPECT_EQ(wire::load32(tcp + wire::kTcpSequence), 2'000U);
}

TEST(TcpReset, AcknowledgesPayloadOfASyn) {
  const Bytes reset =
      reset_of(test::tcp_frame(kEnds6, {.seq = 7, .flags = test::kSyn, .payload_bytes = 100}));
  EXPECT_EQ(wire::load32(&reset[kIp + wire::kIpv6Bytes + wire::kTcpAcknowledgement]), 108U);
}

TEST(TcpReset, KeepsVlanTagsAndReadsOptions) {
  const Bytes tagged =
      test::tcp_frame(kEnds4, test::kSyn, {.vlan_types = {0x8100}, .ipv4_options = Bytes(4, 1)});
  const Bytes reset = reset_of(tagged);
  EXPECT_TRUE(std::equal(tagged.begin() + 12, tagged.begin() + 16, reset.begin() + 12));
  EXPECT_EQ(parse(reset).event, Packet::Event::abort);
}

TEST(TcpReset, IsNoAnswerToResetsFragmentsAndGroups) {
  EXPECT_TRUE(reset_of(test::tcp_frame(kEnds4, test::kRst)).empty());
  EXPECT_TRUE(reset_of(test::udp_frame(kEnds4)).empty());
  Bytes to_group = test::tcp_frame(kEnds4, test::kSyn);
  to_group[0] |= 1U;
  EXPECT_TRUE(reset_of(to_group).empty());
  for (const Bytes& part : test::cut(test::tcp_frame(kEnds4, test::kSyn), 8, 1)) {
    EXPECT_TRUE(built([&](auto out) { return tcp_reset(part, kIp, out); }).empty());
  }
}

TEST(Rejection, SpeaksForTheEndThatWasMeant) {
  const auto rejected = [](const Bytes& frame) {
    return built([&](auto out) { return rejection(frame, kIp, out); });
  };
  EXPECT_EQ(rejected(test::tcp_frame(kEnds4, test::kSyn)),
            reset_of(test::tcp_frame(kEnds4, test::kSyn)));
  for (const bool v4 : {true, false}) {
    const Bytes denied = test::udp_frame(v4 ? kEnds4 : kEnds6);
    const Bytes error = rejected(denied);
    const Packet packet = parse(error);
    EXPECT_EQ(packet.kind, Packet::Kind::related);
    EXPECT_EQ(packet.source, parse(denied).tuple.dst);
    EXPECT_EQ(packet.tuple, parse(denied).tuple);
    const std::size_t header = v4 ? wire::kIpv4Bytes : wire::kIpv6Bytes;
    EXPECT_EQ(wire::load16(&error[kIp + header]), v4 ? 0x030d : 0x0101)
        << "administratively prohibited";
    EXPECT_EQ(mac_at(error, 0), mac_at(denied, 6));
  }
  EXPECT_TRUE(
      rejected(test::unreachable_frame(test::turned(kEnds4), test::udp_frame(kEnds4))).empty());
}

}  // namespace
}  // namespace portcullis::dataplane
