// SPDX-License-Identifier: MIT
// Reads ARP and neighbour discovery messages: who asks for whom, and which MAC belongs to whom.
// Thread: any; pure functions on bytes.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>

#include "base/ip.h"

namespace portcullis::dataplane {

using MacAddress = std::array<std::uint8_t, 6>;
inline constexpr MacAddress kBroadcastMac{0xff, 0xff, 0xff, 0xff, 0xff, 0xff};

/// An ARP or neighbour discovery message about one address, both families in the same words.
struct NeighbourMessage {
  enum class Kind : std::uint8_t {
    solicitation,   // ARP request, neighbour solicitation: who has `target`?
    advertisement,  // ARP reply, neighbour advertisement: `target` is at `mac`.
    other,          // Router solicitation or advertisement, redirect.
  };
  Kind kind = Kind::other;
  IpAddress sender;  // Unspecified (all zero) in an ARP probe or duplicate address detection.
  IpAddress target;  // Of an ARP reply: its sender, which is the address it speaks for.
  std::optional<MacAddress> mac;  // The sender's link-layer address, where the message says it.
};

/// Shapes: frame from Ethernet on; l3_offset is where ARP or IPv6 begins (behind VLAN tags).
/// Errors: nullopt when it is no well-formed ARP for Ethernet and IPv4, nor neighbour discovery.
std::optional<NeighbourMessage> read_arp(std::span<const std::uint8_t> frame,
                                         std::size_t l3_offset) noexcept;
std::optional<NeighbourMessage> read_nd(std::span<const std::uint8_t> frame,
                                        std::size_t l3_offset) noexcept;

}  // namespace portcullis::dataplane
