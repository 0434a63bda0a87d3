// SPDX-License-Identifier: MIT
#include "dataplane/packet/tunnel.h"

#include <algorithm>

#include "dataplane/packet/parse.h"
#include "dataplane/packet/transport.h"

namespace portcullis::dataplane {
namespace {

using enum DropReason;
using Kind = Packet::Kind;

/// What a tunnel's header says of what follows it.
struct Opened {
  DropReason reason = none;
  std::uint16_t type = 0;
  Payload inside;
};

Payload behind(Payload payload, std::size_t bytes) {
  return {payload.data + bytes, payload.captured - bytes, payload.length - bytes};
}

Opened open_vxlan(Payload payload) {
  if (payload.captured < wire::kVxlanBytes || (payload.data[0] & wire::kVxlanNetwork) == 0 ||
      (payload.data[0] & wire::kVxlanOther) != 0) {
    return {.reason = tunnel_invalid_header};
  }
  return {.type = wire::kTypeEthernet, .inside = behind(payload, wire::kVxlanBytes)};
}

/// The lengths of all options must add up; a transit device does not care what they are, critical
/// or not (RFC 8926, 3.4).
bool options_add_up(Payload options) {
  while (options.captured > 0) {
    if (options.captured < wire::kGeneveOptionBytes) {
      return false;
    }
    const std::size_t length =
        wire::kGeneveOptionBytes + (options.data[3] & 0x1fU) * wire::kGeneveUnit;
    if (length > options.captured) {
      return false;
    }
    options = behind(options, length);
  }
  return true;
}

Opened open_geneve(Payload payload) {
  if (payload.captured < wire::kGeneveBytes || payload.data[0] >> 6U != 0) {
    return {.reason = tunnel_invalid_header};
  }
  const std::size_t length = (payload.data[0] & 0x3fU) * wire::kGeneveUnit;
  const std::uint16_t type = wire::load16(payload.data + wire::kGeneveType);
  payload = behind(payload, wire::kGeneveBytes);
  if (length > payload.captured || !options_add_up({payload.data, length, length})) {
    return {.reason = tunnel_invalid_header};
  }
  return {.type = type, .inside = behind(payload, length)};
}

Opened open_gre(Payload payload) {
  if (payload.captured < wire::kGreBytes) {
    return {.reason = tunnel_invalid_header};
  }
  const std::uint16_t flags = wire::load16(payload.data);
  std::size_t length = wire::kGreBytes;
  for (const std::uint16_t flag : {wire::kGreChecksum, wire::kGreKey, wire::kGreSequence}) {
    length += (flags & flag) != 0 ? wire::kGreFieldBytes : 0;
  }
  if ((flags & wire::kGreOther) != 0 || length > payload.captured) {
    return {.reason = tunnel_invalid_header};
  }
  return {.type = wire::load16(payload.data + wire::kGreType), .inside = behind(payload, length)};
}

/// What an inner packet may begin with.
bool is_known(std::uint16_t type) {
  return type == wire::kTypeEthernet || type == wire::kTypeIpv4 || type == wire::kTypeIpv6;
}

/// `payload` is what IP carries.
Opened open_tunnel(Encapsulation encapsulation, std::uint8_t protocol, Payload payload) {
  Opened opened;
  switch (encapsulation) {
    case Encapsulation::vxlan:
    case Encapsulation::geneve:
      if (payload.captured < wire::kUdpBytes) {
        return {.reason = tunnel_invalid_header};
      }
      payload = behind(payload, wire::kUdpBytes);
      opened = encapsulation == Encapsulation::vxlan ? open_vxlan(payload) : open_geneve(payload);
      break;
    case Encapsulation::gre:
      opened = open_gre(payload);
      break;
    case Encapsulation::ip:
    case Encapsulation::none:
      opened = {.type = protocol == wire::kProtocolIpv4 ? wire::kTypeIpv4 : wire::kTypeIpv6,
                .inside = payload};
      break;
  }
  if (opened.reason == none && !is_known(opened.type)) {
    opened.reason = tunnel_unknown_payload;
  }
  return opened;
}

/// What the IP packet of a frame carries, without padding behind it. REQUIRES: parse() found the
/// packet whole, and it has an l4_offset.
Payload payload_of(std::span<const std::uint8_t> frame, const Packet& packet) {
  const std::uint8_t* const ip = frame.data() + packet.l3_offset;
  const std::size_t total = packet.tuple.family == Family::v4
                                ? wire::load16(ip + wire::kIpv4Total)
                                : wire::kIpv6Bytes + wire::load16(ip + wire::kIpv6Payload);
  std::size_t end = packet.l3_offset + total;
  if (packet.kind != Kind::related && packet.tuple.protocol == classifier::kProtocolUdp) {
    // The receiver takes no more, whatever follows.
    end = packet.l4_offset +
          std::size_t{wire::load16(frame.data() + packet.l4_offset + wire::kUdpLength)};
  }
  return {frame.data() + packet.l4_offset,
          std::min(frame.size(), end) - packet.l4_offset,
          end - packet.l4_offset};
}

void drop(DropReason reason, Packet& packet) {
  packet.kind = Kind::drop;
  packet.reason = reason;
}

/// Offsets of a packet that was read from the middle of a frame on.
void shift(std::size_t by, Packet& packet) {
  packet.l3_offset = static_cast<std::uint16_t>(packet.l3_offset + by);
  packet.l4_offset =
      packet.l4_offset == 0 ? std::uint16_t{0} : static_cast<std::uint16_t>(packet.l4_offset + by);
}

/// A quoted Ethernet frame's EtherType and what follows it, tags aside.
Opened open_ethernet(Payload frame) {
  std::size_t header = wire::kEthernetBytes;
  for (unsigned tags = 0; tags <= limits::kVlanTagsMax; ++tags) {
    if (frame.captured < header) {
      break;
    }
    const std::uint16_t type = wire::load16(frame.data + header - 2);
    if (type != wire::kTypeVlan && type != wire::kTypeQinq) {
      return {.type = type, .inside = behind(frame, header)};
    }
    header += wire::kVlanTagBytes;
  }
  return {.reason = invalid_header};
}

/// Whatever is amiss with the quoted bytes leaves the error one about the outer packet, whose flow
/// nobody knows.
void relate(Payload icmp, Encapsulation encapsulation, Packet& packet) {
  Packet outer;
  outer.tuple.family = packet.tuple.family;
  Payload rest;
  if (read_quote(behind(icmp, wire::kIcmpBytes), outer, rest) != none) {
    return;
  }
  Opened opened = open_tunnel(encapsulation, outer.tuple.protocol, rest);
  if (opened.reason == none && opened.type == wire::kTypeEthernet) {
    opened = open_ethernet(opened.inside);
  }
  if (opened.reason != none || (opened.type != wire::kTypeIpv4 && opened.type != wire::kTypeIpv6)) {
    return;
  }
  Packet inner;
  inner.tuple.family = opened.type == wire::kTypeIpv4 ? Family::v4 : Family::v6;
  if (read_quote(opened.inside, inner, rest) == none) {
    packet.tuple = inner.tuple;
    packet.answer = inner.answer;
  }
}

}  // namespace

Tunnels::Tunnels(const config::Tunnels& config) : endpoints_(config.endpoints) {
  for (const config::TunnelKind kind : config.kinds) {
    switch (kind) {
      case config::TunnelKind::vxlan:
        for (const std::uint16_t port : config.vxlan_ports) {
          udp_ports_.emplace_back(port, Encapsulation::vxlan);
        }
        break;
      case config::TunnelKind::geneve:
        for (const std::uint16_t port : config.geneve_ports) {
          udp_ports_.emplace_back(port, Encapsulation::geneve);
        }
        break;
      case config::TunnelKind::gre:
        gre_ = true;
        break;
      case config::TunnelKind::ipip:
        ip_ = true;
        break;
    }
    any_ = true;
  }
}

Encapsulation Tunnels::encapsulation_of(const FlowTuple& tuple) const noexcept {
  switch (tuple.protocol) {
    case classifier::kProtocolUdp:
      for (const auto& [port, encapsulation] : udp_ports_) {
        if (port == tuple.dst_port) {
          return encapsulation;
        }
      }
      return Encapsulation::none;
    case wire::kProtocolGre:
      return gre_ ? Encapsulation::gre : Encapsulation::none;
    case wire::kProtocolIpv4:
    case wire::kProtocolIpv6:
      return ip_ ? Encapsulation::ip : Encapsulation::none;
    default:
      return Encapsulation::none;
  }
}

bool Tunnels::is_endpoint(const IpAddress& address) const noexcept {
  return std::any_of(endpoints_.begin(), endpoints_.end(), [&](const Prefix& endpoint) {
    return endpoint.contains(address);
  });
}

bool Tunnels::joins_endpoints(const FlowTuple& tuple) const noexcept {
  return is_endpoint({tuple.family, tuple.src}) && is_endpoint({tuple.family, tuple.dst});
}

void Tunnels::look_inside(std::span<const std::uint8_t> frame, Packet& packet) const noexcept {
  const bool is_error = packet.kind == Kind::related;
  if (packet.kind != Kind::flow && packet.kind != Kind::stateless && !is_error) {
    return;
  }
  const Encapsulation encapsulation = encapsulation_of(packet.tuple);
  if (encapsulation == Encapsulation::none || !joins_endpoints(packet.tuple)) {
    return;
  }
  if (packet.fragmented && !is_error) {
    drop(tunnel_fragmented, packet);
    return;
  }
  const Payload payload = payload_of(frame, packet);
  if (is_error) {
    relate(payload, encapsulation, packet);
  } else {
    open(frame.data(), payload, encapsulation, packet);
  }
}

void Tunnels::open(const std::uint8_t* frame,
                   Payload payload,
                   Encapsulation encapsulation,
                   Packet& packet) const noexcept {
  const auto [reason, type, inside] = open_tunnel(encapsulation, packet.tuple.protocol, payload);
  if (reason != none) {
    drop(reason, packet);
    return;
  }
  const std::span bytes(inside.data, inside.captured);
  const auto length = static_cast<std::uint32_t>(inside.length);
  Packet inner =
      type == wire::kTypeEthernet ? parse(bytes, length) : read_network(type, bytes, length);
  shift(static_cast<std::size_t>(inside.data - frame), inner);
  if ((inner.kind == Kind::flow || inner.kind == Kind::stateless) &&
      encapsulation_of(inner.tuple) != Encapsulation::none) {
    drop(tunnel_nested, inner);
  }
  packet = inner;
}

}  // namespace portcullis::dataplane
