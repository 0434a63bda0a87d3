// SPDX-License-Identifier: MIT
// Builds the frames that a router itself sends: ARP, neighbour discovery, ICMP errors, resets.
// Thread: any; pure functions on bytes, no clock: limiting the rate is the caller's business.
// Shapes: each writes one whole frame (without FCS, padded to kFrameBytesMin) to `out` and returns
//         its length, or 0 where nothing may be sent. `out` holds at least kResponseBytesMax.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "base/ip.h"
#include "dataplane/packet/neighbour.h"

namespace portcullis::dataplane {

inline constexpr std::size_t kFrameBytesMin = 60;
/// An ICMPv6 error fills the least IPv6 MTU; Ethernet and two VLAN tags come before it.
inline constexpr std::size_t kResponseBytesMax = 1280 + 14 + 2 * 4;

/// Who speaks: the MAC of the port and an address of ours.
struct Speaker {
  MacAddress mac{};
  IpAddress address;
};

/// Answers an ARP request with "`request.target` is at `mac`", to the asker. `frame` is the
/// request; its VLAN tags are kept. 0 when it is no ARP request.
std::size_t arp_reply(std::span<const std::uint8_t> frame,
                      std::size_t l3_offset,
                      const MacAddress& mac,
                      std::span<std::uint8_t> out) noexcept;
/// Broadcasts "who has `target`?". REQUIRES: IPv4 addresses.
std::size_t arp_request(const Speaker& speaker,
                        const IpAddress& target,
                        std::span<std::uint8_t> out) noexcept;

/// Answers a neighbour solicitation; to all nodes when it was duplicate address detection.
/// 0 when it is no neighbour solicitation.
std::size_t neighbour_advertisement(std::span<const std::uint8_t> frame,
                                    std::size_t l3_offset,
                                    const MacAddress& mac,
                                    std::span<std::uint8_t> out) noexcept;
/// Multicasts "who has `target`?" to its solicited-node group. REQUIRES: IPv6 addresses.
std::size_t neighbour_solicitation(const Speaker& speaker,
                                   const IpAddress& target,
                                   std::span<std::uint8_t> out) noexcept;

/// ICMP or ICMPv6, by the family of the offending packet.
enum class IcmpError : std::uint8_t {
  time_exceeded,        // Hop limit reached zero in transit.
  network_unreachable,  // No route.
  host_unreachable,     // The next hop does not answer.
  admin_prohibited,     // Policy.
  packet_too_big,       // IPv4: fragmentation needed.
};

/// Who sends an error. The address is of the family of the offending packet.
struct ErrorSource {
  Speaker speaker;
  std::uint16_t mtu = 0;  // Written for packet_too_big only.
};

/// An error back to the sender of `frame`, quoting it.
/// 0 where RFC 1812 and RFC 4443 forbid an error: about an ICMP error, to a multicast or broadcast
/// frame or address, to a source that is not one host, about a later fragment. Neither is one sent
/// about a packet in a tunnel, to whose end we could not speak.
std::size_t icmp_error(std::span<const std::uint8_t> frame,
                       std::size_t l3_offset,
                       IcmpError error,
                       const ErrorSource& source,
                       std::span<std::uint8_t> out) noexcept;

/// A reset to the sender of a TCP segment, from the end that it was sent to: RFC 9293, 3.5.2.
/// 0 where icmp_error() would be, to a reset, and about fragments, whose length is not known.
std::size_t tcp_reset(std::span<const std::uint8_t> frame,
                      std::size_t l3_offset,
                      std::span<std::uint8_t> out) noexcept;

/// What tells the sender of a denied packet so, from the end that it was sent to: a reset to TCP,
/// an error of "administratively prohibited" to all else.
std::size_t rejection(std::span<const std::uint8_t> frame,
                      std::size_t l3_offset,
                      std::span<std::uint8_t> out) noexcept;

}  // namespace portcullis::dataplane
