// SPDX-License-Identifier: MIT
// Nearly all packets are plain, and a handful of words tells that one is: untagged, IPv4 without
// options, whole, from one host to another, UDP or TCP in mid-connection. parse() asks here first;
// what is not plain, for good or ill, it reads with care.
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

}  // namespace plain_detail

/// True: the frame is plain, and `packet`, which must be as it is born, is what parse() says of it.
inline bool read_plain(std::span<const std::uint8_t> frame, Packet& packet) noexcept {
  constexpr std::uint8_t kIpv4NoOptions = 0x45;
  constexpr std::size_t kL4 = wire::kEthernetBytes + wire::kIpv4Bytes;
  if (frame.size() < kL4 + wire::kUdpBytes) {
    return false;
  }
  const std::uint8_t* const ip = frame.data() + wire::kEthernetBytes;
  const std::uint8_t* const l4 = frame.data() + kL4;
  constexpr std::uint32_t kFragmentBits = wire::kIpv4MoreFragments | wire::kIpv4OffsetMask;
  const std::size_t total = wire::load16(ip + wire::kIpv4Total);
  if (wire::load16(ip - 2) != wire::kTypeIpv4 || ip[0] != kIpv4NoOptions ||
      (wire::load16(ip + wire::kIpv4Fragment) & kFragmentBits) != 0 ||
      total > frame.size() - wire::kEthernetBytes || !plain_detail::is_host4(ip + wire::kIpv4Src) ||
      !plain_detail::is_host4(ip + wire::kIpv4Dst) || !plain_detail::header_holds(ip)) {
    return false;
  }
  const std::uint8_t protocol = ip[wire::kIpv4Protocol];
  if (protocol == classifier::kProtocolUdp) {
    const std::size_t length = wire::load16(l4 + wire::kUdpLength);
    if (length < wire::kUdpBytes || length + wire::kIpv4Bytes > total) {
      return false;
    }
  } else if (protocol == classifier::kProtocolTcp) {
    constexpr std::uint8_t kEventFlags =
        wire::kTcpFin | wire::kTcpSyn | wire::kTcpRst | wire::kTcpAck | wire::kTcpUrg;
    if (total < wire::kIpv4Bytes + wire::kTcpBytes) {
      return false;
    }
    const std::size_t header = std::size_t{l4[wire::kTcpOffset]} >> 4U << 2U;
    packet.tcp_flags = l4[wire::kTcpFlags];
    if (header < wire::kTcpBytes || header + wire::kIpv4Bytes > total ||
        (packet.tcp_flags & kEventFlags) != wire::kTcpAck) {
      return false;
    }
  } else {
    return false;
  }
  packet.kind = Packet::Kind::flow;
  packet.reason = DropReason::none;
  packet.l4_offset = kL4;
  packet.l3_offset = wire::kEthernetBytes;
  packet.tuple = {.src = plain_detail::load_address4(ip + wire::kIpv4Src),
                  .dst = plain_detail::load_address4(ip + wire::kIpv4Dst),
                  .src_port = wire::load16(l4),
                  .dst_port = wire::load16(l4 + 2),
                  .protocol = protocol,
                  .family = Family::v4};
  packet.source = plain_detail::load_address4(ip + wire::kIpv4Src);
  return true;
}

}  // namespace portcullis::dataplane
