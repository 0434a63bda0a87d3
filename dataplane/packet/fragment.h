// SPDX-License-Identifier: MIT
// Reads where a fragment lies in its datagram, and which datagram that is.
// Thread: any; pure functions on bytes.
#pragma once

#include <compare>
#include <cstdint>
#include <span>

#include "base/ip.h"
#include "dataplane/packet/parse.h"

namespace portcullis::dataplane {

/// Bytes [begin, end) of the part of a datagram that is cut into fragments. Units: bytes.
struct Fragment {
  std::uint32_t id = 0;
  std::uint32_t begin = 0;
  std::uint32_t end = 0;
  bool more = false;
  /// It holds something; unless it is the last one, a multiple of eight bytes; and the datagram is
  /// not longer than one may be.
  bool well_formed = false;

  [[nodiscard]] bool is_first() const { return begin == 0; }
  [[nodiscard]] bool is_whole() const { return begin == 0 && !more; }
};

/// What fragments of one datagram share (RFC 791, RFC 8200). IPv6 has no protocol here: only the
/// first fragment's is certain.
struct DatagramKey {
  AddressBytes src{};
  AddressBytes dst{};
  std::uint32_t id = 0;
  std::uint8_t protocol = 0;
  Family family = Family::v4;

  friend auto operator<=>(const DatagramKey&, const DatagramKey&) = default;
};

/// REQUIRES: an IPv4 packet whose total length is not below its header length.
Fragment read_fragment4(const std::uint8_t* ip) noexcept;
/// `header` is the Fragment header of the packet at `ip`, inside of its payload length. One that is
/// all of its datagram is well-formed even where it holds nothing.
Fragment read_fragment6(const std::uint8_t* ip, const std::uint8_t* header) noexcept;

/// Both: `packet` is what parse() made of `frame`, and it is fragmented.
Fragment fragment_of(std::span<const std::uint8_t> frame, const Packet& packet) noexcept;
DatagramKey datagram_of(std::span<const std::uint8_t> frame,
                        const Packet& packet,
                        const Fragment& fragment) noexcept;

}  // namespace portcullis::dataplane
