// SPDX-License-Identifier: MIT
#include "dataplane/respond.h"

#include <algorithm>
#include <cstring>

#include "classifier/key.h"
#include "dataplane/packet/checksum.h"
#include "dataplane/packet/headers.h"
#include "dataplane/packet/rewrite.h"
#include "dataplane/packet/transport.h"
#include "dataplane/packet/tunnel.h"

namespace portcullis::dataplane {
namespace {

using Frame = std::span<const std::uint8_t>;
using Out = std::span<std::uint8_t>;

constexpr std::uint8_t kHopLimit = 64;
/// An ICMPv6 error is no longer than the least MTU of IPv6; an IPv4 one than what RFC 1812 allows.
constexpr std::size_t kIpv6ErrorBytesMax = 1280;
constexpr std::size_t kIpv4ErrorBytesMax = 576;

std::size_t padded(Out out, std::size_t length) {
  if (length < kFrameBytesMin) {
    std::fill(out.begin() + static_cast<std::ptrdiff_t>(length),
              out.begin() + kFrameBytesMin,
              std::uint8_t{0});
  }
  return std::max(length, kFrameBytesMin);
}

std::size_t put_ethernet(Out out,
                         const MacAddress& dst,
                         const MacAddress& src,
                         std::uint16_t type) {
  std::memcpy(out.data(), dst.data(), dst.size());
  std::memcpy(&out[wire::kMacBytes], src.data(), src.size());
  wire::store16(&out[2 * wire::kMacBytes], type);
  return wire::kEthernetBytes;
}

/// The Ethernet header and VLAN tags of `frame`, turned round: to its sender, from `src`.
std::size_t put_ethernet_back(Out out, Frame frame, std::size_t l3_offset, const MacAddress& src) {
  std::memcpy(out.data(), &frame[wire::kMacBytes], wire::kMacBytes);
  std::memcpy(&out[wire::kMacBytes], src.data(), src.size());
  std::memcpy(
      &out[2 * wire::kMacBytes], &frame[2 * wire::kMacBytes], l3_offset - 2 * wire::kMacBytes);
  return l3_offset;
}

void put_arp(std::uint8_t* arp, std::uint16_t operation) {
  constexpr std::array<std::uint8_t, 6> kEthernetIpv4{0, 1, 8, 0, 6, 4};
  std::memcpy(arp, kEthernetIpv4.data(), kEthernetIpv4.size());
  wire::store16(arp + wire::kArpOperation, operation);
}

struct IpEnds {
  const std::uint8_t* src;
  const std::uint8_t* dst;
};

void put_ipv4(std::uint8_t* ip, std::size_t total, std::uint8_t protocol, IpEnds ends) {
  std::memset(ip, 0, wire::kIpv4Bytes);
  ip[0] = 0x45;
  // Internetwork control, as RFC 1812 asks of errors.
  ip[1] = protocol == classifier::kProtocolIcmp ? 0xc0 : 0;
  wire::store16(ip + wire::kIpv4Total, static_cast<std::uint32_t>(total));
  ip[wire::kIpv4Ttl] = kHopLimit;
  ip[wire::kIpv4Protocol] = protocol;
  std::memcpy(ip + wire::kIpv4Src, ends.src, 4);
  std::memcpy(ip + wire::kIpv4Dst, ends.dst, 4);
  wire::store16(ip + wire::kIpv4Checksum, checksum_finish(checksum_add(0, {ip, wire::kIpv4Bytes})));
}

void put_ipv6(std::uint8_t* ip, std::size_t payload, std::uint8_t hop_limit, IpEnds ends) {
  wire::store32(ip, 0x6000'0000);
  wire::store16(ip + wire::kIpv6Payload, static_cast<std::uint32_t>(payload));
  ip[wire::kIpv6Next] = classifier::kProtocolIcmpv6;
  ip[wire::kIpv6HopLimit] = hop_limit;
  std::memcpy(ip + wire::kIpv6Src, ends.src, 16);
  std::memcpy(ip + wire::kIpv6Dst, ends.dst, 16);
}

/// Writes the ICMPv6 checksum of a packet whose IPv6 header is complete.
void seal_icmpv6(std::uint8_t* ip, std::size_t payload) {
  std::uint8_t* icmp = ip + wire::kIpv6Bytes;
  wire::store16(icmp + 2, 0);
  std::uint64_t sum = checksum_add(0, {ip + wire::kIpv6Src, 32});
  sum += payload + classifier::kProtocolIcmpv6;
  wire::store16(icmp + 2, checksum_finish(checksum_add(sum, {icmp, payload})));
}

/// Solicited-node group ff02::1:ffXX:XXXX and its MAC 33:33:ff:XX:XX:XX.
AddressBytes solicited_node(const AddressBytes& target) {
  AddressBytes group{0xff, 0x02, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff};
  std::copy(target.begin() + 13, target.end(), group.begin() + 13);
  return group;
}
MacAddress group_mac(const AddressBytes& group) {
  return {0x33, 0x33, group[12], group[13], group[14], group[15]};
}

/// A neighbour discovery message with its one option, behind a complete Ethernet header.
struct Discovery {
  std::uint8_t type;
  std::uint32_t flags;
  const AddressBytes& target;
  std::uint8_t option;
  const MacAddress& mac;
};

std::size_t put_discovery(Out out, std::size_t offset, IpEnds ends, const Discovery& message) {
  constexpr std::size_t kPayload = wire::kNdBytes + 8;
  std::uint8_t* ip = &out[offset];
  put_ipv6(ip, kPayload, wire::kNdHopLimit, ends);
  std::uint8_t* icmp = ip + wire::kIpv6Bytes;
  icmp[0] = message.type;
  icmp[1] = 0;
  wire::store32(icmp + 4, message.flags);
  std::memcpy(icmp + wire::kNdTarget, message.target.data(), 16);
  icmp[wire::kNdBytes] = message.option;
  icmp[wire::kNdBytes + 1] = 1;
  std::memcpy(icmp + wire::kNdBytes + 2, message.mac.data(), message.mac.size());
  seal_icmpv6(ip, kPayload);
  return padded(out, offset + wire::kIpv6Bytes + kPayload);
}

bool is_unspecified(const IpAddress& address) {
  return address.bytes == AddressBytes{};
}

// --- ICMP errors -----------------------------------------------------------------------------

struct ErrorCode {
  std::uint8_t type;
  std::uint8_t code;
};

ErrorCode code_of(IcmpError error, Family family) {
  const bool v4 = family == Family::v4;
  switch (error) {
    case IcmpError::time_exceeded:
      return {v4 ? wire::kIcmpTimeExceeded : wire::kIcmpv6TimeExceeded, 0};
    case IcmpError::network_unreachable:
      return {v4 ? wire::kIcmpUnreachable : wire::kIcmpv6Unreachable, 0};
    case IcmpError::host_unreachable:
      return v4 ? ErrorCode{wire::kIcmpUnreachable, 1} : ErrorCode{wire::kIcmpv6Unreachable, 3};
    case IcmpError::admin_prohibited:
      return v4 ? ErrorCode{wire::kIcmpUnreachable, 13} : ErrorCode{wire::kIcmpv6Unreachable, 1};
    case IcmpError::packet_too_big:
      break;
  }
  return v4 ? ErrorCode{wire::kIcmpUnreachable, 4} : ErrorCode{wire::kIcmpv6TooBig, 0};
}

/// True when the frame went to a group or everyone, or comes from one.
bool is_to_many(Frame frame) {
  return (frame[0] & 1U) != 0 || (frame[wire::kMacBytes] & 1U) != 0;
}

/// About another error none is sent, lest two routers talk for ever. What cannot be read counts as
/// one.
bool is_icmp_error(std::uint8_t protocol, Payload payload) {
  if (!is_icmp(protocol)) {
    return false;
  }
  if (payload.captured == 0) {
    return true;
  }
  const std::uint8_t type = payload.data[0];
  if (protocol == classifier::kProtocolIcmpv6) {
    // Redirects are among those that RFC 4443 forbids to answer.
    return type <= wire::kIcmpv6ErrorLast || type == wire::kNdRedirect;
  }
  return type != wire::kIcmpEcho && type != wire::kIcmpEchoReply && type != wire::kIcmpTimestamp &&
         type != wire::kIcmpTimestampReply;
}

bool may_answer4(Frame ip) {
  const std::uint32_t src = wire::load32(&ip[wire::kIpv4Src]);
  const std::uint32_t dst = wire::load32(&ip[wire::kIpv4Dst]);
  const std::size_t header = (ip[0] & 0xfU) * std::size_t{4};
  const bool later_fragment = (wire::load16(&ip[wire::kIpv4Fragment]) & wire::kIpv4OffsetMask) != 0;
  const bool one_host = src >> 24U != 0 && src >> 24U != 127 && src >> 28U < 0xe;
  if (header < wire::kIpv4Bytes || header > ip.size() || later_fragment || !one_host ||
      dst >> 28U >= 0xe) {
    return false;
  }
  const Payload payload{&ip[0] + header, ip.size() - header, ip.size() - header};
  return !is_icmp_error(ip[wire::kIpv4Protocol], payload);
}

bool may_answer6(Frame ip, IcmpError error) {
  const bool from_nobody =
      std::all_of(&ip[wire::kIpv6Src], &ip[wire::kIpv6Dst], [](std::uint8_t b) { return b == 0; });
  const bool to_group = ip[wire::kIpv6Dst] == 0xff;
  if (from_nobody || ip[wire::kIpv6Src] == 0xff ||
      (to_group && error != IcmpError::packet_too_big)) {
    return false;
  }
  const std::size_t rest = ip.size() - wire::kIpv6Bytes;
  const UpperLayer upper =
      walk_extensions(ip[wire::kIpv6Next], {ip.data() + wire::kIpv6Bytes, rest, rest});
  return upper.reason == DropReason::none && !is_later_fragment(upper) &&
         !is_icmp_error(upper.protocol, upper.payload);
}

/// The IP packet in a frame without padding; empty when it is too short to quote, or in a tunnel.
Frame ip_packet(Frame frame, std::size_t l3_offset) {
  if (l3_offset > kOuterL3OffsetMax) {
    return {};
  }
  const Frame ip = frame.subspan(std::min(l3_offset, frame.size()));
  if (ip.size() < wire::kIpv4Bytes) {
    return {};
  }
  if (ip[0] >> 4U == 4) {
    const std::size_t total = wire::load16(&ip[wire::kIpv4Total]);
    return total < wire::kIpv4Bytes ? Frame{} : ip.first(std::min(ip.size(), total));
  }
  if (ip[0] >> 4U != 6 || ip.size() < wire::kIpv6Bytes) {
    return {};
  }
  return ip.first(
      std::min<std::size_t>(ip.size(), wire::kIpv6Bytes + wire::load16(&ip[wire::kIpv6Payload])));
}

/// The segment of a whole TCP packet, its header included; else nothing.
Frame tcp_of4(Frame ip) {
  constexpr std::uint32_t kFragmentBits = wire::kIpv4MoreFragments | wire::kIpv4OffsetMask;
  const std::size_t header = (ip[0] & 0xfU) * std::size_t{4};
  const bool whole = (wire::load16(&ip[wire::kIpv4Fragment]) & kFragmentBits) == 0;
  const bool fits = header >= wire::kIpv4Bytes && ip.size() >= header + wire::kTcpBytes;
  const bool tcp = ip[wire::kIpv4Protocol] == classifier::kProtocolTcp;
  return whole && fits && tcp ? ip.subspan(header) : Frame{};
}

Frame tcp_of6(Frame ip) {
  const std::size_t rest = ip.size() - wire::kIpv6Bytes;
  const UpperLayer upper =
      walk_extensions(ip[wire::kIpv6Next], {ip.data() + wire::kIpv6Bytes, rest, rest});
  const bool tcp = upper.reason == DropReason::none && upper.fragment == nullptr &&
                   upper.protocol == classifier::kProtocolTcp &&
                   upper.payload.captured >= wire::kTcpBytes;
  return tcp ? Frame{upper.payload.data, upper.payload.captured} : Frame{};
}

/// The reset that a segment deserves, but for its checksum.
void put_reset(std::uint8_t* tcp, Frame segment) {
  std::memset(tcp, 0, wire::kTcpBytes);
  std::memcpy(tcp, &segment[2], 2);
  std::memcpy(tcp + 2, segment.data(), 2);
  tcp[wire::kTcpOffset] = wire::kTcpBytes / 4 << 4U;
  const std::uint8_t flags = segment[wire::kTcpFlags];
  if ((flags & wire::kTcpAck) != 0) {
    std::memcpy(tcp + wire::kTcpSequence, &segment[wire::kTcpAcknowledgement], 4);
    tcp[wire::kTcpFlags] = wire::kTcpRst;
    return;
  }
  const std::size_t header = std::size_t{segment[wire::kTcpOffset]} >> 4U << 2U;
  const std::size_t length = segment.size() - std::min(segment.size(), header) +
                             ((flags & wire::kTcpSyn) != 0 ? 1 : 0) +
                             ((flags & wire::kTcpFin) != 0 ? 1 : 0);
  const std::uint32_t sequence = wire::load32(&segment[wire::kTcpSequence]);
  wire::store32(tcp + wire::kTcpAcknowledgement, sequence + static_cast<std::uint32_t>(length));
  tcp[wire::kTcpFlags] = wire::kTcpRst | wire::kTcpAck;
}

/// Writes the checksum of a bare TCP header between these addresses.
void seal_tcp(std::uint8_t* tcp, Frame addresses) {
  const std::uint64_t pseudo = checksum_add(wire::kTcpBytes + classifier::kProtocolTcp, addresses);
  wire::store16(tcp + wire::kTcpChecksum,
                checksum_finish(checksum_add(pseudo, {tcp, wire::kTcpBytes})));
}

/// What goes into the second word of an error: the MTU where the type has one.
void put_error_head(std::uint8_t* icmp, ErrorCode code, Family family, std::uint16_t mtu) {
  icmp[0] = code.type;
  icmp[1] = code.code;
  wire::store16(icmp + 2, 0);
  wire::store32(icmp + 4, 0);
  if (family == Family::v6 && code.type == wire::kIcmpv6TooBig) {
    wire::store32(icmp + 4, mtu);
  } else if (family == Family::v4 && code.type == wire::kIcmpUnreachable && code.code == 4) {
    wire::store16(icmp + 6, mtu);
  }
}

}  // namespace

std::size_t arp_reply(Frame frame, std::size_t l3_offset, const MacAddress& mac, Out out) noexcept {
  const auto request = read_arp(frame, l3_offset);
  if (!request || request->kind != NeighbourMessage::Kind::solicitation) {
    return 0;
  }
  const std::size_t offset = put_ethernet_back(out, frame, l3_offset, mac);
  std::uint8_t* arp = &out[offset];
  put_arp(arp, wire::kArpReply);
  std::memcpy(arp + wire::kArpSenderMac, mac.data(), mac.size());
  std::memcpy(arp + wire::kArpSenderIp, request->target.bytes.data(), 4);
  std::memcpy(arp + wire::kArpTargetMac, request->mac->data(), wire::kMacBytes);
  std::memcpy(arp + wire::kArpTargetIp, request->sender.bytes.data(), 4);
  return padded(out, offset + wire::kArpBytes);
}

std::size_t arp_request(const Speaker& speaker, const IpAddress& target, Out out) noexcept {
  const std::size_t offset = put_ethernet(out, kBroadcastMac, speaker.mac, wire::kTypeArp);
  std::uint8_t* arp = &out[offset];
  put_arp(arp, wire::kArpRequest);
  std::memcpy(arp + wire::kArpSenderMac, speaker.mac.data(), wire::kMacBytes);
  std::memcpy(arp + wire::kArpSenderIp, speaker.address.bytes.data(), 4);
  std::memset(arp + wire::kArpTargetMac, 0, wire::kMacBytes);
  std::memcpy(arp + wire::kArpTargetIp, target.bytes.data(), 4);
  return padded(out, offset + wire::kArpBytes);
}

std::size_t neighbour_advertisement(Frame frame,
                                    std::size_t l3_offset,
                                    const MacAddress& mac,
                                    Out out) noexcept {
  constexpr AddressBytes kAllNodes{0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1};
  constexpr std::uint32_t kRouter = 0x8000'0000;
  constexpr std::uint32_t kSolicited = 0x4000'0000;
  constexpr std::uint32_t kOverride = 0x2000'0000;
  const auto solicitation = read_nd(frame, l3_offset);
  if (!solicitation || solicitation->kind != NeighbourMessage::Kind::solicitation) {
    return 0;
  }
  const bool detects_duplicates = is_unspecified(solicitation->sender);
  const std::size_t offset = put_ethernet_back(out, frame, l3_offset, mac);
  if (detects_duplicates) {
    const MacAddress all_nodes = group_mac(kAllNodes);
    std::memcpy(out.data(), all_nodes.data(), all_nodes.size());
  }
  const AddressBytes& dst = detects_duplicates ? kAllNodes : solicitation->sender.bytes;
  return put_discovery(out,
                       offset,
                       {solicitation->target.bytes.data(), dst.data()},
                       {.type = wire::kNdNeighbourAdvertisement,
                        .flags = kRouter | kOverride | (detects_duplicates ? 0 : kSolicited),
                        .target = solicitation->target.bytes,
                        .option = wire::kNdTargetMac,
                        .mac = mac});
}

std::size_t neighbour_solicitation(const Speaker& speaker,
                                   const IpAddress& target,
                                   Out out) noexcept {
  const AddressBytes group = solicited_node(target.bytes);
  const std::size_t offset = put_ethernet(out, group_mac(group), speaker.mac, wire::kTypeIpv6);
  return put_discovery(out,
                       offset,
                       {speaker.address.bytes.data(), group.data()},
                       {.type = wire::kNdNeighbourSolicitation,
                        .flags = 0,
                        .target = target.bytes,
                        .option = wire::kNdSourceMac,
                        .mac = speaker.mac});
}

std::size_t icmp_error(Frame frame,
                       std::size_t l3_offset,
                       IcmpError error,
                       const ErrorSource& source,
                       Out out) noexcept {
  const Frame about = ip_packet(frame, l3_offset);
  if (about.empty() || is_to_many(frame)) {
    return 0;
  }
  const Family family = about[0] >> 4U == 4 ? Family::v4 : Family::v6;
  const bool v4 = family == Family::v4;
  if (!(v4 ? may_answer4(about) : may_answer6(about, error)) ||
      source.speaker.address.family != family) {
    return 0;
  }
  const std::size_t header = v4 ? wire::kIpv4Bytes : wire::kIpv6Bytes;
  const std::size_t most = v4 ? kIpv4ErrorBytesMax : kIpv6ErrorBytesMax;
  const std::size_t quoted = std::min(about.size(), most - header - wire::kIcmpBytes);
  const std::size_t payload = wire::kIcmpBytes + quoted;
  const std::size_t offset = put_ethernet_back(out, frame, l3_offset, source.speaker.mac);
  std::uint8_t* ip = &out[offset];
  std::uint8_t* icmp = ip + header;
  put_error_head(icmp, code_of(error, family), family, source.mtu);
  std::memcpy(icmp + wire::kIcmpBytes, about.data(), quoted);
  if (v4) {
    put_ipv4(ip,
             header + payload,
             classifier::kProtocolIcmp,
             {source.speaker.address.bytes.data(), &about[wire::kIpv4Src]});
    wire::store16(icmp + 2, checksum_finish(checksum_add(0, {icmp, payload})));
  } else {
    put_ipv6(ip, payload, kHopLimit, {source.speaker.address.bytes.data(), &about[wire::kIpv6Src]});
    seal_icmpv6(ip, payload);
  }
  return padded(out, offset + header + payload);
}

std::size_t tcp_reset(Frame frame, std::size_t l3_offset, Out out) noexcept {
  const Frame about = ip_packet(frame, l3_offset);
  if (about.empty() || is_to_many(frame)) {
    return 0;
  }
  const bool v4 = about[0] >> 4U == 4;
  if (!(v4 ? may_answer4(about) : may_answer6(about, IcmpError::admin_prohibited))) {
    return 0;
  }
  const Frame segment = v4 ? tcp_of4(about) : tcp_of6(about);
  if (segment.empty() || (segment[wire::kTcpFlags] & wire::kTcpRst) != 0) {
    return 0;
  }
  const std::size_t header = v4 ? wire::kIpv4Bytes : wire::kIpv6Bytes;
  MacAddress receiver;
  std::memcpy(receiver.data(), frame.data(), receiver.size());
  const std::size_t offset = put_ethernet_back(out, frame, l3_offset, receiver);
  std::uint8_t* ip = &out[offset];
  put_reset(ip + header, segment);
  if (v4) {
    put_ipv4(ip,
             header + wire::kTcpBytes,
             classifier::kProtocolTcp,
             {&about[wire::kIpv4Dst], &about[wire::kIpv4Src]});
    seal_tcp(ip + header, {ip + wire::kIpv4Src, 8});
  } else {
    put_ipv6(ip, wire::kTcpBytes, kHopLimit, {&about[wire::kIpv6Dst], &about[wire::kIpv6Src]});
    ip[wire::kIpv6Next] = classifier::kProtocolTcp;
    seal_tcp(ip + header, {ip + wire::kIpv6Src, 32});
  }
  return padded(out, offset + header + wire::kTcpBytes);
}

std::size_t rejection(Frame frame, std::size_t l3_offset, Out out) noexcept {
  const Frame about = ip_packet(frame, l3_offset);
  if (about.empty()) {
    return 0;
  }
  if (!(about[0] >> 4U == 4 ? tcp_of4(about) : tcp_of6(about)).empty()) {
    return tcp_reset(frame, l3_offset, out);
  }
  ErrorSource source{.speaker = {.address = destination_of(frame, l3_offset)}};
  std::memcpy(source.speaker.mac.data(), frame.data(), source.speaker.mac.size());
  return icmp_error(frame, l3_offset, IcmpError::admin_prohibited, source, out);
}

}  // namespace portcullis::dataplane
