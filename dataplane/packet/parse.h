// SPDX-License-Identifier: MIT
// Bytes -> Packet: what a frame is, bounds-checked, and which flow it belongs to.
// Thread: any; pure functions on bytes. Nothing is ever read outside of the frame given.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "dataplane/packet/packet.h"
#include "dataplane/packet/plain.h"

namespace portcullis::dataplane {

/// Reads one frame, from Ethernet on. `wire_length` is the length of the whole frame where `frame`
/// holds only its beginning, else 0.
///
/// Dropped here: what is truncated or malformed; a bad IPv4 header checksum; source routes (IPv4
/// options, IPv6 routing headers with segments left), because the last destination would be another
/// than the one judged; fragments that end where none may, and first ones without their whole
/// transport header (RFC 1858, RFC 3128, RFC 7112); addresses that no wire may carry. An IPv6
/// fragment that is all of its datagram (RFC 6946) is a whole packet.
inline Packet parse(std::span<const std::uint8_t> frame, std::uint32_t wire_length = 0) noexcept;

/// What parse() says of an IP or ARP packet that begins without Ethernet, of the EtherType `type`.
/// Offsets count from its beginning.
Packet read_network(std::uint16_t type,
                    std::span<const std::uint8_t> packet,
                    std::uint32_t wire_length) noexcept;

/// parse() without its short cut for plain packets, which says the same. REQUIRES: `packet` is as
/// it is born. It is written where it stays: a copy of what was just written in pieces would wait
/// for all of them.
void read_with_care(std::span<const std::uint8_t> frame,
                    std::uint32_t wire_length,
                    Packet& packet) noexcept;

inline Packet parse(std::span<const std::uint8_t> frame, std::uint32_t wire_length) noexcept {
  Packet packet;
  if (!read_plain(frame, packet)) {
    read_with_care(frame, wire_length, packet);
  }
  return packet;
}

}  // namespace portcullis::dataplane
