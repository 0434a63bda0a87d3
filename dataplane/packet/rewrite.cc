// SPDX-License-Identifier: MIT
#include "dataplane/packet/rewrite.h"

#include <algorithm>
#include <array>

#include "classifier/key.h"
#include "dataplane/packet/checksum.h"
#include "dataplane/packet/headers.h"

namespace portcullis::dataplane {
namespace {

/// Hops that a packet of our own may travel.
constexpr std::uint8_t kOwnHopLimit = 64;

bool is_v4(const std::uint8_t* ip) {
  return ip[0] >> 4U == 4;
}

IpAddress address_at(const std::uint8_t* ip, std::size_t v4_offset, std::size_t v6_offset) {
  IpAddress address{.family = is_v4(ip) ? Family::v4 : Family::v6};
  if (is_v4(ip)) {
    std::copy_n(ip + v4_offset, 4, address.bytes.begin());
  } else {
    std::copy_n(ip + v6_offset, 16, address.bytes.begin());
  }
  return address;
}

/// RFC 1624, equation 3: HC' = ~(~HC + ~m + m').
void update_checksum(std::uint8_t* at, std::uint16_t before, std::uint16_t after) {
  std::uint32_t sum =
      (~std::uint32_t{wire::load16(at)} & 0xffffU) + (~std::uint32_t{before} & 0xffffU) + after;
  sum = (sum & 0xffffU) + (sum >> 16U);
  sum = (sum & 0xffffU) + (sum >> 16U);
  wire::store16(at, ~sum & 0xffffU);
}

}  // namespace

IpAddress source_of(std::span<const std::uint8_t> frame, std::size_t l3_offset) noexcept {
  return address_at(frame.data() + l3_offset, wire::kIpv4Src, wire::kIpv6Src);
}

IpAddress destination_of(std::span<const std::uint8_t> frame, std::size_t l3_offset) noexcept {
  return address_at(frame.data() + l3_offset, wire::kIpv4Dst, wire::kIpv6Dst);
}

std::uint8_t hop_limit(std::span<const std::uint8_t> frame, std::size_t l3_offset) noexcept {
  const std::uint8_t* ip = frame.data() + l3_offset;
  return ip[is_v4(ip) ? wire::kIpv4Ttl : wire::kIpv6HopLimit];
}

void decrement_hop_limit(std::span<std::uint8_t> frame, std::size_t l3_offset) noexcept {
  std::uint8_t* ip = frame.data() + l3_offset;
  if (!is_v4(ip)) {
    --ip[wire::kIpv6HopLimit];
    return;
  }
  const std::uint16_t before = wire::load16(ip + wire::kIpv4Ttl);  // With the protocol.
  --ip[wire::kIpv4Ttl];
  update_checksum(ip + wire::kIpv4Checksum, before, wire::load16(ip + wire::kIpv4Ttl));
}

void set_macs(std::span<std::uint8_t> frame,
              const MacAddress& to,
              const MacAddress& from) noexcept {
  std::copy(to.begin(), to.end(), frame.begin());
  std::copy(from.begin(), from.end(), frame.begin() + wire::kMacBytes);
}

bool turn_echo_around(std::span<std::uint8_t> frame, std::size_t l3_offset) noexcept {
  std::uint8_t* ip = frame.data() + l3_offset;
  const bool v4 = is_v4(ip);
  const std::uint8_t protocol = ip[v4 ? wire::kIpv4Protocol : wire::kIpv6Next];
  if (protocol != (v4 ? classifier::kProtocolIcmp : classifier::kProtocolIcmpv6)) {
    return false;
  }
  constexpr std::uint16_t kFragmentBits = wire::kIpv4MoreFragments | wire::kIpv4OffsetMask;
  if (v4 && (wire::load16(ip + wire::kIpv4Fragment) & kFragmentBits) != 0) {
    return false;  // In later ones there is no ICMP header to turn.
  }
  std::uint8_t* icmp = ip + (v4 ? (ip[0] & 0x0fU) * 4U : wire::kIpv6Bytes);
  if (icmp[0] != (v4 ? wire::kIcmpEcho : wire::kIcmpv6Echo)) {
    return false;
  }
  const std::uint16_t before = wire::load16(icmp);
  icmp[0] = v4 ? wire::kIcmpEchoReply : wire::kIcmpv6EchoReply;
  update_checksum(icmp + 2, before, wire::load16(icmp));
  // Swapped addresses leave every sum as it was.
  const std::size_t src = v4 ? wire::kIpv4Src : wire::kIpv6Src;
  const std::size_t bytes = v4 ? 4 : 16;
  std::swap_ranges(ip + src, ip + src + bytes, ip + src + bytes);
  std::swap_ranges(frame.begin(), frame.begin() + wire::kMacBytes, frame.begin() + wire::kMacBytes);
  if (v4) {
    ip[wire::kIpv4Ttl] = kOwnHopLimit;
    wire::store16(ip + wire::kIpv4Checksum, 0);
    const std::span<const std::uint8_t> header(ip, (ip[0] & 0x0fU) * 4U);
    wire::store16(ip + wire::kIpv4Checksum, checksum_finish(checksum_add(0, header)));
  } else {
    ip[wire::kIpv6HopLimit] = kOwnHopLimit;
  }
  return true;
}

}  // namespace portcullis::dataplane
