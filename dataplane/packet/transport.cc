// SPDX-License-Identifier: MIT
#include "dataplane/packet/transport.h"

#include <algorithm>
#include <cstring>

#include "base/limits.h"
#include "dataplane/packet/headers.h"

namespace portcullis::dataplane {
namespace {

using enum DropReason;
using Event = Packet::Event;
using Kind = Packet::Kind;

Payload behind(Payload payload, std::size_t bytes) {
  return {payload.data + bytes, payload.captured - bytes, payload.length - bytes};
}

void read_ports(const std::uint8_t* at, FlowTuple& tuple) {
  tuple.src_port = wire::load16(at);
  tuple.dst_port = wire::load16(at + 2);
}

/// The combinations that a sane end sends (PSH, ECE and CWR aside); others probe filters.
bool tcp_flags_make_sense(std::uint8_t flags) {
  using namespace wire;
  switch (flags & (kTcpFin | kTcpSyn | kTcpRst | kTcpAck | kTcpUrg)) {
    case kTcpSyn:
    case kTcpSyn | kTcpUrg:
    case kTcpSyn | kTcpAck:
    case kTcpRst:
    case kTcpRst | kTcpAck:
    case kTcpFin | kTcpAck:
    case kTcpFin | kTcpAck | kTcpUrg:
    case kTcpAck:
    case kTcpAck | kTcpUrg:
      return true;
    default:
      return false;
  }
}

Event tcp_event(std::uint8_t flags) {
  if ((flags & wire::kTcpRst) != 0) {
    return Event::abort;
  }
  if ((flags & wire::kTcpSyn) != 0) {
    return (flags & wire::kTcpAck) != 0 ? Event::accept : Event::begin;
  }
  return (flags & wire::kTcpFin) != 0 ? Event::finish : Event::data;
}

DropReason read_tcp(Payload payload, Packet& packet) {
  if (payload.captured < wire::kTcpBytes) {
    return invalid_header;
  }
  const std::size_t header = std::size_t{payload.data[wire::kTcpOffset]} >> 4U << 2U;
  packet.tcp_flags = payload.data[wire::kTcpFlags];
  if (header < wire::kTcpBytes || header > payload.length ||
      !tcp_flags_make_sense(packet.tcp_flags)) {
    return invalid_header;
  }
  read_ports(payload.data, packet.tuple);
  packet.event = tcp_event(packet.tcp_flags);
  return none;
}

DropReason read_udp(Payload payload, Packet& packet) {
  if (payload.captured < wire::kUdpBytes) {
    return invalid_header;
  }
  const std::size_t length = wire::load16(payload.data + wire::kUdpLength);
  // Of a datagram in fragments only a part is here.
  if (length < wire::kUdpBytes || (length > payload.length && !packet.fragmented)) {
    return invalid_header;
  }
  read_ports(payload.data, packet.tuple);
  return none;
}

Event sctp_event(std::uint8_t first_chunk) {
  switch (first_chunk) {
    case wire::kSctpInit:
      return Event::begin;
    case wire::kSctpInitAck:
      return Event::accept;
    case wire::kSctpShutdown:
    case wire::kSctpShutdownAck:
      return Event::finish;
    case wire::kSctpAbort:
    case wire::kSctpShutdownComplete:
      return Event::abort;
    default:
      return Event::data;
  }
}

DropReason read_sctp(Payload payload, Packet& packet) {
  if (payload.captured < wire::kSctpBytes + wire::kSctpChunkBytes) {
    return invalid_header;
  }
  const std::uint8_t* chunk = payload.data + wire::kSctpBytes;
  const std::size_t chunk_bytes = wire::load16(chunk + 2);
  const bool whole = chunk_bytes <= payload.length - wire::kSctpBytes;
  if (chunk_bytes < wire::kSctpChunkBytes || (!whole && !packet.fragmented)) {
    return invalid_header;
  }
  read_ports(payload.data, packet.tuple);
  packet.event = sctp_event(chunk[0]);
  return none;
}

struct IcmpRole {
  enum class What : std::uint8_t { query, answer, error, other } what = What::other;
  std::uint8_t request_type = 0;  // Of a query and of the answer to it.
};

IcmpRole icmp_role(std::uint8_t protocol, std::uint8_t type) {
  using What = IcmpRole::What;
  if (protocol == classifier::kProtocolIcmpv6) {
    switch (type) {
      case wire::kIcmpv6Echo:
        return {What::query, wire::kIcmpv6Echo};
      case wire::kIcmpv6EchoReply:
        return {What::answer, wire::kIcmpv6Echo};
      default:
        return {type <= wire::kIcmpv6ErrorLast ? What::error : What::other};
    }
  }
  switch (type) {
    case wire::kIcmpEcho:
      return {What::query, wire::kIcmpEcho};
    case wire::kIcmpEchoReply:
      return {What::answer, wire::kIcmpEcho};
    case wire::kIcmpTimestamp:
      return {What::query, wire::kIcmpTimestamp};
    case wire::kIcmpTimestampReply:
      return {What::answer, wire::kIcmpTimestamp};
    case wire::kIcmpUnreachable:
    case wire::kIcmpTimeExceeded:
    case wire::kIcmpParameterProblem:
      return {What::error};
    default:
      return {What::other};
  }
}

void make_query(const std::uint8_t* icmp, const IcmpRole& role, Packet& packet) {
  packet.tuple.src_port = wire::load16(icmp + wire::kIcmpId);
  packet.tuple.dst_port = static_cast<std::uint16_t>(role.request_type << 8U);
  if (role.what == IcmpRole::What::answer) {
    packet.answer = true;
    std::swap(packet.tuple.src, packet.tuple.dst);
  }
}

/// The addresses and protocol of a quoted packet. A router quotes what it received, or nearly: the
/// checksum and the length may have changed on the way, so neither is looked at.
DropReason read_quoted_ip(Payload quote, FlowTuple& tuple, Payload& payload) {
  const std::uint8_t version = quote.captured > 0 ? quote.data[0] >> 4U : 0;
  if (tuple.family == Family::v4) {
    const std::size_t header = quote.captured > 0 ? (quote.data[0] & 0xfU) * std::size_t{4} : 0;
    if (version != 4 || header < wire::kIpv4Bytes || header > quote.captured) {
      return invalid_header;
    }
    if ((wire::load16(quote.data + wire::kIpv4Fragment) & wire::kIpv4OffsetMask) != 0) {
      return not_a_new_flow;
    }
    std::memcpy(tuple.src.data(), quote.data + wire::kIpv4Src, 4);
    std::memcpy(tuple.dst.data(), quote.data + wire::kIpv4Dst, 4);
    tuple.protocol = quote.data[wire::kIpv4Protocol];
    payload = behind(quote, header);
    return none;
  }
  if (version != 6 || quote.captured < wire::kIpv6Bytes) {
    return invalid_header;
  }
  std::memcpy(tuple.src.data(), quote.data + wire::kIpv6Src, 16);
  std::memcpy(tuple.dst.data(), quote.data + wire::kIpv6Dst, 16);
  const UpperLayer upper =
      walk_extensions(quote.data[wire::kIpv6Next], behind(quote, wire::kIpv6Bytes));
  tuple.protocol = upper.protocol;
  payload = upper.payload;
  return upper.reason == none && !is_later_fragment(upper) ? none : not_a_new_flow;
}

/// An error is about the flow it quotes, and goes to the one who sent the quoted packet.
DropReason read_error(Payload payload, Packet& packet) {
  Packet quoted;
  quoted.tuple.family = packet.tuple.family;
  Payload rest;
  const DropReason reason = read_quote(behind(payload, wire::kIcmpBytes), quoted, rest);
  if (reason != none) {
    return reason;
  }
  const AddressBytes& sender = quoted.answer ? quoted.tuple.dst : quoted.tuple.src;
  if (sender != packet.tuple.dst) {
    return not_a_new_flow;
  }
  packet.kind = Kind::related;
  packet.answer = quoted.answer;
  packet.tuple = quoted.tuple;
  return none;
}

DropReason read_icmp(Payload payload, Packet& packet) {
  if (payload.captured < wire::kIcmpBytes) {
    return invalid_header;
  }
  const bool is_v6 = packet.tuple.protocol == classifier::kProtocolIcmpv6;
  if (is_v6 != (packet.tuple.family == Family::v6)) {
    return invalid_header;
  }
  const IcmpRole role = icmp_role(packet.tuple.protocol, payload.data[0]);
  switch (role.what) {
    case IcmpRole::What::error:
      return read_error(payload, packet);
    case IcmpRole::What::other:
      packet.kind = Kind::stateless;
      packet.tuple.dst_port = wire::load16(payload.data);
      return none;
    case IcmpRole::What::query:
    case IcmpRole::What::answer:
      break;
  }
  if (payload.data[1] != 0) {
    return invalid_header;  // Queries and answers have no other code than 0.
  }
  make_query(payload.data, role, packet);
  return none;
}

}  // namespace

bool is_later_fragment(const UpperLayer& upper) noexcept {
  return upper.fragment != nullptr &&
         (wire::load16(upper.fragment + wire::kFragmentOffset) & wire::kFragmentOffsetMask) != 0;
}

UpperLayer walk_extensions(std::uint8_t next, Payload payload) noexcept {
  const std::uint8_t* fragment = nullptr;
  for (unsigned walked = 0; walked <= limits::kIpv6ExtensionsMax; ++walked) {
    std::size_t unit = 8;
    std::size_t extra = 1;
    switch (next) {
      case wire::kNextHopByHop:
        if (walked != 0) {
          return {.reason = invalid_ipv6_extension};
        }
        break;
      case wire::kNextRouting:
      case wire::kNextDestination:
        break;
      case wire::kNextAuthentication:
        unit = 4;
        extra = 2;
        break;
      case wire::kNextFragment:
        if (fragment != nullptr) {
          return {.reason = invalid_ipv6_extension};  // A fragment of a fragment.
        }
        break;
      case wire::kNextMobility:
      case wire::kNextHostIdentity:
      case wire::kNextShim6:
        return {.reason = invalid_ipv6_extension};
      default:
        return {.reason = none, .protocol = next, .payload = payload, .fragment = fragment};
    }
    // Every extension header is at least eight bytes long.
    if (payload.captured < 8) {
      return {.reason = invalid_ipv6_extension};
    }
    if (next == wire::kNextFragment) {
      fragment = payload.data;
      const UpperLayer upper{.reason = none,
                             .protocol = fragment[0],
                             .payload = behind(payload, wire::kFragmentBytes),
                             .fragment = fragment};
      if (is_later_fragment(upper)) {
        return upper;  // What follows are bytes from the middle of something.
      }
      next = upper.protocol;
      payload = upper.payload;
      continue;
    }
    const std::size_t bytes = (payload.data[1] + extra) * unit;
    const bool routes_on = next == wire::kNextRouting && payload.data[3] != 0;
    if (bytes < 8 || bytes > payload.captured || routes_on) {
      return {.reason = invalid_ipv6_extension};
    }
    next = payload.data[0];
    payload = behind(payload, bytes);
  }
  return {.reason = invalid_ipv6_extension};
}

DropReason read_quote(Payload quote, Packet& quoted, Payload& rest) noexcept {
  const DropReason reason = read_quoted_ip(quote, quoted.tuple, rest);
  if (reason != none) {
    return reason;
  }
  const std::uint8_t protocol = quoted.tuple.protocol;
  if (is_icmp(protocol)) {
    if (rest.captured < wire::kIcmpBytes) {
      return invalid_header;
    }
    const IcmpRole role = icmp_role(protocol, rest.data[0]);
    if (role.what != IcmpRole::What::query && role.what != IcmpRole::What::answer) {
      return not_a_new_flow;
    }
    make_query(rest.data, role, quoted);
  } else if (protocol == classifier::kProtocolTcp || protocol == classifier::kProtocolUdp ||
             protocol == classifier::kProtocolSctp) {
    if (rest.captured < 4) {
      return invalid_header;
    }
    read_ports(rest.data, quoted.tuple);
  }
  return none;
}

DropReason read_transport(Payload payload, Packet& packet) noexcept {
  packet.kind = Kind::flow;
  switch (packet.tuple.protocol) {
    case classifier::kProtocolTcp:
      return read_tcp(payload, packet);
    case classifier::kProtocolUdp:
      return read_udp(payload, packet);
    case classifier::kProtocolSctp:
      return read_sctp(payload, packet);
    case classifier::kProtocolIcmp:
    case classifier::kProtocolIcmpv6:
      return read_icmp(payload, packet);
    default:
      return none;
  }
}

}  // namespace portcullis::dataplane
