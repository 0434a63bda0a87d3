// SPDX-License-Identifier: MIT
// TcpSegment: what a TCP header says of sequence numbers, read from the frame where it is needed.
// Thread: any; pure functions on bytes. Units: numbers in host byte order, modulo 2^32.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>

#include "dataplane/packet/headers.h"
#include "dataplane/packet/packet.h"

namespace portcullis::dataplane {

struct TcpSegment {
  std::uint32_t seq = 0;
  std::uint32_t ack = 0;
  std::uint32_t length = 0;  // Of the payload.
  std::uint16_t window = 0;  // As it stands in the header.
  std::uint8_t flags = 0;
  std::uint8_t scale = 0;  // Of a SYN only: the shift it offers, or kNoScale.

  static constexpr std::uint8_t kNoScale = 15;

  [[nodiscard]] bool has(std::uint8_t flag) const { return (flags & flag) != 0; }
  /// SYN and FIN count as a byte each.
  [[nodiscard]] std::uint32_t end() const {
    return seq + length + (has(wire::kTcpSyn) ? 1U : 0U) + (has(wire::kTcpFin) ? 1U : 0U);
  }
};

/// The window scale that the options of a SYN offer. `whole`: they are all here; else what is not
/// seen may offer the largest.
std::uint8_t offered_scale(std::span<const std::uint8_t> options, bool whole) noexcept;

/// REQUIRES: `packet` is what parse() made of `frame`, TCP of kind flow, with an l4_offset.
/// The length is what IP says, so that a super-packet of TSO or GRO counts in full. A first
/// fragment does not know how long its datagram is: it counts as the longest that there may be.
inline TcpSegment read_segment(std::span<const std::uint8_t> frame, const Packet& packet) noexcept {
  constexpr std::uint32_t kLongestDatagram = 65'535;
  const std::uint8_t* const ip = frame.data() + packet.l3_offset;
  const std::uint8_t* const tcp = frame.data() + packet.l4_offset;
  const std::uint32_t header = std::uint32_t{tcp[wire::kTcpOffset]} >> 4U << 2U;
  const std::uint32_t before = packet.l4_offset - std::uint32_t{packet.l3_offset} + header;
  const std::uint32_t total = packet.tuple.family == Family::v4
                                  ? wire::load16(ip + wire::kIpv4Total)
                                  : wire::kIpv6Bytes + wire::load16(ip + wire::kIpv6Payload);
  TcpSegment segment{.seq = wire::load32(tcp + wire::kTcpSequence),
                     .ack = wire::load32(tcp + wire::kTcpAcknowledgement),
                     .length = packet.fragmented ? kLongestDatagram : total - before,
                     .window = wire::load16(tcp + wire::kTcpWindow),
                     .flags = packet.tcp_flags};
  if (segment.has(wire::kTcpSyn)) [[unlikely]] {
    const std::size_t begin = packet.l4_offset + wire::kTcpBytes;
    const std::size_t end = std::min<std::size_t>(packet.l4_offset + header, frame.size());
    segment.scale =
        offered_scale(frame.subspan(begin, end - begin), packet.l4_offset + header <= frame.size());
  }
  return segment;
}

}  // namespace portcullis::dataplane
