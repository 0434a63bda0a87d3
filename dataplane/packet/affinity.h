// SPDX-License-Identifier: MIT
// Affinity: a number that all packets of a flow share, both directions, fragments and ICMP errors
// included, so that several workers can divide packets without sharing what they know of flows.
// It is Toeplitz' hash of the two addresses alone, under a key that repeats every 16 bits; so a
// network card that is given this key and hashes addresses says the same (receive side scaling).
// Thread: any; pure functions on bytes.
// Source: Woo and Park, "Scalable TCP session monitoring with symmetric receive-side scaling",
// 2012.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

#include "classifier/key.h"
#include "dataplane/packet/headers.h"
#include "dataplane/packet/tunnel.h"

namespace portcullis::dataplane {

/// The key's period. Any two words that change places, 16 bits or a multiple apart, hash alike.
inline constexpr std::uint16_t kAffinityKey = 0x6d5a;
/// Affinities are shared out in so many slots; a device's table of queues has a multiple of them.
inline constexpr std::size_t kAffinitySlots = 128;

/// Which worker has which slot.
using SlotOwners = std::array<std::uint16_t, kAffinitySlots>;

/// As affinity() below, but of a packet inside of a configured tunnel it is that packet's, so that
/// it meets its flow whichever nodes exchange it.
std::uint16_t affinity_inside(std::span<const std::uint8_t> frame, const Tunnels& tunnels) noexcept;

/// Where the affinity cannot be told from a few words; see affinity().
std::uint16_t affinity_with_care(std::span<const std::uint8_t> frame) noexcept;

namespace affinity_detail {

/// The hash of eight bits that begin at bit `begin` of a 16-bit word, the highest bit being 0.
constexpr std::array<std::uint16_t, 256> hashes_of_byte(unsigned begin) {
  std::array<std::uint16_t, 256> hashes{};
  for (unsigned value = 0; value < hashes.size(); ++value) {
    for (unsigned bit = 0; bit < 8; ++bit) {
      if ((value << bit & 0x80U) != 0) {
        const unsigned turn = begin + bit;
        hashes.at(value) ^=
            static_cast<std::uint16_t>(kAffinityKey << turn | kAffinityKey >> (16U - turn));
      }
    }
  }
  return hashes;
}
inline constexpr std::array<std::uint16_t, 256> kHigh = hashes_of_byte(0);
inline constexpr std::array<std::uint16_t, 256> kLow = hashes_of_byte(8);

/// The key repeats every 16 bits, so the hash of many words is that of their exclusive or; and its
/// upper half is as its lower one.
inline std::uint16_t hash_of_word(std::uint16_t word) noexcept {
  return static_cast<std::uint16_t>(kHigh[word >> 8U] ^ kLow[word & 0xffU]);
}
/// `folded`: the exclusive or of the addresses' 32-bit words in network byte order.
inline std::uint16_t hash_of_folded(std::uint32_t folded) noexcept {
  folded = __builtin_bswap32(folded);
  return hash_of_word(static_cast<std::uint16_t>(folded ^ folded >> 16U));
}

}  // namespace affinity_detail

/// Of a source and a destination, which lie one behind the other. Shapes: bytes is 8 or 32.
inline std::uint16_t affinity_of_addresses(const std::uint8_t* addresses,
                                           std::size_t bytes) noexcept {
  std::uint32_t folded = 0;
  for (std::size_t i = 0; i < bytes; i += sizeof folded) {
    std::uint32_t word = 0;
    std::memcpy(&word, addresses + i, sizeof word);
    folded ^= word;
  }
  return affinity_detail::hash_of_folded(folded);
}

/// The affinity of a frame, from Ethernet on: of the addresses of its IP packet; of an ICMP error,
/// which may come from a third address, those of the packet it quotes, unless the error itself is
/// in fragments, of which only the first one quotes. 0 for what parse() drops or calls link.
inline std::uint16_t affinity(std::span<const std::uint8_t> frame) noexcept {
  constexpr std::size_t kV4 = wire::kEthernetBytes + wire::kIpv4Bytes;
  constexpr std::size_t kV6 = wire::kEthernetBytes + wire::kIpv6Bytes;
  if (frame.size() < kV4) {
    return 0;
  }
  const std::uint8_t* const ip = frame.data() + wire::kEthernetBytes;
  const std::uint16_t type = wire::load16(ip - 2);
  if (type == wire::kTypeIpv4 && ip[wire::kIpv4Protocol] != classifier::kProtocolIcmp) {
    return affinity_of_addresses(ip + wire::kIpv4Src, 8);
  }
  if (type == wire::kTypeIpv6 && frame.size() >= kV6 &&
      (ip[wire::kIpv6Next] == classifier::kProtocolTcp ||
       ip[wire::kIpv6Next] == classifier::kProtocolUdp)) {
    return affinity_of_addresses(ip + wire::kIpv6Src, 32);
  }
  return affinity_with_care(frame);
}

}  // namespace portcullis::dataplane
