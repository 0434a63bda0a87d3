// SPDX-License-Identifier: MIT
// Why a packet was dropped. Spelled as Hubble's drop reasons where the meaning is the same.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace portcullis::dataplane {

enum class DropReason : std::uint8_t {
  none,                    // Not dropped.
  policy_denied,           // No rule allows it (isolation or default).
  policy_deny,             // A rule denies it.
  invalid_header,          // Truncated or malformed Ethernet, VLAN, IP or transport header.
  invalid_ipv6_extension,  // Extension chain too long, malformed or unknown.
  unsupported_l3,          // Not IP, and neither allowed by [non_ip] nor the mode's business.
  first_fragment_missing,  // A later fragment whose first one did not come in time.
  invalid_source,          // Source address a port may not use, multicast, loopback, LAND.
  not_a_new_flow,          // TCP without SYN, ICMP error without flow, ... of no known flow.
  conntrack_full,          // No room for another flow.
  ttl_exceeded,            // Node mode: hop limit reached zero.
  no_route,                // Node mode: nobody has the destination.
  neighbour_unresolved,    // Node mode: the next hop did not answer ARP or ND.
  packet_too_big,          // Larger than the egress port's MTU, or than a buffer.
  no_memory,               // Out of mbufs.
  tx_full,                 // The egress queue took no more.
  fragment_overlap,        // Of a datagram in which fragments overlap, repeat or contradict.
  fragments_full,          // No room to follow its datagram, or to wait for the first fragment.
  tcp_out_of_window,       // TCP of a known flow, with numbers that cannot be its sender's.
  tcp_invalid_reset,       // A RST outside of its receiver's window, or in answer to no SYN of it.
  tunnel_invalid_header,   // A tunnel's own header: truncated, malformed, of another version.
  tunnel_unknown_payload,  // What a tunnel carries is neither Ethernet nor IP.
  tunnel_nested,           // A tunnel inside of a tunnel.
  tunnel_fragmented,       // A tunnel's packet in fragments, of which most have no inner header.
  handover_full,           // The worker that has its flow, or its port, did not keep up.
  conntrack_quota,         // No room for another flow of its namespace.
};
inline constexpr std::size_t kDropReasons = 26;

/// "POLICY_DENIED" and so on.
std::string_view to_string(DropReason reason);

}  // namespace portcullis::dataplane
