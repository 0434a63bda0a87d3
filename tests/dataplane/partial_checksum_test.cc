// SPDX-License-Identifier: MIT
#include "dataplane/packet/partial_checksum.h"

#include <gtest/gtest.h>

#include "classifier/key.h"
#include "dataplane/packet/checksum.h"
#include "dataplane/packet/parse.h"
#include "tests/support/packet.h"
#include "tests/support/tunnel.h"

namespace portcullis::dataplane {
namespace {

using test::Bytes;
using test::Ends;

constexpr Ends kV4{"10.0.0.1", "10.0.0.2", 40000, 80};
constexpr Ends kV6{"2001:db8::1", "2001:db8::2", 40000, 80};
constexpr Ends kNodes{"192.0.2.1", "192.0.2.2"};

/// Where the transport checksum of a frame is.
std::size_t field_of(const Packet& packet) {
  const bool tcp = packet.tuple.protocol == classifier::kProtocolTcp;
  return packet.l4_offset + (tcp ? wire::kTcpChecksum : wire::kUdpChecksum);
}

/// As a sender leaves it to its device: the pseudo header's sum, not inverted, is in the field.
Bytes unfinished(Bytes frame, const Packet& packet) {
  const bool v4 = packet.tuple.family == Family::v4;
  const std::size_t length = frame.size() - packet.l4_offset;
  std::uint64_t sum = packet.tuple.protocol + length;
  sum = checksum_add(sum, std::span(packet.tuple.src).first(v4 ? 4 : 16));
  sum = checksum_add(sum, std::span(packet.tuple.dst).first(v4 ? 4 : 16));
  wire::store16(&frame[field_of(packet)], static_cast<std::uint16_t>(~checksum_finish(sum)));
  return frame;
}
Bytes unfinished(const Bytes& frame) {
  return unfinished(frame, parse(frame));
}

std::vector<Bytes> whole_frames() {
  return {test::tcp_frame(kV4, test::Tcp{.payload_bytes = 333}),
          test::tcp_frame(kV6, test::Tcp{.payload_bytes = 100}),
          test::udp_frame(kV4, Bytes(77, 9)),
          test::udp_frame(kV6, {}),
          test::udp_frame(kV4, {1}, {.vlan_types = {0x8100}, .ipv4_options = {1, 1, 1, 0}}),
          test::udp_frame(kV6, {1, 2, 3}, {.extensions = {{60, {0, 0, 1, 4, 0, 0, 0, 0}}}})};
}

TEST(FinishChecksums, FinishesWhatASenderLeftToItsDevice) {
  for (const Bytes& whole : whole_frames()) {
    Bytes frame = unfinished(whole);
    ASSERT_NE(frame, whole);
    EXPECT_EQ(finish_checksums(frame, parse(frame).l3_offset), 1U);
    EXPECT_EQ(frame, whole);
    EXPECT_EQ(finish_checksums(frame, parse(frame).l3_offset), 0U);
  }
}

TEST(FinishChecksums, LeavesFinishedAndWrongOnesAlone) {
  for (const Bytes& whole : whole_frames()) {
    for (const std::uint32_t damage : {0U, 1U, 0x100U}) {
      Bytes frame = whole;
      std::uint8_t* const field = &frame[field_of(parse(frame))];
      wire::store16(field, wire::load16(field) ^ damage);
      const Bytes before = frame;
      EXPECT_EQ(finish_checksums(frame, parse(frame).l3_offset), 0U);
      EXPECT_EQ(frame, before);
    }
  }
}

TEST(FinishChecksums, WritesOnesForAZeroOfUdp) {
  // Two bytes of payload that make the sum come out as zero.
  Bytes frame = test::udp_frame(kV4, {0, 0});
  const std::size_t field = field_of(parse(frame));
  const std::uint16_t sum = wire::load16(&frame[field]);
  wire::store16(&frame[frame.size() - 2], sum);
  frame = unfinished(frame);
  EXPECT_EQ(finish_checksums(frame, parse(frame).l3_offset), 1U);
  EXPECT_EQ(wire::load16(&frame[field]), 0xffff);
}

TEST(FinishChecksums, KeepsUdpWithoutAChecksum) {
  Bytes frame = test::udp_frame(kV4, {1, 2});
  wire::store16(&frame[field_of(parse(frame))], 0);
  const Bytes before = frame;
  EXPECT_EQ(finish_checksums(frame, wire::kEthernetBytes), 0U);
  EXPECT_EQ(frame, before);
}

TEST(FinishChecksums, FinishesInATunnelFromTheInsideOut) {
  const Bytes whole = test::vxlan_frame(kNodes, test::tcp_frame(kV4, test::kSyn));
  constexpr std::size_t kInner = 14 + 20 + 8 + 8 + 14;
  Packet inner = parse(std::span(whole).subspan(kInner - 14));
  inner.l3_offset = kInner;
  inner.l4_offset = kInner + 20;
  Bytes frame = unfinished(unfinished(whole, inner));
  EXPECT_EQ(finish_checksums(frame, kInner), 2U);
  EXPECT_EQ(frame, whole);
}

TEST(FinishChecksums, TouchesNothingElse) {
  for (const Bytes& frame : {test::arp_frame(1, "10.0.0.1", "10.0.0.2"),
                             test::ping_frame(kV4, false, 1),
                             test::sctp_frame(kV4, wire::kSctpInit),
                             test::cut(test::udp_frame(kV4, Bytes(64)), 32, 1)[0],
                             test::cut(test::udp_frame(kV6, Bytes(64)), 32, 1)[1]}) {
    Bytes copy = frame;
    EXPECT_EQ(finish_checksums(copy, parse(copy).l3_offset), 0U);
    EXPECT_EQ(copy, frame);
  }
  // What the capture cut off, and no IP header at all.
  Bytes begin = unfinished(test::tcp_frame(kV4, test::Tcp{.payload_bytes = 333}));
  begin.resize(100);
  EXPECT_EQ(finish_checksums(begin, wire::kEthernetBytes), 0U);
  EXPECT_EQ(finish_checksums(begin, 0), 0U);
}

}  // namespace
}  // namespace portcullis::dataplane
