// SPDX-License-Identifier: MIT
// A catalogue of malformed packets, under a table that allows everything: each is dropped for its
// own reason, and counted once, in that reason's counter.
#include <functional>
#include <ostream>

#include <gtest/gtest.h>

#include "classifier/compile.h"
#include "classifier/key.h"
#include "dataplane/counters.h"
#include "dataplane/packet/headers.h"
#include "dataplane/pipeline.h"
#include "tests/support/packet.h"

namespace portcullis::dataplane {
namespace {

using test::Bytes;
using test::Ends;
using enum DropReason;

constexpr Ends kV4{"10.0.0.1", "10.0.0.2", 40000, 80};
constexpr Ends kV6{"2001:db8::1", "2001:db8::2", 40000, 80};
constexpr std::size_t kIp = wire::kEthernetBytes;
constexpr std::size_t kL4 = kIp + wire::kIpv4Bytes;
constexpr std::uint8_t kHopByHop = wire::kNextHopByHop;

struct Malformed {
  const char* name = "";
  DropReason reason = invalid_header;
  std::function<Bytes()> make;
};

std::ostream& operator<<(std::ostream& out, const Malformed& one) {
  return out << one.name;
}

Bytes udp() {
  return test::udp_frame(kV4, {1, 2, 3, 4});
}
Bytes tcp(std::uint8_t flags = test::kAck) {
  return test::tcp_frame(kV4, flags);
}
Bytes cut_to(Bytes frame, std::size_t bytes) {
  frame.resize(bytes);
  return frame;
}
/// One byte of an IPv4 packet, from its header on, under a right header checksum.
Bytes spoilt(Bytes frame, std::size_t offset, std::uint8_t value) {
  frame[kIp + offset] = value;
  test::mend_ipv4(frame);
  return frame;
}
Bytes spoilt_l4(Bytes frame, std::size_t offset, std::uint8_t value) {
  frame[kL4 + offset] = value;
  return frame;
}
Bytes with_options(const Bytes& options) {
  return test::udp_frame(kV4, {1}, {.ipv4_options = options});
}
Bytes with_extensions(std::vector<std::pair<std::uint8_t, Bytes>> extensions) {
  return test::udp_frame(kV6, {1}, {.extensions = std::move(extensions)});
}
Bytes between(std::string_view src, std::string_view dst) {
  return test::udp_frame({src, dst, 1, 2});
}
Bytes fragment4(std::uint32_t flags_and_offset, std::size_t bytes) {
  Bytes frame = test::ip_frame(kV4, classifier::kProtocolUdp, Bytes(bytes, 0));
  wire::store16(&frame[kIp + wire::kIpv4Fragment], flags_and_offset);
  test::mend_ipv4(frame);
  return frame;
}

const Malformed kCatalogue[] = {
    {"shorter_than_ethernet", invalid_header, [] { return Bytes(13, 0); }},
    {"vlan_tag_cut_off",
     invalid_header,
     [] { return cut_to(test::udp_frame(kV4, {1}, {.vlan_types = {0x8100}}), 16); }},
    {"three_vlan_tags",
     invalid_header,
     [] {
       return test::udp_frame(kV4, {1}, {.vlan_types = {0x88a8, 0x8100, 0x8100}});
     }},
    {"unknown_ethertype",
     unsupported_l3,
     [] {
       Bytes frame = udp();
       wire::store16(&frame[12], 0x88cc);
       return frame;
     }},
    {"arp_cut_off",
     invalid_header,
     [] { return cut_to(test::arp_frame(wire::kArpRequest, "10.0.0.1", "10.0.0.2"), 41); }},
    {"ipv4_header_cut_off", invalid_header, [] { return cut_to(udp(), kIp + 19); }},
    {"ipv4_of_version_5", invalid_header, [] { return spoilt(udp(), 0, 0x55); }},
    {"ipv4_header_too_short", invalid_header, [] { return spoilt(udp(), 0, 0x44); }},
    {"ipv4_header_beyond_the_packet",
     invalid_header,
     [] {
       Bytes frame = udp();
       frame[kIp] = 0x4f;
       return frame;
     }},
    {"ipv4_total_below_the_header", invalid_header, [] { return spoilt(udp(), 3, 19); }},
    {"ipv4_total_beyond_the_frame", invalid_header, [] { return spoilt(udp(), 3, 200); }},
    {"ipv4_checksum_wrong",
     invalid_header,
     [] {
       Bytes frame = udp();
       ++frame[kIp + wire::kIpv4Checksum];
       return frame;
     }},
    {"loose_source_route",
     invalid_header,
     [] {
       return with_options({131, 7, 4, 10, 0, 0, 3, 0});
     }},
    {"strict_source_route",
     invalid_header,
     [] {
       return with_options({137, 7, 4, 10, 0, 0, 3, 0});
     }},
    {"ipv4_option_without_length",
     invalid_header,
     [] {
       return with_options({148, 0, 0, 0});
     }},
    {"source_in_this_network", invalid_source, [] { return between("0.1.2.3", "10.0.0.2"); }},
    {"source_is_loopback", invalid_source, [] { return between("127.0.0.1", "10.0.0.2"); }},
    {"source_is_a_group", invalid_source, [] { return between("224.0.0.1", "10.0.0.2"); }},
    {"source_is_everyone", invalid_source, [] { return between("255.255.255.255", "10.0.0.2"); }},
    {"destination_is_loopback", invalid_header, [] { return between("10.0.0.1", "127.0.0.1"); }},
    {"destination_is_reserved", invalid_header, [] { return between("10.0.0.1", "240.0.0.1"); }},
    {"tcp_header_cut_off",
     invalid_header,
     [] { return test::ip_frame(kV4, classifier::kProtocolTcp, Bytes(19, 0x50)); }},
    {"tcp_header_too_short",
     invalid_header,
     [] { return spoilt_l4(tcp(), wire::kTcpOffset, 0x40); }},
    {"tcp_header_beyond_the_packet",
     invalid_header,
     [] { return spoilt_l4(tcp(), wire::kTcpOffset, 0xf0); }},
    {"tcp_without_flags", invalid_header, [] { return tcp(0); }},
    {"tcp_syn_and_fin", invalid_header, [] { return tcp(test::kSyn | test::kFin); }},
    {"tcp_syn_and_rst", invalid_header, [] { return tcp(test::kSyn | test::kRst); }},
    {"tcp_all_flags", invalid_header, [] { return tcp(0x3f); }},
    {"tcp_of_no_known_flow", not_a_new_flow, [] { return tcp(); }},
    {"udp_header_cut_off",
     invalid_header,
     [] { return test::ip_frame(kV4, classifier::kProtocolUdp, Bytes(7, 1)); }},
    {"udp_length_below_its_header", invalid_header, [] { return spoilt_l4(udp(), 5, 7); }},
    {"udp_length_beyond_the_packet", invalid_header, [] { return spoilt_l4(udp(), 5, 13); }},
    {"sctp_without_a_chunk",
     invalid_header,
     [] { return test::ip_frame(kV4, classifier::kProtocolSctp, Bytes(12, 1)); }},
    {"sctp_chunk_without_length",
     invalid_header,
     [] {
       const std::size_t low_byte = wire::kSctpBytes + 3;
       return spoilt_l4(test::sctp_frame(kV4, wire::kSctpInit), low_byte, 0);
     }},
    {"icmp_cut_off",
     invalid_header,
     [] { return test::ip_frame(kV4, classifier::kProtocolIcmp, Bytes(7, 0)); }},
    {"ping_with_a_code",
     invalid_header,
     [] { return test::icmp_frame(kV4, {.type = wire::kIcmpEcho, .code = 1}); }},
    {"icmpv6_over_ipv4",
     invalid_header,
     [] {
       return test::ip_frame(kV4, classifier::kProtocolIcmpv6, Bytes{128, 0, 0, 0, 0, 0, 0, 0});
     }},
    {"icmp_error_about_nothing",
     not_a_new_flow,
     [] { return test::unreachable_frame(turned(kV4), between(kV4.src, kV4.dst)); }},
    {"ipv6_header_cut_off", invalid_header, [] { return cut_to(test::udp_frame(kV6), kIp + 39); }},
    {"ipv6_payload_beyond_the_frame",
     invalid_header,
     [] {
       Bytes frame = test::udp_frame(kV6);
       ++frame[kIp + wire::kIpv6Payload + 1];
       return frame;
     }},
    {"hop_by_hop_not_first",
     invalid_ipv6_extension,
     [] {
       return with_extensions({{60, Bytes(8, 0)}, {kHopByHop, Bytes(8, 0)}});
     }},
    {"extension_beyond_the_packet",
     invalid_ipv6_extension,
     [] {
       return with_extensions({{60, {0, 200, 0, 0, 0, 0, 0, 0}}});
     }},
    {"extensions_without_end",
     invalid_ipv6_extension,
     [] {
       return with_extensions(std::vector(9, std::pair{std::uint8_t{60}, Bytes(8, 0)}));
     }},
    {"routing_header_with_segments_left",
     invalid_ipv6_extension,
     [] {
       return with_extensions({{wire::kNextRouting, {0, 0, 0, 1, 0, 0, 0, 0}}});
     }},
    {"mobility_header",
     invalid_ipv6_extension,
     [] {
       return with_extensions({{wire::kNextMobility, Bytes(8, 0)}});
     }},
    {"fragment_of_a_fragment",
     invalid_ipv6_extension,
     [] {
       return with_extensions(
           {{wire::kNextFragment, Bytes(8, 0)}, {wire::kNextFragment, Bytes(8, 0)}});
     }},
    {"ipv6_source_is_loopback", invalid_source, [] { return between("::1", "2001:db8::2"); }},
    {"ipv6_source_is_a_group", invalid_source, [] { return between("ff02::1", "2001:db8::2"); }},
    {"ipv6_destination_is_nobody", invalid_header, [] { return between("2001:db8::1", "::"); }},
    {"discovery_that_a_router_forwarded",
     invalid_header,
     [] {
       Bytes frame = test::nd_frame(135, "2001:db8::1", "ff02::1:ff00:2", "2001:db8::2");
       frame[kIp + wire::kIpv6HopLimit] = 64;
       return frame;
     }},
    {"first_fragment_without_its_header",
     invalid_header,
     [] { return test::cut(tcp(test::kSyn), 8, 1)[0]; }},
    {"fragment_that_is_no_multiple_of_eight",
     invalid_header,
     [] { return fragment4(wire::kIpv4MoreFragments, 15); }},
    {"fragment_beyond_64k", invalid_header, [] { return fragment4(wire::kIpv4OffsetMask, 24); }},
};

std::string name_of(const testing::TestParamInfo<Malformed>& info) {
  return info.param.name;
}

class MalformedTest : public testing::TestWithParam<Malformed> {};

TEST_P(MalformedTest, IsDroppedForItsReasonAndCounted) {
  classifier::RuleSet rules{.default_mode = classifier::DefaultMode::kubernetes};
  Generation generation;
  generation.epoch = 1;
  generation.table = classifier::compile(rules).value();
  generation.rule_ids = classifier::kBuiltinRules;
  std::vector<std::uint64_t> hits(generation.rule_ids);
  Pipeline pipeline({.conntrack = {.flows_max = 1024}, .ports = 1});
  // Between two good ones, which it does not harm.
  std::array<Bytes, 3> frames{udp(), GetParam().make(), test::udp_frame(kV6)};
  std::array<Frame, 3> burst;
  std::array<Outcome, 3> outcomes;
  for (std::size_t i = 0; i < frames.size(); ++i) {
    burst[i] = {.data = frames[i].data(), .length = static_cast<std::uint32_t>(frames[i].size())};
  }
  pipeline.process(generation, 1, burst, outcomes, {hits, {}});

  EXPECT_EQ(outcomes[1].action, Outcome::Action::drop);
  EXPECT_EQ(to_string(outcomes[1].reason), to_string(GetParam().reason));
  const Counters& counters = pipeline.counters();
  EXPECT_EQ(counters.packets.get(), 3U);
  EXPECT_EQ(counters.forwarded.get(), 2U);
  EXPECT_EQ(counters.dropped.get(), 1U);
  for (std::size_t reason = 0; reason < kDropReasons; ++reason) {
    const bool its = static_cast<DropReason>(reason) == GetParam().reason;
    EXPECT_EQ(counters.drops[reason].get(), its ? 1U : 0U) << reason;
  }
}

INSTANTIATE_TEST_SUITE_P(Catalogue, MalformedTest, testing::ValuesIn(kCatalogue), name_of);

}  // namespace
}  // namespace portcullis::dataplane
