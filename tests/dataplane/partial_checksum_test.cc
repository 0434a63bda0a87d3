// SPDX-License-Identifier: MIT
#include "dataplane/packet/partial_checksum.h"

#include <array>
#include <vector>

#include <gtest/gtest.h>

#include "classifier/key.h"
#include "classifier/rule.h"
#include "dataplane/counters.h"
#include "dataplane/packet/checksum.h"
#include "dataplane/packet/crc32c.h"
#include "dataplane/packet/parse.h"
#include "dataplane/pipeline.h"
#include "tests/support/generation.h"
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

/// An SCTP packet of one chunk of data, as a stack without such a device sends it: RFC 9260 wants
/// the CRC's least significant byte first.
Bytes sctp_data(const Ends& ends, std::size_t bytes, const test::Around& around = {}) {
  Bytes sctp{0x9c, 0x40, 0, 80, 0, 0, 0, 77, 0, 0, 0, 0, 0, 3, 0, 0};
  wire::store16(&sctp[14], static_cast<std::uint32_t>(wire::kSctpChunkBytes + bytes));
  for (std::size_t i = 0; i < bytes; ++i) {
    sctp.push_back(static_cast<std::uint8_t>(i * 31));
  }
  const std::uint32_t crc = crc32c(sctp);
  for (unsigned i = 0; i < 4; ++i) {
    sctp[wire::kSctpChecksum + i] = static_cast<std::uint8_t>(crc >> (8 * i));
  }
  return test::ip_frame(ends, classifier::kProtocolSctp, sctp, around);
}
Bytes without_crc(Bytes frame, std::size_t l4_offset) {
  wire::store32(&frame[l4_offset + wire::kSctpChecksum], 0);
  return frame;
}

TEST(FinishChecksums, FinishesSctp) {
  for (const Bytes& whole :
       {sctp_data(kV4, 0),
        sctp_data(kV6, 1),
        sctp_data(kV4, 1452),
        sctp_data(kV4, 333, {.vlan_types = {0x8100}, .ipv4_options = {1, 1, 1, 0}}),
        sctp_data(kV6, 40, {.extensions = {{60, {0, 0, 1, 4, 0, 0, 0, 0}}}})}) {
    const Packet packet = parse(whole);
    Bytes frame = without_crc(whole, packet.l4_offset);
    EXPECT_EQ(finish_checksums(frame, packet.l3_offset), 1U);
    EXPECT_EQ(frame, whole);
    EXPECT_EQ(finish_checksums(frame, packet.l3_offset), 0U);
    // What a link has put behind the packet counts for nothing.
    Bytes padded = without_crc(whole, packet.l4_offset);
    padded.resize(padded.size() + 7, 0xee);
    EXPECT_EQ(finish_checksums(padded, packet.l3_offset), 1U);
    padded.resize(whole.size());
    EXPECT_EQ(padded, whole);
  }
}

TEST(FinishChecksums, KnowsAnInitOfSctp) {
  // Of 32 bytes: ports 40000 and 80, no tag; INIT with tag 0x5eed0001, window 65536, one stream
  // each way, first number 0x5eed0001. The CRC was found by dividing, bit by bit.
  Bytes init{0x9c, 0x40, 0, 80, 0, 0, 0, 0, 0, 0, 0, 0, 1,    0,    0, 20,
             0x5e, 0xed, 0, 1,  0, 1, 0, 0, 0, 1, 0, 1, 0x5e, 0xed, 0, 1};
  Bytes frame = test::ip_frame(kV4, classifier::kProtocolSctp, init);
  EXPECT_EQ(finish_checksums(frame, wire::kEthernetBytes), 1U);
  EXPECT_EQ(wire::load32(&frame[14 + 20 + wire::kSctpChecksum]), 0x529f53f9U);
}

TEST(FinishChecksums, LeavesWrongOnesOfSctpAlone) {
  Bytes frame = sctp_data(kV4, 100);
  frame[14 + 20 + wire::kSctpChecksum] ^= 1;
  const Bytes before = frame;
  EXPECT_EQ(finish_checksums(frame, wire::kEthernetBytes), 0U);
  EXPECT_EQ(frame, before);
}

TEST(FinishChecksums, FinishesSctpInATunnel) {
  const Bytes whole = test::vxlan_frame(kNodes, sctp_data(kV4, 64));
  constexpr std::size_t kInner = 14 + 20 + 8 + 8 + 14;
  // The outer checksum covers the inner one: both are their sender's device's.
  Bytes frame = without_crc(unfinished(whole), kInner + 20);
  EXPECT_EQ(finish_checksums(frame, kInner), 2U);
  EXPECT_EQ(frame, whole);
}

TEST(FinishChecksums, FinishesWhatThePipelineLetsThrough) {
  using namespace classifier;
  const RuleSet everything{.default_mode = DefaultMode::kubernetes};
  const auto generation = test::generation_of(everything, 1);
  std::vector<std::uint64_t> hits(generation->rule_ids);
  Pipeline pipeline(PipelineOptions{});
  const Bytes whole = sctp_data(kV4, 64);
  // An INIT opens the flow, and its data follows.
  Bytes init = test::sctp_frame(kV4, wire::kSctpInit);
  Bytes bytes = without_crc(whole, 14 + 20);
  const std::array<Frame, 2> burst{
      Frame{.data = init.data(), .length = static_cast<std::uint32_t>(init.size())},
      Frame{.data = bytes.data(), .length = static_cast<std::uint32_t>(bytes.size())}};
  std::array<Outcome, 2> outcomes;
  pipeline.process(*generation, 1, burst, outcomes, {hits, {}});
  for (const Outcome& outcome : outcomes) {
    ASSERT_EQ(outcome.action, Outcome::Action::forward) << to_string(outcome.reason);
  }
  EXPECT_EQ(pipeline.counters().forwarded.get(), 2U);
  EXPECT_EQ(finish_checksums(init, outcomes[0].l3_offset), 1U);
  EXPECT_EQ(finish_checksums(bytes, outcomes[1].l3_offset), 1U);
  EXPECT_EQ(bytes, whole);
}

TEST(FinishChecksums, TouchesNothingElse) {
  for (const Bytes& frame : {test::arp_frame(1, "10.0.0.1", "10.0.0.2"),
                             test::ping_frame(kV4, false, 1),
                             sctp_data(kV6, 8),
                             test::cut(without_crc(sctp_data(kV4, 64), 34), 32, 1)[0],
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
