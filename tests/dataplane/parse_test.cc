// SPDX-License-Identifier: MIT
#include "dataplane/packet/parse.h"

#include <gtest/gtest.h>

#include "dataplane/packet/checksum.h"
#include "dataplane/packet/fragment.h"
#include "dataplane/packet/headers.h"
#include "tests/support/packet.h"

namespace portcullis::dataplane {
namespace {

using test::Around;
using test::Bytes;
using test::Ends;
using Kind = Packet::Kind;
using Event = Packet::Event;

constexpr Ends kWeb4{"10.0.0.1", "10.0.0.2", 40000, 80};
constexpr Ends kWeb6{"2001:db8::1", "2001:db8::2", 40000, 80};

AddressBytes bytes_of(std::string_view text) {
  return parse_ip(text).value().bytes;
}

/// Where IP begins in the builder's untagged frames, for tests that spoil a field.
constexpr std::size_t kIp = wire::kEthernetBytes;

DropReason reason_of(const Bytes& frame) {
  const Packet packet = parse(frame);
  EXPECT_EQ(packet.kind, Kind::drop);
  return packet.reason;
}

TEST(Parse, ReadsTcpOfBothFamilies) {
  for (const Ends& ends : {kWeb4, kWeb6}) {
    const Packet packet = parse(test::tcp_frame(ends, test::kSyn));
    ASSERT_EQ(packet.kind, Kind::flow) << to_string(packet.reason);
    EXPECT_EQ(packet.event, Event::begin);
    EXPECT_EQ(packet.tuple.src, bytes_of(ends.src));
    EXPECT_EQ(packet.tuple.dst, bytes_of(ends.dst));
    EXPECT_EQ(packet.tuple.src_port, 40000);
    EXPECT_EQ(packet.tuple.dst_port, 80);
    EXPECT_EQ(packet.tuple.protocol, classifier::kProtocolTcp);
    EXPECT_EQ(packet.tcp_flags, test::kSyn);
    EXPECT_EQ(packet.l3_offset, kIp);
    EXPECT_EQ(packet.source, packet.tuple.src);
  }
}

TEST(Parse, TellsWhatATcpPacketDoes) {
  const auto event = [](std::uint8_t flags) { return parse(test::tcp_frame(kWeb4, flags)).event; };
  EXPECT_EQ(event(test::kSyn | test::kAck), Event::accept);
  EXPECT_EQ(event(test::kAck | test::kPsh), Event::data);
  EXPECT_EQ(event(test::kFin | test::kAck), Event::finish);
  EXPECT_EQ(event(test::kRst), Event::abort);
  EXPECT_EQ(event(test::kRst | test::kAck), Event::abort);
}

TEST(Parse, RefusesTcpFlagsNobodySends) {
  for (const int flags : std::initializer_list<int>{0,
                                                    test::kSyn | test::kFin,
                                                    test::kSyn | test::kRst,
                                                    test::kFin,
                                                    test::kFin | test::kPsh | 0x20,
                                                    0x3f}) {
    EXPECT_EQ(reason_of(test::tcp_frame(kWeb4, static_cast<std::uint8_t>(flags))),
              DropReason::invalid_header)
        << flags;
  }
}

TEST(Parse, ReadsBehindVlanTags) {
  for (const Ends& ends : {kWeb4, kWeb6}) {
    const Packet one = parse(test::udp_frame(ends, {1}, {.vlan_types = {0x8100}}));
    EXPECT_EQ(one.kind, Kind::flow);
    EXPECT_EQ(one.l3_offset, 18);
    const Packet two = parse(test::udp_frame(ends, {1}, {.vlan_types = {0x88a8, 0x8100}}));
    EXPECT_EQ(two.kind, Kind::flow);
    EXPECT_EQ(two.l3_offset, 22);
    EXPECT_EQ(two.tuple.dst_port, 80);
    const Around three{.vlan_types = {0x88a8, 0x8100, 0x8100}};
    EXPECT_EQ(reason_of(test::udp_frame(ends, {1}, three)), DropReason::invalid_header);
  }
}

TEST(Parse, SaysWhereTheTransportHeaderBegins) {
  EXPECT_EQ(parse(test::tcp_frame(kWeb4, test::kAck)).l4_offset, 34);
  EXPECT_EQ(parse(test::tcp_frame(kWeb4, test::kSyn)).l4_offset, 34);
  EXPECT_EQ(parse(test::tcp_frame(kWeb6, test::kAck)).l4_offset, 54);
  EXPECT_EQ(parse(test::tcp_frame(kWeb4, test::kAck, {.ipv4_options = Bytes(8, 1)})).l4_offset, 42);
  const Around tagged{.vlan_types = {0x8100},
                      .extensions = {{60, Bytes(8, 0)}, {0x2c, Bytes(8, 0)}}};
  EXPECT_EQ(parse(test::tcp_frame(kWeb6, test::kAck, tagged)).l4_offset, 18 + 40 + 16);
  EXPECT_EQ(parse(test::arp_frame(1, "10.0.0.1", "10.0.0.2")).l4_offset, 0);
  for (const Ends& ends : {kWeb4, kWeb6}) {
    const std::vector<Bytes> parts = test::cut(test::udp_frame(ends, Bytes(100, 7)), 48, 1);
    EXPECT_NE(parse(parts[0]).l4_offset, 0);
    EXPECT_EQ(parse(parts[1]).l4_offset, 0);
  }
}

TEST(Parse, ReadsSctpByItsFirstChunk) {
  EXPECT_EQ(parse(test::sctp_frame(kWeb4, wire::kSctpInit)).event, Event::begin);
  EXPECT_EQ(parse(test::sctp_frame(kWeb6, wire::kSctpInitAck)).event, Event::accept);
  EXPECT_EQ(parse(test::sctp_frame(kWeb4, wire::kSctpAbort)).event, Event::abort);
  EXPECT_EQ(parse(test::sctp_frame(kWeb4, wire::kSctpShutdown)).event, Event::finish);
  const Packet data = parse(test::sctp_frame(kWeb4, 0));
  EXPECT_EQ(data.event, Event::data);
  EXPECT_EQ(data.tuple.dst_port, 80);
}

TEST(Parse, GivesAPingAndItsAnswerOneTuple) {
  for (const Ends& ends : {kWeb4, kWeb6}) {
    const Packet ping = parse(test::ping_frame(ends, false, 77));
    const Packet answer = parse(test::ping_frame(turned(ends), true, 77));
    ASSERT_EQ(ping.kind, Kind::flow);
    ASSERT_EQ(answer.kind, Kind::flow);
    EXPECT_EQ(ping.tuple, answer.tuple);
    EXPECT_FALSE(ping.answer);
    EXPECT_TRUE(answer.answer);
    EXPECT_EQ(ping.tuple.src, bytes_of(ends.src));
    EXPECT_EQ(answer.source, bytes_of(ends.dst));
    // The other end's ping with the same identifier is another flow.
    EXPECT_NE(parse(test::ping_frame(turned(ends), false, 77)).tuple, ping.tuple);
  }
}

TEST(Parse, AsksTheClassifierForPortsOrIcmpNeverBoth) {
  const classifier::Key4 tcp = key4_of(parse(test::tcp_frame(kWeb4, test::kSyn)).tuple, test::kSyn);
  EXPECT_EQ(tcp.src, 0x0a000001U);
  EXPECT_EQ(tcp.dst, 0x0a000002U);
  EXPECT_EQ(tcp.dst_port, 80);
  EXPECT_EQ(tcp.icmp, 0);
  const classifier::Key6 ping = key6_of(parse(test::ping_frame(kWeb6, false, 77)).tuple, 0);
  EXPECT_EQ(ping.dst_port, 0);
  EXPECT_EQ(ping.src_port, 0);
  EXPECT_EQ(ping.icmp, 128U << 8U);
}

TEST(Parse, FindsTheFlowThatAnErrorQuotes) {
  for (const Ends& ends : {kWeb4, kWeb6}) {
    const Bytes sent = test::udp_frame(ends, Bytes(100, 7));
    const Packet error = parse(test::unreachable_frame(turned(ends), sent));
    ASSERT_EQ(error.kind, Kind::related) << to_string(error.reason);
    EXPECT_EQ(error.tuple, parse(sent).tuple);
    EXPECT_EQ(error.source, bytes_of(ends.dst));
    // A router on the way may answer too.
    const bool is_v4 = ends.src.find(':') == std::string_view::npos;
    const Ends router{is_v4 ? "10.9.9.9" : "2001:db8:9::9", ends.src};
    EXPECT_EQ(parse(test::unreachable_frame(router, sent)).kind, Kind::related);
    // But only the sender of what is quoted is told.
    const Ends stranger{ends.dst, is_v4 ? "10.0.0.3" : "2001:db8::3"};
    EXPECT_EQ(reason_of(test::unreachable_frame(stranger, sent)), DropReason::not_a_new_flow);
  }
}

TEST(Parse, FindsThePingThatAnErrorQuotes) {
  for (const Ends& ends : {kWeb4, kWeb6}) {
    const Bytes ping = test::ping_frame(ends, false, 9);
    const Packet about_ping = parse(test::unreachable_frame(turned(ends), ping));
    ASSERT_EQ(about_ping.kind, Kind::related);
    EXPECT_EQ(about_ping.tuple, parse(ping).tuple);
    EXPECT_FALSE(about_ping.answer);
    const Bytes answer = test::ping_frame(turned(ends), true, 9);
    const Packet about_answer = parse(test::unreachable_frame(ends, answer));
    EXPECT_EQ(about_answer.tuple, parse(ping).tuple);
    EXPECT_TRUE(about_answer.answer);
  }
}

TEST(Parse, RefusesErrorsThatQuoteNoFlow) {
  for (const Ends& ends : {kWeb4, kWeb6}) {
    const Bytes error = test::unreachable_frame(ends, test::udp_frame(turned(ends), {1}));
    EXPECT_EQ(reason_of(test::unreachable_frame(turned(ends), error)), DropReason::not_a_new_flow);
    EXPECT_EQ(reason_of(test::unreachable_frame(turned(ends), test::udp_frame(ends), 10)),
              DropReason::invalid_header);
  }
}

TEST(Parse, JudgesOtherIcmpByItself) {
  const Packet redirect = parse(test::icmp_frame(kWeb4, {.type = 5, .code = 1}));
  EXPECT_EQ(redirect.kind, Kind::stateless);
  EXPECT_EQ(key4_of(redirect.tuple, 0).icmp, 0x0501);
}

TEST(Parse, GivesProtocolsWithoutPortsAFlowOfTheirOwn) {
  for (const Ends& ends : {kWeb4, kWeb6}) {
    const Packet gre = parse(test::ip_frame(ends, 47, {0, 0, 8, 0}));
    EXPECT_EQ(gre.kind, Kind::flow);
    EXPECT_EQ(gre.tuple.protocol, 47);
    EXPECT_EQ(gre.tuple.dst_port, 0);
  }
}

TEST(Parse, LeavesArpAndDiscoveryToTheMode) {
  EXPECT_EQ(parse(test::arp_frame(1, "10.0.0.1", "10.0.0.2")).kind, Kind::link);
  EXPECT_EQ(parse(test::nd_frame(135, "fe80::1", "ff02::1:ff00:2", "fe80::2")).kind, Kind::link);
  EXPECT_EQ(parse(test::nd_frame(135, "::", "ff02::1:ff00:2", "2001:db8::2")).kind, Kind::link);
  EXPECT_EQ(parse(test::nd_frame(136, "2001:db8::2", "2001:db8::1", "2001:db8::2")).kind,
            Kind::link);
  EXPECT_EQ(parse(test::icmp_frame({"fe80::1", "ff02::2"}, {.type = 133}, {.ttl = 255})).kind,
            Kind::link);
}

TEST(Parse, LeavesGroupMembershipToTheMode) {
  const Around router_alert{.ttl = 1, .extensions = {{0, {0, 0, 5, 2, 0, 0, 1, 0}}}};
  EXPECT_EQ(parse(test::icmp_frame({"fe80::1", "ff02::16"}, {.type = 143}, router_alert)).kind,
            Kind::link);
  EXPECT_EQ(parse(test::ip_frame({"10.0.0.1", "224.0.0.22"}, 2, Bytes(8, 0), {.ttl = 1})).kind,
            Kind::link);
  EXPECT_EQ(parse(test::ip_frame({"10.0.0.1", "10.0.0.2"}, 2, Bytes(8, 0), {.ttl = 1})).kind,
            Kind::flow);
}

TEST(Parse, RefusesDiscoveryThatARouterForwarded) {
  const Bytes body(16, 0);
  EXPECT_EQ(reason_of(test::icmp_frame(
                {"2001:db8::1", "2001:db8::2"}, {.type = 135, .body = body}, {.ttl = 254})),
            DropReason::invalid_header);
  EXPECT_EQ(reason_of(test::nd_frame(136, "::", "ff02::1", "2001:db8::2")),
            DropReason::invalid_source);
}

TEST(Parse, RefusesOtherEtherTypes) {
  Bytes frame = test::udp_frame(kWeb4);
  for (const int type : {0x88cc, 0x8847, 0x0026, 0x9100}) {
    wire::store16(&frame[12], static_cast<std::uint32_t>(type));
    EXPECT_EQ(reason_of(frame), DropReason::unsupported_l3) << type;
  }
}

TEST(Parse, RefusesEveryTruncation) {
  for (const Bytes& whole : {test::tcp_frame(kWeb4, test::kSyn),
                             test::tcp_frame(kWeb6, test::kSyn),
                             test::udp_frame(kWeb4, {1, 2, 3}, {.vlan_types = {0x8100}}),
                             test::sctp_frame(kWeb6, 1),
                             test::ping_frame(kWeb4, false, 1),
                             test::arp_frame(1, "10.0.0.1", "10.0.0.2"),
                             test::nd_frame(135, "fe80::1", "fe80::2", "fe80::2")}) {
    for (std::size_t length = 0; length < whole.size(); ++length) {
      // A vector of its own, so that AddressSanitizer sees a read behind the end.
      EXPECT_EQ(reason_of(Bytes(whole.begin(), whole.begin() + static_cast<long>(length))),
                DropReason::invalid_header)
          << length;
    }
  }
}

TEST(Parse, AcceptsACaptureThatKeepsOnlyTheBeginning) {
  const Bytes whole = test::udp_frame(kWeb4, Bytes(1000, 1));
  const Bytes cut(whole.begin(), whole.begin() + 64);
  EXPECT_EQ(parse(cut, static_cast<std::uint32_t>(whole.size())).kind, Kind::flow);
  EXPECT_EQ(reason_of(cut), DropReason::invalid_header);
}

TEST(Parse, IgnoresPaddingBehindThePacket) {
  Bytes frame = test::udp_frame(kWeb4, {1});
  frame.resize(60, 0);
  EXPECT_EQ(parse(frame).kind, Kind::flow);
}

TEST(Parse, RefusesWrongIpv4Headers) {
  const auto spoilt = [](std::size_t offset, std::uint8_t value, bool mend) {
    Bytes frame = test::udp_frame(kWeb4, {1, 2, 3, 4});
    frame[kIp + offset] = value;
    if (mend) {
      test::mend_ipv4(frame);
    }
    return reason_of(frame);
  };
  EXPECT_EQ(spoilt(0, 0x55, false), DropReason::invalid_header);  // Version.
  EXPECT_EQ(spoilt(0, 0x44, false), DropReason::invalid_header);  // Header too short.
  EXPECT_EQ(spoilt(0, 0x4f, false), DropReason::invalid_header);  // Header longer than the packet.
  EXPECT_EQ(spoilt(3, 200, true), DropReason::invalid_header);    // Total longer than the frame.
  EXPECT_EQ(spoilt(3, 19, true), DropReason::invalid_header);     // Total shorter than the header.
  EXPECT_EQ(spoilt(8, 63, false), DropReason::invalid_header);    // Checksum.
}

TEST(Parse, RefusesSourceRoutes) {
  EXPECT_EQ(parse(test::udp_frame(kWeb4, {1}, {.ipv4_options = {148, 4, 0, 0}})).kind, Kind::flow);
  EXPECT_EQ(parse(test::udp_frame(kWeb4, {1}, {.ipv4_options = {1, 1, 1, 0}})).kind, Kind::flow);
  for (const Bytes& options : {Bytes{131, 7, 4, 10, 0, 0, 3, 0},
                               Bytes{1, 137, 7, 4, 10, 0, 0, 3},
                               Bytes{148, 4, 0, 0, 131, 4, 4, 0},
                               Bytes{148, 0, 131, 4},
                               Bytes{1, 1, 1, 148}}) {
    EXPECT_EQ(reason_of(test::udp_frame(kWeb4, {1}, {.ipv4_options = options})),
              DropReason::invalid_header);
  }
  const Bytes to_go{0, 2, 0, 1, 0, 0, 0, 0, 0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9};
  EXPECT_EQ(reason_of(test::udp_frame(kWeb6, {1}, {.extensions = {{43, to_go}}})),
            DropReason::invalid_ipv6_extension);
  Bytes arrived = to_go;
  arrived[3] = 0;
  EXPECT_EQ(parse(test::udp_frame(kWeb6, {1}, {.extensions = {{43, arrived}}})).kind, Kind::flow);
}

TEST(Parse, WalksIpv6Extensions) {
  const Bytes eight(8, 0);
  const Bytes authentication{0, 4, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1,
                             9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9};
  const Around all{.extensions = {{0, eight}, {60, eight}, {51, authentication}, {60, eight}}};
  const Packet packet = parse(test::tcp_frame(kWeb6, test::kSyn, all));
  ASSERT_EQ(packet.kind, Kind::flow) << to_string(packet.reason);
  EXPECT_EQ(packet.tuple.dst_port, 80);

  const auto reason = [](const Around& around) {
    return reason_of(test::tcp_frame(kWeb6, test::kSyn, around));
  };
  EXPECT_EQ(reason({.extensions = {{60, eight}, {0, eight}}}), DropReason::invalid_ipv6_extension);
  EXPECT_EQ(reason({.extensions = {{60, {0, 200, 0, 0, 0, 0, 0, 0}}}}),
            DropReason::invalid_ipv6_extension);
  EXPECT_EQ(reason({.extensions = {{135, eight}}}), DropReason::invalid_ipv6_extension);
  EXPECT_EQ(reason({.extensions = std::vector(9, std::pair{std::uint8_t{60}, eight})}),
            DropReason::invalid_ipv6_extension);
  EXPECT_EQ(
      parse(test::tcp_frame(kWeb6,
                            test::kSyn,
                            {.extensions = std::vector(8, std::pair{std::uint8_t{60}, eight})}))
          .kind,
      Kind::flow);
}

TEST(Parse, ReadsFirstFragmentsLikeWholePackets) {
  const Bytes body(100, 7);
  for (const Around& around : {Around{}, Around{.vlan_types = {0x88a8, 0x8100}}}) {
    for (const Ends& ends : {kWeb4, kWeb6}) {
      const auto parts = test::cut(test::udp_frame(ends, body, around), 48, 0x1234);
      ASSERT_EQ(parts.size(), 3U);
      const Packet first = parse(parts[0]);
      EXPECT_EQ(first.kind, Kind::flow) << to_string(first.reason);
      EXPECT_TRUE(first.fragmented);
      EXPECT_EQ(first.tuple.dst_port, ends.dst_port);
      const DatagramKey key = datagram_of(parts[0], first, fragment_of(parts[0], first));
      for (std::size_t i = 0; i < parts.size(); ++i) {
        const Packet packet = parse(parts[i]);
        EXPECT_EQ(packet.kind, i == 0 ? Kind::flow : Kind::fragment) << to_string(packet.reason);
        EXPECT_EQ(packet.source, first.source);
        const Fragment fragment = fragment_of(parts[i], packet);
        EXPECT_EQ(fragment.id, 0x1234U);
        EXPECT_EQ(fragment.begin, 48 * i);
        EXPECT_EQ(fragment.end, i == 2 ? 108U : 48 * (i + 1));
        EXPECT_EQ(fragment.more, i < 2);
        EXPECT_EQ(datagram_of(parts[i], packet, fragment), key);
      }
    }
  }
  EXPECT_FALSE(parse(test::udp_frame(kWeb4, body)).fragmented);
}

TEST(Parse, ReadsEachProtocolInItsFirstFragment) {
  for (const Ends& ends : {kWeb4, kWeb6}) {
    const Bytes ping = test::icmp_frame(
        ends, {.type = std::uint8_t(ends.src == kWeb4.src ? 8 : 128), .body = Bytes(64, 1)});
    EXPECT_EQ(parse(test::cut(ping, 8, 1)[0]).kind, Kind::flow);
    EXPECT_EQ(parse(test::cut(ping, 8, 1)[1]).kind, Kind::fragment);
    Bytes chunk = test::sctp_frame(ends, wire::kSctpInit);
    wire::store16(&chunk[chunk.size() - 2], 400);  // Its first chunk goes on in later fragments.
    EXPECT_EQ(reason_of(chunk), DropReason::invalid_header);
    chunk.resize(chunk.size() + 396, 0);
    Bytes whole = test::ip_frame(
        ends, 132, Bytes(chunk.end() - 412, chunk.end()));  // With the length of all.
    EXPECT_EQ(parse(test::cut(whole, 16, 1)[0]).event, Packet::Event::begin);
  }
}

TEST(Parse, RefusesFirstFragmentsWithoutTheirTransportHeader) {
  const Bytes whole4 =
      test::ip_frame(kWeb4, 6, {0x9c, 0x40, 0, 80, 0, 0, 0, 1, 0, 0, 0, 0, 0x80, 2, 0, 0, 0,
                                0,    0,    0, 1,  1, 1, 1, 1, 1, 1, 1, 1, 1,    1, 1, 9, 9});
  ASSERT_EQ(parse(whole4).kind, Kind::flow);
  EXPECT_EQ(reason_of(test::cut(whole4, 8, 1)[0]), DropReason::invalid_header);
  EXPECT_EQ(reason_of(test::cut(whole4, 16, 1)[0]), DropReason::invalid_header);
  EXPECT_EQ(reason_of(test::cut(whole4, 24, 1)[0]), DropReason::invalid_header) << "its options";
  EXPECT_EQ(parse(test::cut(whole4, 32, 1)[0]).kind, Kind::flow);
  const Bytes sctp = test::sctp_frame(kWeb6, wire::kSctpInit);
  EXPECT_EQ(reason_of(test::cut(sctp, 8, 1)[0]), DropReason::invalid_header);
  // RFC 7112: the whole chain of headers.
  const Bytes chain = test::udp_frame(kWeb6, Bytes(9, 0), {.extensions = {{60, Bytes(16, 0)}}});
  Bytes options = chain;
  options[kIp + wire::kIpv6Bytes + 1] = 1;  // Two units long.
  EXPECT_EQ(reason_of(test::cut(options, 8, 1)[0]), DropReason::invalid_ipv6_extension);
  EXPECT_EQ(reason_of(test::cut(options, 16, 1)[0]), DropReason::invalid_header);
  EXPECT_EQ(parse(test::cut(options, 24, 1)[0]).kind, Kind::flow);
}

TEST(Parse, RefusesFragmentsThatCannotBe) {
  const auto fragment4 = [](std::uint32_t bits, std::size_t bytes) {
    Bytes frame = test::ip_frame(kWeb4, 47, Bytes(bytes, 0));
    wire::store16(&frame[kIp + wire::kIpv4Fragment], bits);
    test::mend_ipv4(frame);
    return parse(frame).reason;
  };
  const auto fragment6 = [](std::uint32_t bits, std::size_t bytes) {
    Bytes header(8, 0);
    wire::store16(&header[2], bits);
    return parse(test::ip_frame(kWeb6, 47, Bytes(bytes, 0), {.extensions = {{44, header}}})).reason;
  };
  for (const bool v4 : {true, false}) {
    const auto of = [&](std::size_t offset, bool more, std::size_t bytes) {
      return v4 ? fragment4(static_cast<std::uint32_t>(offset / 8 | (more ? 0x2000U : 0U)), bytes)
                : fragment6(static_cast<std::uint32_t>(offset | (more ? 1U : 0U)), bytes);
    };
    const std::size_t most = v4 ? 65'515 : 65'535;
    EXPECT_EQ(of(0, true, 16), DropReason::none);
    EXPECT_EQ(of(8, true, 16), DropReason::none);
    EXPECT_EQ(of(8, false, 15), DropReason::none);
    EXPECT_EQ(of(0, true, 15), DropReason::invalid_header);
    EXPECT_EQ(of(8, true, 15), DropReason::invalid_header);
    EXPECT_EQ(of(0, true, 0), DropReason::invalid_header);
    EXPECT_EQ(of(8, false, 0), DropReason::invalid_header);
    EXPECT_EQ(of(65'504, false, most - 65'504), DropReason::none);
    EXPECT_EQ(of(65'504, false, most - 65'503), DropReason::invalid_header);
    EXPECT_EQ(of(65'528, true, 8), DropReason::invalid_header);
  }
}

TEST(Parse, TakesAnIpv6FragmentThatIsAllForAWholePacket) {
  const auto with = [](std::vector<std::pair<std::uint8_t, Bytes>> extensions) {
    return test::tcp_frame(kWeb6, test::kSyn, {.extensions = std::move(extensions)});
  };
  const Packet packet = parse(with({{44, {0, 0, 0, 0, 0, 0, 0, 1}}}));
  EXPECT_EQ(packet.kind, Kind::flow);
  EXPECT_FALSE(packet.fragmented);
  EXPECT_EQ(packet.tuple.dst_port, 80);
  // The reserved second byte is no length.
  EXPECT_EQ(parse(with({{44, {0, 200, 0, 0, 0, 0, 0, 1}}})).kind, Kind::flow);
  const Bytes atomic(8, 0);
  EXPECT_EQ(reason_of(with({{44, atomic}, {44, atomic}})), DropReason::invalid_ipv6_extension);
  EXPECT_EQ(reason_of(with({{44, atomic}, {0, atomic}})), DropReason::invalid_ipv6_extension);
}

TEST(Parse, RefusesNeighbourDiscoveryWithAFragmentHeader) {
  const Bytes whole = test::nd_frame(135, "fe80::1", "ff02::1:ff00:2", "2001:db8::2");
  ASSERT_EQ(parse(whole).kind, Kind::link);
  EXPECT_EQ(reason_of(test::cut(whole, 400, 1)[0]), DropReason::invalid_header);
  EXPECT_EQ(reason_of(test::cut(whole, 24, 1)[0]), DropReason::invalid_header);
}

TEST(Parse, FindsTheFlowThatAQuotedFirstFragmentBelongsTo) {
  for (const Ends& ends : {kWeb4, kWeb6}) {
    const auto parts = test::cut(test::udp_frame(ends, Bytes(100, 7)), 48, 9);
    const Packet first = parse(test::unreachable_frame(turned(ends), parts[0], 80));
    ASSERT_EQ(first.kind, Kind::related) << to_string(first.reason);
    EXPECT_EQ(first.tuple, parse(parts[0]).tuple);
    EXPECT_EQ(reason_of(test::unreachable_frame(turned(ends), parts[1], 80)),
              DropReason::not_a_new_flow);
  }
}

TEST(Parse, RefusesSourcesThatNoHostHas) {
  for (const char* source :
       {"127.0.0.1", "224.0.0.1", "255.255.255.255", "0.0.0.0", "240.0.0.1", "0.1.2.3"}) {
    EXPECT_EQ(reason_of(test::udp_frame({source, "10.0.0.2", 1, 2})), DropReason::invalid_source)
        << source;
  }
  for (const char* source : {"::1", "ff02::1", "::"}) {
    EXPECT_EQ(reason_of(test::udp_frame({source, "2001:db8::2", 1, 2})), DropReason::invalid_source)
        << source;
  }
  // IPv4-mapped, which parse_ip() does not read.
  Bytes mapped = test::udp_frame(kWeb6, {1});
  std::fill_n(&mapped[kIp + wire::kIpv6Src], 16, std::uint8_t{0});
  mapped[kIp + wire::kIpv6Src + 10] = mapped[kIp + wire::kIpv6Src + 11] = 0xff;
  EXPECT_EQ(reason_of(mapped), DropReason::invalid_source);
}

Packet with_care(std::span<const std::uint8_t> frame) {
  Packet packet;
  read_with_care(frame, 0, packet);
  return packet;
}

/// Every value of every byte, with the checksum that it had and, of IPv4, with the right one.
TEST(Parse, ReadsPlainPacketsAsItReadsThemWithCare) {
  for (const Bytes& frame : {test::udp_frame(kWeb4, {1, 2, 3, 4}),
                             test::udp_frame(kWeb6, {1, 2, 3, 4}),
                             test::tcp_frame(kWeb4, test::kAck),
                             test::tcp_frame(kWeb6, test::kAck),
                             test::tcp_frame(kWeb4, test::kAck | test::kPsh)}) {
    const bool is_v4 = parse(frame).tuple.family == Family::v4;
    std::size_t plain = 0;
    for (std::size_t at = 0; at < frame.size(); ++at) {
      for (unsigned value = 0; value < 2 * 256; ++value) {
        Bytes changed = frame;
        changed[at] = static_cast<std::uint8_t>(value);
        if (value >= 256 && is_v4) {
          const std::span ip = std::span(changed).subspan(kIp, wire::kIpv4Bytes);
          wire::store16(&ip[wire::kIpv4Checksum], 0);
          wire::store16(&ip[wire::kIpv4Checksum], checksum_finish(checksum_add(0, ip)));
        }
        Packet packet;
        const bool is_plain = read_plain(changed, packet);
        ASSERT_TRUE(is_plain || packet == Packet{});
        plain += is_plain ? 1 : 0;
        ASSERT_EQ(parse(changed), with_care(changed)) << at << " " << value;
      }
    }
    for (std::size_t size = 0; size < frame.size(); ++size) {
      const std::span cut = std::span(frame).first(size);
      ASSERT_EQ(parse(cut), with_care(cut)) << size;
    }
    EXPECT_GT(plain, 3'000U);
  }
}

TEST(Parse, RefusesDestinationsThatNoWireCarries) {
  EXPECT_EQ(reason_of(test::udp_frame({"10.0.0.1", "127.0.0.1", 1, 2})),
            DropReason::invalid_header);
  EXPECT_EQ(reason_of(test::udp_frame({"10.0.0.1", "0.0.0.0", 1, 2})), DropReason::invalid_header);
  EXPECT_EQ(reason_of(test::udp_frame({"2001:db8::1", "::1", 1, 2})), DropReason::invalid_header);
}

TEST(Parse, LetsADhcpRequestComeFromNowhere) {
  const Packet request = parse(test::udp_frame({"0.0.0.0", "255.255.255.255", 68, 67}));
  EXPECT_EQ(request.kind, Kind::stateless);
  EXPECT_EQ(reason_of(test::udp_frame({"0.0.0.0", "255.255.255.255", 68, 68})),
            DropReason::invalid_source);
}

TEST(Parse, MakesNoFlowOfPacketsToMany) {
  EXPECT_EQ(parse(test::udp_frame({"10.0.0.1", "224.0.0.251", 5353, 5353})).kind, Kind::stateless);
  EXPECT_EQ(parse(test::udp_frame({"2001:db8::1", "ff02::fb", 5353, 5353})).kind, Kind::stateless);
  EXPECT_EQ(reason_of(test::ping_frame({"10.0.0.1", "224.0.0.1"}, true, 1)),
            DropReason::not_a_new_flow);
}

TEST(Parse, RefusesIcmpOfTheOtherFamily) {
  EXPECT_EQ(reason_of(test::ip_frame(kWeb4, 58, Bytes(16, 0))), DropReason::invalid_header);
  EXPECT_EQ(reason_of(test::ip_frame(kWeb6, 1, Bytes(16, 0))), DropReason::invalid_header);
}

TEST(Parse, RefusesUdpAndSctpLengthsThatLie) {
  Bytes udp = test::udp_frame(kWeb4, {1, 2, 3, 4});
  for (const int length : {0, 7, 13, 65535}) {
    wire::store16(&udp[kIp + 20 + wire::kUdpLength], static_cast<std::uint32_t>(length));
    EXPECT_EQ(reason_of(udp), DropReason::invalid_header) << length;
  }
  Bytes sctp = test::sctp_frame(kWeb4, 1);
  for (const int length : {0, 3, 5}) {
    wire::store16(&sctp[kIp + 20 + wire::kSctpBytes + 2], static_cast<std::uint32_t>(length));
    EXPECT_EQ(reason_of(sctp), DropReason::invalid_header) << length;
  }
}

}  // namespace
}  // namespace portcullis::dataplane
