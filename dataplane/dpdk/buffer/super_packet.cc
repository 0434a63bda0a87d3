// SPDX-License-Identifier: MIT
#include "dataplane/dpdk/buffer/super_packet.h"

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <span>

#include "classifier/key.h"
#include "dataplane/dpdk/tsan.h"
#include "dataplane/packet/checksum.h"
#include "dataplane/packet/headers.h"
#include "dataplane/packet/parse.h"

namespace portcullis::dataplane {
namespace {

/// What all segments have in common.
struct Plan {
  std::span<const std::uint8_t> headers;  // From Ethernet to TCP's options.
  std::size_t l3_offset = 0;
  std::size_t l4_offset = 0;
  std::size_t payload = 0;  // Bytes of all of them behind the headers.
  std::size_t each = 0;     // Bytes of any but the last.
  std::size_t count = 0;

  [[nodiscard]] bool is_v4() const { return headers[l3_offset] >> 4U == 4; }
};

std::size_t ip_bytes(std::span<const std::uint8_t> frame, std::size_t l3_offset) {
  const std::uint8_t* const ip = &frame[l3_offset];
  return ip[0] >> 4U == 4 ? wire::load16(ip + wire::kIpv4Total)
                          : wire::kIpv6Bytes + wire::load16(ip + wire::kIpv6Payload);
}

/// `plan.count` is 0 where it is not to be cut.
DropReason make_plan(const rte_mbuf* packet, std::size_t room, Plan& plan) {
  const std::span<const std::uint8_t> begin(rte_pktmbuf_mtod(packet, const std::uint8_t*),
                                            packet->data_len);
  const Packet read = parse(begin, packet->pkt_len);
  if (read.reason != DropReason::none) {
    return read.reason;
  }
  if (read.kind != Packet::Kind::flow || read.tuple.protocol != classifier::kProtocolTcp ||
      read.fragmented || packet->tso_segsz == 0) {
    return DropReason::packet_too_big;
  }
  const std::size_t tcp = begin[read.l4_offset + wire::kTcpOffset] >> 4U << 2U;
  const std::size_t header = read.l4_offset + tcp;
  if (header > begin.size()) {
    return DropReason::invalid_header;
  }
  plan.headers = begin.first(header);
  plan.l3_offset = read.l3_offset;
  plan.l4_offset = read.l4_offset;
  plan.payload = read.l3_offset + ip_bytes(begin, read.l3_offset) - header;
  plan.each = packet->tso_segsz;
  const std::size_t count = std::max<std::size_t>((plan.payload + plan.each - 1) / plan.each, 1);
  if (count > kSegmentsOfPacketMax || header + std::min(plan.each, plan.payload) > room) {
    return DropReason::packet_too_big;
  }
  plan.count = count;
  return DropReason::none;
}

/// Writes what tells the `i`-th segment from the others, and then the checksums.
void finish(std::span<std::uint8_t> frame, std::size_t i, const Plan& plan) {
  const std::span<std::uint8_t> ip = frame.subspan(plan.l3_offset);
  const std::span<std::uint8_t> tcp = frame.subspan(plan.l4_offset);
  std::uint64_t pseudo = classifier::kProtocolTcp + tcp.size();
  if (plan.is_v4()) {
    const std::span<std::uint8_t> header = ip.first(plan.l4_offset - plan.l3_offset);
    wire::store16(&ip[wire::kIpv4Total], static_cast<std::uint32_t>(ip.size()));
    wire::store16(&ip[wire::kIpv4Id],
                  static_cast<std::uint32_t>(wire::load16(&ip[wire::kIpv4Id]) + i));
    wire::store16(&ip[wire::kIpv4Checksum], 0);
    wire::store16(&ip[wire::kIpv4Checksum], checksum_finish(checksum_add(0, header)));
    pseudo = checksum_add(pseudo, ip.subspan(wire::kIpv4Src, 8));
  } else {
    wire::store16(&ip[wire::kIpv6Payload],
                  static_cast<std::uint32_t>(ip.size() - wire::kIpv6Bytes));
    pseudo = checksum_add(pseudo, ip.subspan(wire::kIpv6Src, 32));
  }
  const std::uint32_t sequence = wire::load32(&tcp[wire::kTcpSequence]);
  wire::store32(&tcp[wire::kTcpSequence], sequence + static_cast<std::uint32_t>(i * plan.each));
  unsigned gone = i == 0 ? 0U : wire::kTcpCwr;
  gone |= i + 1 == plan.count ? 0U : wire::kTcpFin | wire::kTcpPsh;
  tcp[wire::kTcpFlags] &= static_cast<std::uint8_t>(~gone);
  wire::store16(&tcp[wire::kTcpChecksum], 0);
  wire::store16(&tcp[wire::kTcpChecksum], checksum_finish(checksum_add(pseudo, tcp)));
}

void fill(rte_mbuf* segment, const rte_mbuf* packet, std::size_t i, const Plan& plan) {
  const std::size_t header = plan.headers.size();
  const std::size_t from = i * plan.each;
  const std::size_t bytes = std::min(plan.each, plan.payload - from);
  auto* const frame = reinterpret_cast<std::uint8_t*>(
      rte_pktmbuf_append(segment, static_cast<std::uint16_t>(header + bytes)));
  std::copy(plan.headers.begin(), plan.headers.end(), frame);
  if (bytes > 0) {
    // Copies only what lies in several buffers, and else says where it lies.
    const void* const lies = rte_pktmbuf_read(packet,
                                              static_cast<std::uint32_t>(header + from),
                                              static_cast<std::uint32_t>(bytes),
                                              frame + header);
    if (lies != frame + header) {
      std::memcpy(frame + header, lies, bytes);
    }
  }
  finish({frame, header + bytes}, i, plan);
}

}  // namespace

SegmentBurst cut_super_packet(const rte_mbuf* packet, rte_mempool* pool) noexcept {
  SegmentBurst burst;
  Plan plan;
  const std::size_t room = rte_pktmbuf_data_room_size(pool) - std::size_t{RTE_PKTMBUF_HEADROOM};
  burst.reason = make_plan(packet, room, plan);
  if (burst.reason != DropReason::none) {
    return burst;
  }
  const auto count = static_cast<unsigned>(plan.count);
  if (rte_pktmbuf_alloc_bulk(pool, burst.packets.data(), count) != 0) {
    burst.reason = DropReason::no_memory;
    return burst;
  }
  burst.count = plan.count;
  for (std::size_t i = 0; i < plan.count; ++i) {
    tsan_acquire(burst.packets[i]);
    fill(burst.packets[i], packet, i, plan);
  }
  return burst;
}

}  // namespace portcullis::dataplane
