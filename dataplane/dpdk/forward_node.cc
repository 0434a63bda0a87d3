// SPDX-License-Identifier: MIT
#include "dataplane/dpdk/forward_node.h"

#include <algorithm>
#include <optional>

#include "base/check.h"
#include "base/limits.h"
#include "dataplane/dpdk/fragmenter.h"
#include "dataplane/dpdk/plug/port_change.h"
#include "dataplane/packet/headers.h"
#include "dataplane/packet/rewrite.h"

namespace portcullis::dataplane {
namespace {

/// How often neighbours are looked through for what is due.
constexpr std::uint64_t kRoundNs = 10'000'000;
/// ICMP errors out of one port: enough for a traceroute, too few to be a weapon.
constexpr std::uint64_t kErrorsASecond = 100;
constexpr std::uint64_t kErrorsBurst = 50;

bool is_unspecified(const IpAddress& address) {
  return address == IpAddress{.family = address.family};
}

/// Addresses that no router passes on: groups, everyone, link-local, loopback, "this network".
bool stays_on_link(const IpAddress& address) {
  const auto& b = address.bytes;
  if (address.family == Family::v4) {
    return b[0] >= 224 || b[0] == 0 || b[0] == 127 || (b[0] == 169 && b[1] == 254);
  }
  const bool link_local = b[0] == 0xfe && (b[1] & 0xc0U) == 0x80;
  const bool loopback = std::all_of(b.begin(), b.end() - 1, [](auto byte) { return byte == 0; });
  return b[0] == 0xff || link_local || loopback;
}

/// fe80::/64 with the modified EUI-64 of RFC 4291, appendix A.
IpAddress link_local_of(const MacAddress& mac) {
  return {.family = Family::v6,
          .bytes = {0xfe,
                    0x80,
                    0,
                    0,
                    0,
                    0,
                    0,
                    0,
                    static_cast<std::uint8_t>(mac[0] ^ 2U),
                    mac[1],
                    mac[2],
                    0xff,
                    0xfe,
                    mac[3],
                    mac[4],
                    mac[5]}};
}

bool fits(const Parcel& parcel, std::uint16_t mtu) {
  return parcel.bytes.size() <= std::size_t{mtu} + wire::kEthernetBytes;
}

bool is_arp(std::span<const std::uint8_t> frame) {
  return wire::load16(&frame[2 * wire::kMacBytes]) == wire::kTypeArp;
}

/// Of an untagged frame.
std::optional<NeighbourMessage> message_of(std::span<const std::uint8_t> frame) {
  return is_arp(frame) ? read_arp(frame, wire::kEthernetBytes)
                       : read_nd(frame, wire::kEthernetBytes);
}

}  // namespace

ForwardNode::ForwardNode(const config::Config& config, std::span<const MacAddress> macs)
    : uplink_networks_(config.mode.uplink_networks),
      neighbours_(limits::kPodAddressesMax + config.mode.gateways.size()) {
  PORTCULLIS_CHECK(macs.size() == config.ports.size());
  sides_.reserve(limits::kPortsMax);
  for (std::size_t i = 0; i < config.ports.size(); ++i) {
    const config::Port& options = config.ports[i];
    const auto port = static_cast<PortIndex>(i);
    const bool uplink = options.role == config::Port::Role::uplink;
    sides_.push_back(side_of(macs[i], uplink));
    if (uplink) {
      uplink_ = port;
      own_ = options.addresses;
      continue;
    }
    for (const IpAddress& address : options.addresses) {
      neighbours_.add_permanent(address, port);
    }
  }
  for (const IpAddress& gateway : config.mode.gateways) {
    if (neighbours_.find(gateway) == kNoNeighbour) {
      neighbours_.add_permanent(gateway, uplink_);
    }
    (gateway.family == Family::v4 ? gateway_v4_ : gateway_v6_) = neighbours_.find(gateway);
  }
}

ForwardNode::Side ForwardNode::side_of(const MacAddress& mac, bool uplink) {
  return {.mac = mac,
          .link_local = link_local_of(mac),
          .uplink = uplink,
          .errors = TokenBucket(kErrorsASecond, kErrorsBurst)};
}

void ForwardNode::plug(const PortChange& change, std::uint64_t now_ns, Transmit& out) noexcept {
  PORTCULLIS_CHECK(change.port < sides_.capacity());
  while (change.port >= sides_.size()) {
    sides_.push_back(side_of(change.mac, false));
  }
  sides_[change.port] = side_of(change.mac, false);
  for (const IpAddress& address : change.addresses) {
    // Asked for on the uplink so far, or withdrawn.
    if (const NeighbourIndex known = neighbours_.find(address); known != kNoNeighbour) {
      refuse_held(
          known, {DropReason::neighbour_unresolved, IcmpError::host_unreachable}, now_ns, out);
      neighbours_.forget(known);
    }
    neighbours_.add_permanent(address, change.port);
  }
}

void ForwardNode::unplug(PortIndex port, std::uint64_t now_ns, Transmit& out) noexcept {
  using State = NeighbourTable::Neighbour::State;
  for (NeighbourIndex i = 0; i < neighbours_.size(); ++i) {
    if (neighbours_.at(i).state != State::unused && neighbours_.at(i).port == port) {
      refuse_held(i, {DropReason::no_route, IcmpError::network_unreachable}, now_ns, out);
      neighbours_.withdraw(i, uplink_, now_ns);
    }
  }
}

bool ForwardNode::accepts(std::span<const std::uint8_t> frame, PortIndex port) const noexcept {
  if (frame.size() < wire::kMacBytes) {
    return true;  // The pipeline counts it as malformed.
  }
  const bool to_group = (frame[0] & 1U) != 0;
  return to_group || std::equal(sides_[port].mac.begin(), sides_[port].mac.end(), frame.begin());
}

bool ForwardNode::is_own(const IpAddress& address) const noexcept {
  return std::find(own_.begin(), own_.end(), address) != own_.end();
}

void ForwardNode::forward(const Parcel& parcel, std::uint64_t now_ns, Transmit& out) noexcept {
  if (parcel.l3_offset != wire::kEthernetBytes) {
    out.drop(parcel.packet, DropReason::unsupported_l3);  // Routed ports know no VLANs.
    return;
  }
  const IpAddress source = source_of(parcel.bytes, parcel.l3_offset);
  const IpAddress destination = destination_of(parcel.bytes, parcel.l3_offset);
  const NeighbourIndex claimed =
      sides_[parcel.port].uplink ? neighbours_.find(source) : kNoNeighbour;
  if (is_own(source) || (claimed != kNoNeighbour && neighbours_.at(claimed).port != uplink_)) {
    // Our own addresses and those of our pods never come from outside.
    out.drop(parcel.packet, DropReason::invalid_source);
    return;
  }
  if (!is_own(destination)) {
    route(parcel, destination, now_ns, out);
    return;
  }
  if (turn_echo_around(parcel.bytes, parcel.l3_offset)) {
    out.send(parcel.port, parcel.packet);
  } else {
    out.drop(parcel.packet, DropReason::no_route);  // We serve nothing else.
  }
}

void ForwardNode::route(const Parcel& parcel,
                        const IpAddress& destination,
                        std::uint64_t now_ns,
                        Transmit& out) noexcept {
  if (stays_on_link(destination)) {
    out.drop(parcel.packet, DropReason::no_route);
    return;
  }
  if (hop_limit(parcel.bytes, parcel.l3_offset) <= 1) {
    refuse(parcel, {DropReason::ttl_exceeded, IcmpError::time_exceeded}, now_ns, out);
    return;
  }
  const NeighbourIndex hop = next_hop(destination, now_ns);
  // Back to where it came from: whoever is there has a better way, and two routers would play ball.
  if (hop == kNoNeighbour || neighbours_.at(hop).port == parcel.port) {
    refuse(parcel, {DropReason::no_route, IcmpError::network_unreachable}, now_ns, out);
    return;
  }
  if (!fits(parcel, out.mtu(neighbours_.at(hop).port))) {
    route_narrow(hop, parcel, now_ns, out);
    return;
  }
  decrement_hop_limit(parcel.bytes, parcel.l3_offset);
  if (resolved_or_taken(hop, parcel, now_ns, out)) {
    send_to(hop, parcel, out);
  }
}

/// What is larger than its link takes goes in fragments where its sender allows them (RFC 1812,
/// 4.2.2.7), or not at all.
void ForwardNode::route_narrow(NeighbourIndex hop,
                               const Parcel& parcel,
                               std::uint64_t now_ns,
                               Transmit& out) noexcept {
  if (!may_be_fragmented(parcel.bytes, parcel.l3_offset)) {
    const std::uint16_t mtu = out.mtu(neighbours_.at(hop).port);
    refuse(parcel, {DropReason::packet_too_big, IcmpError::packet_too_big, mtu}, now_ns, out);
    return;
  }
  decrement_hop_limit(parcel.bytes, parcel.l3_offset);
  if (resolved_or_taken(hop, parcel, now_ns, out)) {
    send_in_fragments_to(hop, parcel, out);
  }
}

NeighbourIndex ForwardNode::next_hop(const IpAddress& destination, std::uint64_t now_ns) noexcept {
  const NeighbourIndex known = neighbours_.find(destination);
  if (known != kNoNeighbour) {
    return known;
  }
  const bool on_link = std::any_of(
      uplink_networks_.begin(), uplink_networks_.end(), [&destination](const Prefix& network) {
        return network.contains(destination);
      });
  if (on_link) {
    return neighbours_.add(destination, uplink_, now_ns);
  }
  return destination.family == Family::v4 ? gateway_v4_ : gateway_v6_;
}

/// If not, the packet is taken: it waits in one piece until learn() or attend() has it.
bool ForwardNode::resolved_or_taken(NeighbourIndex hop,
                                    const Parcel& parcel,
                                    std::uint64_t now_ns,
                                    Transmit& out) noexcept {
  if (neighbours_.at(hop).resolved()) {
    neighbours_.use(hop, now_ns);
    return true;
  }
  if (neighbours_.at(hop).state == NeighbourTable::Neighbour::State::withdrawn) {
    refuse(parcel, {DropReason::no_route, IcmpError::network_unreachable}, now_ns, out);
    return false;
  }
  if (neighbours_.hold(hop, parcel, now_ns)) {
    attend(hop, now_ns, out);
  } else {
    out.drop(parcel.packet, DropReason::neighbour_unresolved);
  }
  return false;
}

void ForwardNode::send_to(NeighbourIndex hop, const Parcel& parcel, Transmit& out) noexcept {
  const NeighbourTable::Neighbour& neighbour = neighbours_.at(hop);
  set_macs(parcel.bytes, neighbour.mac, sides_[neighbour.port].mac);
  out.send(neighbour.port, parcel.packet);
}

void ForwardNode::send_in_fragments_to(NeighbourIndex hop,
                                       const Parcel& parcel,
                                       Transmit& out) noexcept {
  const NeighbourTable::Neighbour& neighbour = neighbours_.at(hop);
  set_macs(parcel.bytes, neighbour.mac, sides_[neighbour.port].mac);
  out.send_in_fragments(neighbour.port, parcel.packet);
}

void ForwardNode::link(const Parcel& parcel, std::uint64_t now_ns, Transmit& out) noexcept {
  if (parcel.l3_offset == wire::kEthernetBytes) {
    const std::optional<NeighbourMessage> message = message_of(parcel.bytes);
    if (message) {
      learn(*message, parcel.port, now_ns, out);
    }
    if (message && answers_for(*message, parcel.port)) {
      const MacAddress& mac = sides_[parcel.port].mac;
      const std::size_t length =
          is_arp(parcel.bytes)
              ? arp_reply(parcel.bytes, parcel.l3_offset, mac, response_)
              : neighbour_advertisement(parcel.bytes, parcel.l3_offset, mac, response_);
      if (length > 0) {
        out.send_copy(parcel.port, std::span(response_).first(length));
      }
    }
  }
  Transmit::consume(parcel.packet);
}

void ForwardNode::overhear(std::span<const std::uint8_t> frame,
                           PortIndex port,
                           std::uint64_t now_ns,
                           Transmit& out) noexcept {
  if (const std::optional<NeighbourMessage> message = message_of(frame)) {
    learn(*message, port, now_ns, out);
  }
}

bool ForwardNode::answers_for(const NeighbourMessage& message, PortIndex port) const noexcept {
  if (message.kind != NeighbourMessage::Kind::solicitation) {
    return false;
  }
  const Side& side = sides_[port];
  if (is_own(message.target) || message.target == side.link_local) {
    return true;  // Also to one who probes whether the address is free.
  }
  const NeighbourIndex index = neighbours_.find(message.target);
  const bool beyond = index != kNoNeighbour && neighbours_.at(index).port != port;
  if (side.uplink) {
    return beyond;
  }
  // All the world is behind us but the pod itself; a probe for a free address is none of ours.
  const bool probe = is_unspecified(message.sender) || message.sender == message.target;
  return !probe && (index == kNoNeighbour || beyond);
}

void ForwardNode::learn(const NeighbourMessage& message,
                        PortIndex port,
                        std::uint64_t now_ns,
                        Transmit& out) noexcept {
  using Kind = NeighbourMessage::Kind;
  const IpAddress& speaker = message.kind == Kind::advertisement ? message.target : message.sender;
  if (message.kind == Kind::other || !message.mac || (message.mac->front() & 1U) != 0) {
    return;
  }
  const NeighbourIndex index = neighbours_.find(speaker);
  // Only about next hops of ours, and only from where they are: else a pod could claim another's.
  if (index == kNoNeighbour || neighbours_.at(index).port != port) {
    return;
  }
  neighbours_.learn(index, *message.mac, now_ns);
  while (const std::optional<Parcel> parcel = neighbours_.take_held(index)) {
    if (fits(*parcel, out.mtu(port))) {
      send_to(index, *parcel, out);
    } else {
      send_in_fragments_to(index, *parcel, out);
    }
  }
}

void ForwardNode::tick(std::uint64_t now_ns, Transmit& out) noexcept {
  if (now_ns < next_round_ns_) {
    return;
  }
  next_round_ns_ = now_ns + kRoundNs;
  for (NeighbourIndex i = 0; i < neighbours_.size(); ++i) {
    attend(i, now_ns, out);
  }
}

/// Does what is due for one neighbour.
void ForwardNode::attend(NeighbourIndex index, std::uint64_t now_ns, Transmit& out) noexcept {
  switch (neighbours_.advance(index, now_ns)) {
    case NeighbourTable::Due::nothing:
      return;
    case NeighbourTable::Due::solicit:
      solicit(index, out);
      return;
    case NeighbourTable::Due::give_up:
      refuse_held(
          index, {DropReason::neighbour_unresolved, IcmpError::host_unreachable}, now_ns, out);
      return;
  }
}

void ForwardNode::refuse_held(NeighbourIndex index,
                              const Refusal& refusal,
                              std::uint64_t now_ns,
                              Transmit& out) noexcept {
  while (const std::optional<Parcel> parcel = neighbours_.take_held(index)) {
    refuse(*parcel, refusal, now_ns, out);
  }
}

void ForwardNode::solicit(NeighbourIndex index, Transmit& out) noexcept {
  const NeighbourTable::Neighbour& neighbour = neighbours_.at(index);
  const Side& side = sides_[neighbour.port];
  std::size_t length = 0;
  if (neighbour.address.family == Family::v6) {
    length = neighbour_solicitation(
        {.mac = side.mac, .address = side.link_local}, neighbour.address, response_);
  } else {
    // Without an IPv4 address of our own this is a probe (RFC 5227), which hosts answer as well.
    const auto own = std::ranges::find(own_, Family::v4, &IpAddress::family);
    const IpAddress speaker = own == own_.end() ? IpAddress{} : *own;
    length = arp_request({.mac = side.mac, .address = speaker}, neighbour.address, response_);
  }
  if (length > 0) {
    out.send_copy(neighbour.port, std::span(response_).first(length));
  }
}

/// Ends a packet and tells its sender why, if we have an address to speak from.
void ForwardNode::refuse(const Parcel& parcel,
                         const Refusal& refusal,
                         std::uint64_t now_ns,
                         Transmit& out) noexcept {
  const Family family = destination_of(parcel.bytes, parcel.l3_offset).family;
  const auto own = std::ranges::find(own_, family, &IpAddress::family);
  Side& side = sides_[parcel.port];
  if (own != own_.end()) {
    const std::size_t length =
        icmp_error(parcel.bytes,
                   parcel.l3_offset,
                   refusal.error,
                   {.speaker = {.mac = side.mac, .address = *own}, .mtu = refusal.mtu},
                   response_);
    if (length > 0 && side.errors.take(now_ns)) {
      out.send_copy(parcel.port, std::span(response_).first(length));
    }
  }
  out.drop(parcel.packet, refusal.reason);
}

}  // namespace portcullis::dataplane
