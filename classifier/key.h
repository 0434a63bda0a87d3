// SPDX-License-Identifier: MIT
// The flow key that a lookup matches: one packed struct per family.
// Units: every number in host byte order; IPv6 addresses as their 16 network-order bytes.
#pragma once

#include <array>
#include <cstdint>

#include "base/ip.h"

namespace portcullis::classifier {

/// IANA protocol numbers that have meaning of their own here.
inline constexpr std::uint8_t kProtocolIcmp = 1;
inline constexpr std::uint8_t kProtocolTcp = 6;
inline constexpr std::uint8_t kProtocolUdp = 17;
inline constexpr std::uint8_t kProtocolIcmpv6 = 58;
inline constexpr std::uint8_t kProtocolSctp = 132;

/// | src 4 | dst 4 | src_port 2 | dst_port 2 | icmp 2 | protocol 1 | tcp_flags 1 |
/// Ports are 0 for protocols without ports; `icmp` is type << 8 | code, else 0.
struct Key4 {
  std::uint32_t src = 0;
  std::uint32_t dst = 0;
  std::uint16_t src_port = 0;
  std::uint16_t dst_port = 0;
  std::uint16_t icmp = 0;
  std::uint8_t protocol = 0;
  std::uint8_t tcp_flags = 0;

  friend bool operator==(const Key4&, const Key4&) = default;
};
static_assert(sizeof(Key4) == 16);

/// | src 16 | dst 16 | src_port 2 | dst_port 2 | icmp 2 | protocol 1 | tcp_flags 1 |
struct Key6 {
  std::array<std::uint8_t, 16> src{};
  std::array<std::uint8_t, 16> dst{};
  std::uint16_t src_port = 0;
  std::uint16_t dst_port = 0;
  std::uint16_t icmp = 0;
  std::uint8_t protocol = 0;
  std::uint8_t tcp_flags = 0;

  friend bool operator==(const Key6&, const Key6&) = default;
};
static_assert(sizeof(Key6) == 40);

/// A key of either family, for the control path (tests, explain, the oracle).
struct Flow {
  IpAddress src;
  IpAddress dst;
  std::uint8_t protocol = 0;
  std::uint16_t src_port = 0;
  std::uint16_t dst_port = 0;
  std::uint16_t icmp = 0;
  std::uint8_t tcp_flags = 0;
};

/// REQUIRES: both addresses of the flow are of the family asked for.
inline Key4 key4_of(const Flow& flow) {
  return {.src = flow.src.v4(),
          .dst = flow.dst.v4(),
          .src_port = flow.src_port,
          .dst_port = flow.dst_port,
          .icmp = flow.icmp,
          .protocol = flow.protocol,
          .tcp_flags = flow.tcp_flags};
}
inline Key6 key6_of(const Flow& flow) {
  return {.src = flow.src.bytes,
          .dst = flow.dst.bytes,
          .src_port = flow.src_port,
          .dst_port = flow.dst_port,
          .icmp = flow.icmp,
          .protocol = flow.protocol,
          .tcp_flags = flow.tcp_flags};
}

}  // namespace portcullis::classifier
