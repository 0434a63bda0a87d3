// SPDX-License-Identifier: MIT
// Builds whole frames with right lengths and checksums, for tests, corpora and captures.
// Thread: pure functions. Dies on text that is no address.
#pragma once

#include <cstdint>
#include <string_view>
#include <utility>
#include <vector>

#include "base/ip.h"

namespace portcullis::test {

using Bytes = std::vector<std::uint8_t>;

inline constexpr std::uint8_t kFin = 0x01;
inline constexpr std::uint8_t kSyn = 0x02;
inline constexpr std::uint8_t kRst = 0x04;
inline constexpr std::uint8_t kPsh = 0x08;
inline constexpr std::uint8_t kAck = 0x10;

/// Source and destination; the family is that of the addresses.
struct Ends {
  std::string_view src;
  std::string_view dst;
  std::uint16_t src_port = 0;
  std::uint16_t dst_port = 0;
};
/// The way back.
constexpr Ends turned(const Ends& ends) {
  return {ends.dst, ends.src, ends.dst_port, ends.src_port};
}

/// What lies around the transport header.
struct Around {
  std::vector<std::uint16_t> vlan_types;  // Outermost first: 0x8100, 0x88a8.
  std::uint8_t ttl = 64;
  Bytes ipv4_options;  // A multiple of four.
  /// IPv6 extension headers: each one's protocol number and bytes; its first byte is filled in.
  std::vector<std::pair<std::uint8_t, Bytes>> extensions;
};

/// Any IP packet, in Ethernet.
Bytes ip_frame(const Ends& ends,
               std::uint8_t protocol,
               const Bytes& payload,
               const Around& around = {});

struct Tcp {
  std::uint32_t seq = 0;
  std::uint32_t ack = 0;
  std::uint8_t flags = kAck;
  std::uint16_t window = 0xffff;
  Bytes options;  // A multiple of four.
  std::size_t payload_bytes = 0;
};
Bytes tcp_frame(const Ends& ends, const Tcp& tcp, const Around& around = {});
/// Of a connection in which both ends count from 1000 on, and have sent no more than a SYN.
Bytes tcp_frame(const Ends& ends, std::uint8_t flags, const Around& around = {});
Bytes udp_frame(const Ends& ends, const Bytes& payload = {}, const Around& around = {});
Bytes sctp_frame(const Ends& ends, std::uint8_t chunk_type, const Around& around = {});

struct Icmp {
  std::uint8_t type = 0;
  std::uint8_t code = 0;
  std::uint32_t rest = 0;  // Identifier and sequence number, or MTU.
  Bytes body;
};
/// ICMP or ICMPv6 by the family of the addresses.
Bytes icmp_frame(const Ends& ends, const Icmp& icmp, const Around& around = {});
/// Echo request or reply.
Bytes ping_frame(const Ends& ends, bool reply, std::uint16_t identifier);
/// "Port unreachable" about a frame without VLAN tags, quoting `quoted_bytes` of its IP packet.
Bytes unreachable_frame(const Ends& ends, const Bytes& about, std::size_t quoted_bytes = 48);

Bytes arp_frame(std::uint16_t operation, std::string_view sender, std::string_view target);
/// A neighbour solicitation (135) or advertisement (136), with the link-layer address option.
Bytes nd_frame(std::uint8_t type,
               std::string_view src,
               std::string_view dst,
               std::string_view target);

/// Cuts the IP packet of a frame into fragments, in their order, of `bytes` bytes each and a last
/// one of what is left. IPv6 gets a Fragment header behind its fixed one.
std::vector<Bytes> cut(const Bytes& frame, std::size_t bytes, std::uint32_t id);

/// Writes the IPv4 header checksum anew after a test has changed the header of an untagged frame.
void mend_ipv4(Bytes& frame);

}  // namespace portcullis::test
