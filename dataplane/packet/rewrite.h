// SPDX-License-Identifier: MIT
// What a router changes in a packet that it passes on or answers, checksums kept right.
// Thread: any; pure functions on bytes.
// REQUIRES everywhere: parse() found the frame well-formed, and IP begins at l3_offset.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "base/ip.h"
#include "dataplane/packet/neighbour.h"

namespace portcullis::dataplane {

IpAddress source_of(std::span<const std::uint8_t> frame, std::size_t l3_offset) noexcept;
IpAddress destination_of(std::span<const std::uint8_t> frame, std::size_t l3_offset) noexcept;

/// TTL or hop limit.
std::uint8_t hop_limit(std::span<const std::uint8_t> frame, std::size_t l3_offset) noexcept;
/// One hop further; the IPv4 checksum is updated as RFC 1624 has it. REQUIRES: hop_limit() > 0.
void decrement_hop_limit(std::span<std::uint8_t> frame, std::size_t l3_offset) noexcept;

void set_macs(std::span<std::uint8_t> frame, const MacAddress& to, const MacAddress& from) noexcept;

/// Turns an ICMP or ICMPv6 echo request into its reply, in place: addresses and MACs change sides.
/// False, and nothing changed, when the packet is anything else, a fragment included.
bool turn_echo_around(std::span<std::uint8_t> frame, std::size_t l3_offset) noexcept;

}  // namespace portcullis::dataplane
