// SPDX-License-Identifier: MIT
#include "dataplane/packet/neighbour.h"

#include <algorithm>
#include <cstring>

#include "classifier/key.h"
#include "dataplane/packet/headers.h"
#include "dataplane/packet/transport.h"

namespace portcullis::dataplane {
namespace {

using Kind = NeighbourMessage::Kind;

IpAddress address_at(Family family, const std::uint8_t* at) {
  IpAddress address{.family = family};
  std::memcpy(address.bytes.data(), at, family == Family::v4 ? 4 : 16);
  return address;
}

MacAddress mac_at(const std::uint8_t* at) {
  MacAddress mac;
  std::memcpy(mac.data(), at, mac.size());
  return mac;
}

/// The link-layer address among the options | type | length in units of 8 bytes | ... |.
std::optional<MacAddress> mac_option(std::span<const std::uint8_t> options, std::uint8_t type) {
  while (options.size() >= 8) {
    const std::size_t bytes = options[1] * std::size_t{8};
    if (bytes == 0 || bytes > options.size()) {
      break;
    }
    if (options[0] == type) {
      return mac_at(&options[2]);
    }
    options = options.subspan(bytes);
  }
  return std::nullopt;
}

std::optional<NeighbourMessage> read_discovery(const UpperLayer& upper, NeighbourMessage message) {
  const Payload& icmp = upper.payload;
  if (upper.reason != DropReason::none || upper.protocol != classifier::kProtocolIcmpv6 ||
      icmp.captured < wire::kIcmpBytes) {
    return std::nullopt;
  }
  const std::uint8_t type = icmp.data[0];
  if (type < wire::kNdRouterSolicitation || type > wire::kNdRedirect) {
    return std::nullopt;
  }
  const bool solicits = type == wire::kNdNeighbourSolicitation;
  if (!solicits && type != wire::kNdNeighbourAdvertisement) {
    return message;
  }
  if (icmp.captured < wire::kNdBytes) {
    return std::nullopt;
  }
  message.kind = solicits ? Kind::solicitation : Kind::advertisement;
  message.target = address_at(Family::v6, icmp.data + wire::kNdTarget);
  message.mac = mac_option({icmp.data + wire::kNdBytes, icmp.captured - wire::kNdBytes},
                           solicits ? wire::kNdSourceMac : wire::kNdTargetMac);
  return message;
}

}  // namespace

std::optional<NeighbourMessage> read_arp(std::span<const std::uint8_t> frame,
                                         std::size_t l3_offset) noexcept {
  constexpr std::array<std::uint8_t, 6> kEthernetIpv4{0, 1, 8, 0, 6, 4};
  if (frame.size() < l3_offset + wire::kArpBytes ||
      !std::equal(kEthernetIpv4.begin(), kEthernetIpv4.end(), &frame[l3_offset])) {
    return std::nullopt;
  }
  const std::uint8_t* arp = &frame[l3_offset];
  const std::uint16_t operation = wire::load16(arp + wire::kArpOperation);
  if (operation != wire::kArpRequest && operation != wire::kArpReply) {
    return std::nullopt;
  }
  const bool is_reply = operation == wire::kArpReply;
  return NeighbourMessage{
      .kind = is_reply ? Kind::advertisement : Kind::solicitation,
      .sender = address_at(Family::v4, arp + wire::kArpSenderIp),
      .target = address_at(Family::v4, arp + (is_reply ? wire::kArpSenderIp : wire::kArpTargetIp)),
      .mac = mac_at(arp + wire::kArpSenderMac)};
}

std::optional<NeighbourMessage> read_nd(std::span<const std::uint8_t> frame,
                                        std::size_t l3_offset) noexcept {
  if (frame.size() < l3_offset + wire::kIpv6Bytes || frame[l3_offset] >> 4U != 6) {
    return std::nullopt;
  }
  const std::uint8_t* ip = &frame[l3_offset];
  const std::size_t length = std::min<std::size_t>(wire::load16(ip + wire::kIpv6Payload),
                                                   frame.size() - l3_offset - wire::kIpv6Bytes);
  return read_discovery(
      walk_extensions(ip[wire::kIpv6Next], {ip + wire::kIpv6Bytes, length, length}),
      {.sender = address_at(Family::v6, ip + wire::kIpv6Src)});
}

}  // namespace portcullis::dataplane
