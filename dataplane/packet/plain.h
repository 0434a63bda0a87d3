// SPDX-License-Identifier: MIT
// Nearly all packets are plain, and a handful of words tells that one is: untagged, IP without
// options or extension headers, whole, from one host to another, UDP or TCP in mid-connection.
// parse() asks here first; what is not plain, for good or ill, it reads with care.
// Thread: any; a pure function on bytes.
#pragma once

#include <array>
#include <bit>
#include <cstdint>
#include <cstring>
#include <span>

#include "dataplane/packet/headers.h"
#include "dataplane/packet/packet.h"

namespace portcullis::dataplane {

namespace plain_detail {

/// All 16 bytes at once: whoever reads them in words soon after finds them in one piece.
inline AddressBytes load_address4(const std::uint8_t* at) noexcept {
  std::uint32_t word = 0;
  std::memcpy(&word, at, sizeof word);
  return std::bit_cast<AddressBytes>(std::array<std::uint32_t, 4>{word, 0, 0, 0});
}

/// Neither 0/8 nor 127/8, which stay in a host, nor a group, nor reserved.
inline bool is_host4(const std::uint8_t* address) noexcept {
  constexpr unsigned kGroups = 224;
  constexpr unsigned kLoopback = 127;
  return address[0] - 1U < kGroups - 1 && address[0] != kLoopback;
}

/// The checksum of 20 bytes, which is the same in either byte order.
inline bool header_holds(const std::uint8_t* ip) noexcept {
  std::uint64_t sum = 0;
  for (std::size_t i = 0; i < wire::kIpv4Bytes; i += sizeof(std::uint32_t)) {
    std::uint32_t word = 0;
    std::memcpy(&word, ip + i, sizeof word);
    sum += word;
  }
  sum = (sum & 0xffffU) + ((sum >> 16U) & 0xffffU) + (sum >> 32U);
  return (sum & 0xffffU) + (sum >> 16U) == 0xffffU;
}

/// Neither a group nor in ::/64, where nobody's addresses are: unspecified, loopback, IPv4-mapped.
inline bool is_host6(const std::uint8_t* address) noexcept {
  constexpr std::uint8_t kGroups = 0xff;
  std::uint64_t network = 0;
  std::memcpy(&network, address, sizeof network);
  return network != 0 && address[0] != kGroups;
}

inline AddressBytes load_address6(const std::uint8_t* at) noexcept {
  AddressBytes bytes;
  std::memcpy(bytes.data(), at, bytes.size());
  return bytes;
}

/// Whether what IP carries is plain: `size` bytes by what it says, of which a UDP header at least
/// can be read.
inline bool is_plain_transport(std::uint8_t protocol,
                               const std::uint8_t* l4,
                               std::size_t size) noexcept {
  if (protocol == classifier::kProtocolUdp) {
    const std::size_t length = wire::load16(l4 + wire::kUdpLength);
    return length >= wire::kUdpBytes && length <= size;
  }
  constexpr std::uint8_t kEventFlags =
      wire::kTcpFin | wire::kTcpSyn | wire::kTcpRst | wire::kTcpAck | wire::kTcpUrg;
  if (protocol != classifier::kProtocolTcp || size < wire::kTcpBytes) {
    return false;
  }
  const std::size_t header = std::size_t{l4[wire::kTcpOffset]} >> 4U << 2U;
  return header >= wire::kTcpBytes && header <= size &&
         (l4[wire::kTcpFlags] & kEventFlags) == wire::kTcpAck;
}

/// The packet but for its addresses and family. REQUIRES: is_plain_transport().
inline void take_transport(std::uint8_t protocol, const std::uint8_t* l4, Packet& packet) noexcept {
  packet.kind = Packet::Kind::flow;
  packet.reason = DropReason::none;
  packet.tcp_flags = protocol == classifier::kProtocolTcp ? l4[wire::kTcpFlags] : std::uint8_t{0};
  packet.tuple.src_port = wire::load16(l4);
  packet.tuple.dst_port = wire::load16(l4 + 2);
  packet.tuple.protocol = protocol;
}

inline bool read_plain4(std::span<const std::uint8_t> frame, Packet& packet) noexcept {
  constexpr std::uint8_t kNoOptions = 0x45;
  constexpr std::uint32_t kFragmentBits = wire::kIpv4MoreFragments | wire::kIpv4OffsetMask;
  constexpr std::size_t kL4 = wire::kEthernetBytes + wire::kIpv4Bytes;
  const std::uint8_t* const ip = frame.data() + wire::kEthernetBytes;
  const std::size_t total = wire::load16(ip + wire::kIpv4Total);
  const std::uint8_t protocol = ip[wire::kIpv4Protocol];
  if (ip[0] != kNoOptions || (wire::load16(ip + wire::kIpv4Fragment) & kFragmentBits) != 0 ||
      total > frame.size() - wire::kEthernetBytes || total < wire::kIpv4Bytes ||
      !is_host4(ip + wire::kIpv4Src) || !is_host4(ip + wire::kIpv4Dst) || !header_holds(ip) ||
      !is_plain_transport(protocol, frame.data() + kL4, total - wire::kIpv4Bytes)) {
    return false;
  }
  take_transport(protocol, frame.data() + kL4, packet);
  packet.l4_offset = kL4;
  packet.l3_offset = wire::kEthernetBytes;
  packet.tuple.family = Family::v4;
  packet.tuple.src = load_address4(ip + wire::kIpv4Src);
  packet.tuple.dst = load_address4(ip + wire::kIpv4Dst);
  packet.source = load_address4(ip + wire::kIpv4Src);
  return true;
}

inline bool read_plain6(std::span<const std::uint8_t> frame, Packet& packet) noexcept {
  constexpr std::uint8_t kVersion = 6;
  constexpr std::size_t kL4 = wire::kEthernetBytes + wire::kIpv6Bytes;
  const std::uint8_t* const ip = frame.data() + wire::kEthernetBytes;
  if (frame.size() < kL4 + wire::kUdpBytes) {
    return false;
  }
  const std::size_t size = wire::load16(ip + wire::kIpv6Payload);
  const std::uint8_t protocol = ip[wire::kIpv6Next];
  if (ip[0] >> 4U != kVersion || size > frame.size() - kL4 || !is_host6(ip + wire::kIpv6Src) ||
      !is_host6(ip + wire::kIpv6Dst) || !is_plain_transport(protocol, frame.data() + kL4, size)) {
    return false;
  }
  take_transport(protocol, frame.data() + kL4, packet);
  packet.l4_offset = kL4;
  packet.l3_offset = wire::kEthernetBytes;
  packet.tuple.family = Family::v6;
  packet.tuple.src = load_address6(ip + wire::kIpv6Src);
  packet.tuple.dst = load_address6(ip + wire::kIpv6Dst);
  packet.source = load_address6(ip + wire::kIpv6Src);
  return true;
}

}  // namespace plain_detail

/// True: the frame is plain, and `packet`, which must be as it is born, is what parse() says of it.
/// Else the packet still is as it was.
inline bool read_plain(std::span<const std::uint8_t> frame, Packet& packet) noexcept {
  if (frame.size() < wire::kEthernetBytes + wire::kIpv4Bytes + wire::kUdpBytes) {
    return false;
  }
  switch (wire::load16(frame.data() + wire::kEthernetBytes - 2)) {
    case wire::kTypeIpv4:
      return plain_detail::read_plain4(frame, packet);
    case wire::kTypeIpv6:
      return plain_detail::read_plain6(frame, packet);
    default:
      return false;
  }
}

}  // namespace portcullis::dataplane
