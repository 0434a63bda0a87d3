// SPDX-License-Identifier: MIT
#include "dataplane/packet/parse.h"

#include <algorithm>
#include <cstring>

#include "base/limits.h"
#include "dataplane/packet/checksum.h"
#include "dataplane/packet/fragment.h"
#include "dataplane/packet/headers.h"
#include "dataplane/packet/transport.h"

namespace portcullis::dataplane {
namespace {

using enum DropReason;
using Kind = Packet::Kind;

/// A frame as its layers see it: `length` counts the bytes on the wire, of which the first
/// `captured` lie at `data`.
using Bytes = Payload;

Bytes from(Bytes bytes, std::size_t offset) {
  return {bytes.data + offset, bytes.captured - offset, bytes.length - offset};
}

// --- IPv4 ------------------------------------------------------------------------------------

constexpr std::uint32_t kBroadcast4 = 0xffffffff;

bool is_multicast4(std::uint32_t address) {
  return address >> 28U == 0xe;
}

/// 0/8 and 127/8 never leave a host.
bool stays_in_host4(std::uint32_t address) {
  return address >> 24U == 0 || address >> 24U == 127;
}

/// A source route leads the packet to another destination than the one that policy judges.
bool has_source_route(std::span<const std::uint8_t> options) {
  std::size_t i = 0;
  while (i < options.size() && options[i] != wire::kOptionEnd) {
    if (options[i] == wire::kOptionNop) {
      ++i;
      continue;
    }
    if (options[i] == wire::kOptionLooseRoute || options[i] == wire::kOptionStrictRoute) {
      return true;
    }
    if (i + 1 >= options.size() || options[i + 1] < 2) {
      return true;  // A malformed option hides what follows it.
    }
    i += options[i + 1];
  }
  return false;
}

bool is_dhcp_request(const Packet& packet, std::uint32_t dst) {
  return packet.tuple.protocol == classifier::kProtocolUdp && dst == kBroadcast4 &&
         packet.tuple.src_port == wire::kDhcpClientPort &&
         packet.tuple.dst_port == wire::kDhcpServerPort;
}

DropReason check_addresses4(std::uint32_t src, std::uint32_t dst) {
  if ((stays_in_host4(src) && src != 0) || src >> 28U >= 0xe) {
    return invalid_source;
  }
  const bool reserved = dst >> 28U == 0xf && dst != kBroadcast4;
  return stays_in_host4(dst) || reserved ? invalid_header : none;
}

DropReason finish_ipv4(Payload payload, bool is_link_local, Packet& packet) {
  const std::uint32_t src = v4_of(packet.tuple.src);
  const std::uint32_t dst = v4_of(packet.tuple.dst);
  const bool to_many = is_multicast4(dst) || dst == kBroadcast4;
  if (packet.tuple.protocol == wire::kProtocolIgmp && is_multicast4(dst) && is_link_local) {
    packet.kind = Kind::link;
    return none;
  }
  const DropReason reason = read_transport(payload, packet);
  if (reason != none) {
    return reason;
  }
  if (src == 0 && !is_dhcp_request(packet, dst)) {
    return invalid_source;
  }
  if (to_many) {
    if (packet.answer || packet.kind == Kind::related) {
      return not_a_new_flow;
    }
    packet.kind = Kind::stateless;
  }
  return none;
}

/// Fragments are never the link's business: hosts that join groups have no need of them.
DropReason finish_fragment4(const std::uint8_t* ip, Payload payload, Packet& packet) {
  const Fragment fragment = read_fragment4(ip);
  if (!fragment.well_formed) {
    return invalid_header;
  }
  packet.fragmented = true;
  if (!fragment.is_first()) {
    packet.kind = Kind::fragment;
    packet.l4_offset = 0;
    return v4_of(packet.source) == 0 ? invalid_source : none;
  }
  return finish_ipv4(payload, false, packet);
}

DropReason parse_ipv4(Bytes ip, Packet& packet) {
  if (ip.captured < wire::kIpv4Bytes || ip.data[0] >> 4U != 4) {
    return invalid_header;
  }
  const std::size_t header = (ip.data[0] & 0xfU) * std::size_t{4};
  const std::size_t total = wire::load16(ip.data + wire::kIpv4Total);
  if (header < wire::kIpv4Bytes || header > ip.captured || total < header || total > ip.length) {
    return invalid_header;
  }
  if (checksum_finish(checksum_add(0, {ip.data, header})) != 0) {
    return invalid_header;
  }
  const std::span options(ip.data + wire::kIpv4Bytes, header - wire::kIpv4Bytes);
  if (!options.empty() && has_source_route(options)) {
    return invalid_header;
  }
  packet.tuple.family = Family::v4;
  packet.tuple.protocol = ip.data[wire::kIpv4Protocol];
  std::memcpy(packet.tuple.src.data(), ip.data + wire::kIpv4Src, 4);
  std::memcpy(packet.tuple.dst.data(), ip.data + wire::kIpv4Dst, 4);
  packet.source = packet.tuple.src;
  const DropReason reason = check_addresses4(v4_of(packet.tuple.src), v4_of(packet.tuple.dst));
  if (reason != none) {
    return reason;
  }
  constexpr std::uint32_t kFragmentBits = wire::kIpv4MoreFragments | wire::kIpv4OffsetMask;
  const Payload payload{ip.data + header, std::min(ip.captured, total) - header, total - header};
  packet.l4_offset = static_cast<std::uint16_t>(packet.l3_offset + header);
  if ((wire::load16(ip.data + wire::kIpv4Fragment) & kFragmentBits) != 0) [[unlikely]] {
    return finish_fragment4(ip.data, payload, packet);
  }
  return finish_ipv4(payload, ip.data[wire::kIpv4Ttl] == 1, packet);
}

// --- IPv6 ------------------------------------------------------------------------------------

bool is_multicast6(const AddressBytes& address) {
  return address[0] == 0xff;
}
bool is_link_local6(const AddressBytes& address) {
  return address[0] == 0xfe && (address[1] & 0xc0U) == 0x80;
}
bool is_unspecified6(const AddressBytes& address) {
  return address == AddressBytes{};
}

/// ::1, and IPv4-mapped addresses, which a host would take for another family's.
bool stays_in_host6(const AddressBytes& address) {
  constexpr AddressBytes kLoopback{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1};
  constexpr std::array<std::uint8_t, 12> kMapped{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
  return address == kLoopback || std::equal(kMapped.begin(), kMapped.end(), address.begin());
}

DropReason check_addresses6(const AddressBytes& src, const AddressBytes& dst) {
  if (is_multicast6(src) || stays_in_host6(src)) {
    return invalid_source;
  }
  return is_unspecified6(dst) || stays_in_host6(dst) ? invalid_header : none;
}

/// Neighbour discovery proves by hop limit 255 that no router forwarded it.
DropReason check_discovery(Payload payload, std::uint8_t hop_limit, const Packet& packet) {
  const std::uint8_t type = payload.data[0];
  const bool about_neighbour =
      type == wire::kNdNeighbourSolicitation || type == wire::kNdNeighbourAdvertisement;
  const std::size_t least = about_neighbour ? wire::kNdBytes : wire::kIcmpBytes;
  if (payload.captured < least || payload.data[1] != 0 || hop_limit != wire::kNdHopLimit) {
    return invalid_header;
  }
  const bool solicits =
      type == wire::kNdNeighbourSolicitation || type == wire::kNdRouterSolicitation;
  return is_unspecified6(packet.source) && !solicits ? invalid_source : none;
}

bool is_group_membership(std::uint8_t type) {
  return (type >= wire::kMldQuery && type <= wire::kMldDone) || type == wire::kMldReport2;
}

/// True when ICMPv6 keeps the link itself going, so that the mode and not the policy has it.
/// `reason` is what is wrong with it then.
bool is_link_icmpv6(Payload payload,
                    std::uint8_t hop_limit,
                    const Packet& packet,
                    DropReason& reason) {
  if (packet.tuple.protocol != classifier::kProtocolIcmpv6 || payload.captured < wire::kIcmpBytes) {
    return false;
  }
  const std::uint8_t type = payload.data[0];
  if (type >= wire::kNdRouterSolicitation && type <= wire::kNdRedirect) {
    reason = check_discovery(payload, hop_limit, packet);
    return true;
  }
  return is_group_membership(type) && hop_limit == 1 &&
         (is_link_local6(packet.source) || is_unspecified6(packet.source));
}

DropReason finish_ipv6(Payload payload, std::uint8_t hop_limit, Packet& packet) {
  DropReason reason = none;
  if (is_link_icmpv6(payload, hop_limit, packet, reason)) {
    packet.kind = Kind::link;
    return reason;
  }
  if (is_unspecified6(packet.source)) {
    return invalid_source;
  }
  const bool to_many = is_multicast6(packet.tuple.dst);
  reason = read_transport(payload, packet);
  if (reason == none && to_many) {
    if (packet.answer || packet.kind == Kind::related) {
      return not_a_new_flow;
    }
    packet.kind = Kind::stateless;
  }
  return reason;
}

/// `upper` has a Fragment header, which neighbour discovery may not have (RFC 6980).
DropReason finish_fragment6(const UpperLayer& upper, const std::uint8_t* ip, Packet& packet) {
  const Fragment fragment = read_fragment6(ip, upper.fragment);
  if (!fragment.well_formed) {
    return invalid_header;
  }
  packet.fragmented = !fragment.is_whole();
  if (!fragment.is_first()) {
    packet.kind = Kind::fragment;
    packet.l4_offset = 0;
    return is_unspecified6(packet.source) ? invalid_source : none;
  }
  const DropReason reason = finish_ipv6(upper.payload, ip[wire::kIpv6HopLimit], packet);
  return reason == none && packet.kind == Kind::link ? invalid_header : reason;
}

DropReason parse_ipv6(Bytes ip, Packet& packet) {
  if (ip.captured < wire::kIpv6Bytes || ip.data[0] >> 4U != 6) {
    return invalid_header;
  }
  const std::size_t total = wire::kIpv6Bytes + wire::load16(ip.data + wire::kIpv6Payload);
  if (total > ip.length) {
    return invalid_header;
  }
  packet.tuple.family = Family::v6;
  std::memcpy(packet.tuple.src.data(), ip.data + wire::kIpv6Src, 16);
  std::memcpy(packet.tuple.dst.data(), ip.data + wire::kIpv6Dst, 16);
  packet.source = packet.tuple.src;
  const DropReason reason = check_addresses6(packet.tuple.src, packet.tuple.dst);
  if (reason != none) {
    return reason;
  }
  const Payload payload{ip.data + wire::kIpv6Bytes,
                        std::min(ip.captured, total) - wire::kIpv6Bytes,
                        total - wire::kIpv6Bytes};
  const UpperLayer upper = walk_extensions(ip.data[wire::kIpv6Next], payload);
  if (upper.reason != none) {
    return upper.reason;
  }
  packet.tuple.protocol = upper.protocol;
  packet.l4_offset = static_cast<std::uint16_t>(packet.l3_offset + (upper.payload.data - ip.data));
  if (upper.fragment != nullptr) [[unlikely]] {
    return finish_fragment6(upper, ip.data, packet);
  }
  return finish_ipv6(upper.payload, ip.data[wire::kIpv6HopLimit], packet);
}

// --- ARP and Ethernet ------------------------------------------------------------------------

DropReason parse_arp(Bytes arp, Packet& packet) {
  constexpr std::array<std::uint8_t, 6> kEthernetIpv4{0, 1, 8, 0, 6, 4};
  if (arp.captured < wire::kArpBytes ||
      !std::equal(kEthernetIpv4.begin(), kEthernetIpv4.end(), arp.data)) {
    return invalid_header;
  }
  packet.kind = Kind::link;
  packet.tuple.family = Family::v4;
  std::memcpy(packet.source.data(), arp.data + wire::kArpSenderIp, 4);
  return none;
}

DropReason parse_network(std::uint16_t type, Bytes network, Packet& packet) {
  switch (type) {
    case wire::kTypeIpv4:
      return parse_ipv4(network, packet);
    case wire::kTypeIpv6:
      return parse_ipv6(network, packet);
    case wire::kTypeArp:
      return parse_arp(network, packet);
    case wire::kTypeVlan:
    case wire::kTypeQinq:
      return invalid_header;  // A tag too many.
    default:
      return unsupported_l3;
  }
}

void finish(std::uint16_t type, Bytes network, Packet& packet) {
  packet.reason = parse_network(type, network, packet);
  if (packet.reason != none) {
    packet.kind = Kind::drop;
  }
}

Bytes bytes_of(std::span<const std::uint8_t> frame, std::uint32_t wire_length) {
  return {frame.data(), frame.size(), std::max<std::size_t>(frame.size(), wire_length)};
}

}  // namespace

Packet read_network(std::uint16_t type,
                    std::span<const std::uint8_t> packet,
                    std::uint32_t wire_length) noexcept {
  Packet read;
  finish(type, bytes_of(packet, wire_length), read);
  return read;
}

void read_with_care(std::span<const std::uint8_t> frame,
                    std::uint32_t wire_length,
                    Packet& packet) noexcept {
  const Bytes bytes = bytes_of(frame, wire_length);
  if (bytes.captured < wire::kEthernetBytes) {
    return;
  }
  std::size_t offset = wire::kEthernetBytes;
  std::uint16_t type = wire::load16(bytes.data + offset - 2);
  for (unsigned tags = 0; tags < limits::kVlanTagsMax; ++tags) {
    if (type != wire::kTypeVlan && type != wire::kTypeQinq) {
      break;
    }
    offset += wire::kVlanTagBytes;
    if (bytes.captured < offset) {
      return;
    }
    type = wire::load16(bytes.data + offset - 2);
  }
  packet.l3_offset = static_cast<std::uint16_t>(offset);
  finish(type, from(bytes, offset), packet);
}

}  // namespace portcullis::dataplane
