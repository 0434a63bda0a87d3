// SPDX-License-Identifier: MIT
// What leaves of a super-packet is what its sender would have sent without such a device, and every
// buffer comes back.
#include "dataplane/dpdk/buffer/super_packet.h"

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include <rte_mbuf.h>
#include <rte_mempool.h>

#include <gtest/gtest.h>

#include "classifier/key.h"
#include "dataplane/dpdk/port.h"
#include "dataplane/packet/checksum.h"
#include "dataplane/packet/headers.h"
#include "dataplane/packet/parse.h"
#include "tests/dataplane/ring_port.h"
#include "tests/support/tunnel.h"

namespace portcullis::dataplane {
namespace {

using test::Around;
using test::Bytes;
using test::Ends;

constexpr Ends kV4{"10.0.0.1", "10.0.0.2", 40'000, 80};
constexpr Ends kV6{"2001:db8::1", "2001:db8::2", 40'000, 80};
constexpr Ends kNodes{"192.0.2.1", "192.0.2.2"};
constexpr std::uint32_t kBuffers = 1'023;
constexpr std::size_t kChainBytes = 1'900;
constexpr std::uint8_t kCwr = 0x80;
/// Timestamps, as nearly every segment has them.
const Bytes kTimestamps{1, 1, 8, 10, 1, 2, 3, 4, 5, 6, 7, 8};

struct Case {
  Ends ends = kV4;
  std::size_t payload = 10'000;
  std::uint16_t each = 1'448;
  std::uint8_t flags = test::kAck;
  std::uint32_t seq = 1'000;
  std::uint16_t id = 7;
  Bytes options = kTimestamps;
  Around around = {};
};

/// A frame with a payload of which no two stretches are alike. Its own checksum is nobody's
/// business.
Bytes frame_of(const Case& one) {
  Bytes frame = test::tcp_frame(one.ends,
                                {.seq = one.seq,
                                 .ack = 99,
                                 .flags = one.flags,
                                 .options = one.options,
                                 .payload_bytes = one.payload},
                                one.around);
  for (std::size_t i = 0; i < one.payload; ++i) {
    frame[frame.size() - one.payload + i] = static_cast<std::uint8_t>(i * 7 + i / 251);
  }
  if (one.ends.src == kV4.src && one.around.vlan_types.empty()) {
    wire::store16(&frame[wire::kEthernetBytes + wire::kIpv4Id], one.id);
    test::mend_ipv4(frame);
  }
  return frame;
}

Bytes bytes_of(const rte_mbuf* packet) {
  const auto* const bytes = rte_pktmbuf_mtod(packet, const std::uint8_t*);
  return {bytes, bytes + packet->data_len};
}

bool transport_sum_is_right(const Bytes& frame, const Packet& packet) {
  const bool v4 = packet.tuple.family == Family::v4;
  const std::span<const std::uint8_t> tcp = std::span(frame).subspan(packet.l4_offset);
  std::uint64_t sum = classifier::kProtocolTcp + tcp.size();
  sum = checksum_add(sum, std::span(packet.tuple.src).first(v4 ? 4 : 16));
  sum = checksum_add(sum, std::span(packet.tuple.dst).first(v4 ? 4 : 16));
  return checksum_finish(checksum_add(sum, tcp)) == 0;
}

class SuperPacket : public testing::Test {
 protected:
  void SetUp() override {
    test::test_eal();
    config::Eal eal = test::test_eal_options();
    eal.mbufs = kBuffers;
    auto pool = BufferPool::make(eal, 1'522);
    ASSERT_TRUE(pool.has_value()) << to_string(pool.error());
    pool_ = *std::move(pool);
  }
  void TearDown() override {
    EXPECT_EQ(rte_mempool_in_use_count(pool_->get()), 0U) << "a buffer is lost";
  }

  /// What it is cut to, or why it is not.
  std::vector<Bytes> cut(const Bytes& frame, std::uint16_t each, std::size_t buffer = kChainBytes) {
    rte_mbuf* const packet = test::chain_of(frame, buffer, each, pool_->get());
    EXPECT_EQ(is_super_packet(packet), each > 0);
    const SegmentBurst burst = cut_super_packet(packet, pool_->get());
    reason_ = burst.reason;
    EXPECT_EQ(burst.count == 0, reason_ != DropReason::none);
    std::vector<Bytes> segments;
    for (rte_mbuf* const segment : std::span(burst.packets).first(burst.count)) {
      EXPECT_EQ(segment->nb_segs, 1U);
      EXPECT_FALSE(is_super_packet(segment));
      segments.push_back(bytes_of(segment));
      rte_pktmbuf_free(segment);
    }
    Bytes after;
    for (const rte_mbuf* part = packet; part != nullptr; part = part->next) {
      const Bytes bytes = bytes_of(part);
      after.insert(after.end(), bytes.begin(), bytes.end());
    }
    EXPECT_EQ(after, frame) << "the packet has changed";
    rte_pktmbuf_free(packet);
    return segments;
  }
  void expect_refused(const Bytes& frame, std::uint16_t each, DropReason reason) {
    EXPECT_TRUE(cut(frame, each).empty());
    EXPECT_EQ(to_string(reason_), to_string(reason));
  }
  void expect_whole(const Case& one);

  std::unique_ptr<BufferPool> pool_;
  DropReason reason_ = DropReason::none;
};

void SuperPacket::expect_whole(const Case& one) {
  const Bytes frame = frame_of(one);
  const std::vector<Bytes> segments = cut(frame, one.each);
  ASSERT_EQ(segments.size(), std::max<std::size_t>((one.payload + one.each - 1) / one.each, 1));
  const std::size_t header = frame.size() - one.payload;
  Bytes together;
  for (std::size_t i = 0; i < segments.size(); ++i) {
    SCOPED_TRACE(i);
    const Bytes& segment = segments[i];
    const bool last = i + 1 == segments.size();
    const Packet packet = parse(segment);
    ASSERT_EQ(to_string(packet.reason), to_string(DropReason::none));
    ASSERT_EQ(segment.size(), last ? frame.size() - i * one.each : header + one.each);
    EXPECT_TRUE(transport_sum_is_right(segment, packet));
    const std::uint8_t* const ip = &segment[packet.l3_offset];
    if (packet.tuple.family == Family::v4) {
      EXPECT_EQ(wire::load16(ip + wire::kIpv4Total), segment.size() - packet.l3_offset);
      EXPECT_EQ(wire::load16(ip + wire::kIpv4Id),
                static_cast<std::uint16_t>(wire::load16(&frame[packet.l3_offset + 4]) + i));
    } else {
      EXPECT_EQ(wire::load16(ip + wire::kIpv6Payload),
                segment.size() - packet.l3_offset - wire::kIpv6Bytes);
    }
    const std::uint8_t* const tcp = &segment[packet.l4_offset];
    EXPECT_EQ(wire::load32(tcp + wire::kTcpSequence),
              static_cast<std::uint32_t>(one.seq + together.size()));
    EXPECT_EQ(wire::load32(tcp + wire::kTcpAcknowledgement), 99U);
    const auto gone =
        static_cast<std::uint8_t>((i == 0 ? 0 : kCwr) | (last ? 0 : test::kFin | test::kPsh));
    EXPECT_EQ(tcp[wire::kTcpFlags], one.flags & ~gone);
    EXPECT_TRUE(std::equal(one.options.begin(), one.options.end(), tcp + wire::kTcpBytes));
    EXPECT_TRUE(std::equal(frame.begin(), frame.begin() + packet.l3_offset, segment.begin()));
    together.insert(
        together.end(), segment.begin() + static_cast<std::ptrdiff_t>(header), segment.end());
  }
  EXPECT_EQ(together, Bytes(frame.begin() + static_cast<std::ptrdiff_t>(header), frame.end()));
}

TEST_F(SuperPacket, IsCutToWhatItsSenderMeant) {
  for (const Ends& ends : {kV4, kV6}) {
    for (const std::size_t payload : {0, 1, 1'447, 1'448, 1'449, 2'896, 10'000, 60'000}) {
      SCOPED_TRACE(payload);
      expect_whole({.ends = ends, .payload = payload});
    }
    expect_whole({.ends = ends, .payload = 65'535 - 40, .each = 536, .options = {}});
    expect_whole({.ends = ends, .payload = 4'321, .each = 100});
  }
}

TEST_F(SuperPacket, KeepsFlagsWhereTheyBelong) {
  for (const std::uint8_t more : {test::kFin, test::kPsh, kCwr}) {
    expect_whole({.flags = static_cast<std::uint8_t>(test::kAck | more)});
  }
  expect_whole({.ends = kV6, .flags = test::kAck | test::kFin | test::kPsh | kCwr});
  expect_whole({.payload = 700, .flags = test::kAck | test::kFin | test::kPsh | kCwr});
}

TEST_F(SuperPacket, CountsPastTheEndOfItsNumbers) {
  expect_whole({.seq = 0xffffff00, .id = 0xfffe});
}

TEST_F(SuperPacket, KeepsWhatLiesAroundIt) {
  expect_whole({.around = {.vlan_types = {0x88a8, 0x8100}}});
  expect_whole({.around = {.ipv4_options = {1, 1, 1, 0}}});
  expect_whole({.ends = kV6, .around = {.extensions = {{60, {0, 0, 1, 4, 0, 0, 0, 0}}}}});
}

TEST_F(SuperPacket, LeavesWhatALinkHasPutBehindIt) {
  const Bytes frame = frame_of({.payload = 2'000});
  Bytes padded = frame;
  padded.resize(frame.size() + 9, 0xee);
  EXPECT_EQ(cut(padded, 1'448), cut(frame, 1'448));
}

TEST_F(SuperPacket, MayLieInBuffersOfAnySize) {
  const Bytes frame = frame_of({.payload = 3'000});
  const std::vector<Bytes> segments = cut(frame, 1'000);
  ASSERT_EQ(segments.size(), 3U);
  for (const std::size_t buffer : {66, 67, 100, 999, 1'000, 1'066, 2'000}) {
    EXPECT_EQ(cut(frame, 1'000, buffer), segments) << buffer;
  }
  // Headers in two buffers: no device does so.
  EXPECT_TRUE(cut(frame, 1'000, 60).empty());
  EXPECT_EQ(reason_, DropReason::invalid_header);
}

TEST_F(SuperPacket, IsRefusedWhereItCannotBeCut) {
  using enum DropReason;
  expect_refused(test::udp_frame(kV4, Bytes(4'000)), 1'000, packet_too_big);
  expect_refused(test::vxlan_frame(kNodes, frame_of({.payload = 4'000})), 1'000, packet_too_big);
  expect_refused(test::cut(frame_of({.payload = 8'000}), 4'000, 1)[0], 1'000, packet_too_big);
  // More segments than there may be, and larger ones than a buffer holds.
  expect_refused(frame_of({.payload = kSegmentsOfPacketMax * 10 + 1}), 10, packet_too_big);
  EXPECT_EQ(cut(frame_of({.payload = kSegmentsOfPacketMax * 10}), 10).size(), kSegmentsOfPacketMax);
  expect_refused(frame_of({.payload = 9'000}), 4'000, packet_too_big);
  // Less is there than its header says; and none of it.
  Bytes begin = frame_of({.payload = 9'000});
  begin.pop_back();
  expect_refused(begin, 1'448, invalid_header);
  expect_refused(Bytes(13), 1'448, invalid_header);
  // No length: a device would not do so.
  EXPECT_TRUE(cut(frame_of({.payload = 4'000}), 0).empty());
  EXPECT_EQ(reason_, packet_too_big);
}

TEST_F(SuperPacket, IsLostWholeWithoutBuffers) {
  const Bytes frame = frame_of({.payload = 14'480});
  const std::size_t chain = (frame.size() + kChainBytes - 1) / kChainBytes;
  for (const std::size_t left : {std::size_t{0}, std::size_t{9}}) {
    std::vector<rte_mbuf*> taken(kBuffers - chain - left);
    std::ranges::generate(taken, [this] { return rte_pktmbuf_alloc(pool_->get()); });
    ASSERT_EQ(std::ranges::count(taken, nullptr), 0);
    expect_refused(frame, 1'448, DropReason::no_memory);
    std::ranges::for_each(taken, rte_pktmbuf_free);
  }
  EXPECT_EQ(cut(frame, 1'448).size(), 10U);
}

}  // namespace
}  // namespace portcullis::dataplane
