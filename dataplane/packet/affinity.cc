// SPDX-License-Identifier: MIT
#include "dataplane/packet/affinity.h"

#include "dataplane/packet/parse.h"

namespace portcullis::dataplane {
namespace {

std::uint16_t affinity_of_pair(const AddressBytes& a, const AddressBytes& b) {
  std::array<std::uint8_t, 2 * sizeof(AddressBytes)> pair;
  std::memcpy(pair.data(), a.data(), sizeof a);
  std::memcpy(pair.data() + sizeof a, b.data(), sizeof b);
  return affinity_of_addresses(pair.data(), pair.size());  // What IPv4 leaves is zero, and adds 0.
}

std::uint16_t affinity_of(const Packet& packet) {
  switch (packet.kind) {
    case Packet::Kind::drop:
    case Packet::Kind::link:
    case Packet::Kind::unread:
      return 0;
    case Packet::Kind::related:
      if (packet.fragmented) {
        // It goes to the sender of what it quotes; the later fragments know no more of it.
        return affinity_of_pair(packet.source, packet.tuple.src);
      }
      break;
    case Packet::Kind::flow:
    case Packet::Kind::stateless:
    case Packet::Kind::fragment:
      break;
  }
  return affinity_of_pair(packet.tuple.src, packet.tuple.dst);
}

}  // namespace

/// Asks parse(), so that nobody reads tags, extension headers and quotes in two ways.
std::uint16_t affinity_with_care(std::span<const std::uint8_t> frame) noexcept {
  Packet packet;
  read_with_care(frame, 0, packet);
  return affinity_of(packet);
}

std::uint16_t affinity_inside(std::span<const std::uint8_t> frame,
                              const Tunnels& tunnels) noexcept {
  Packet outer;
  read_with_care(frame, 0, outer);
  Packet inner = outer;
  tunnels.look_inside(frame, inner);
  // The fragments of a tunnel's packet are dropped together, and so must meet, too.
  return affinity_of(inner.kind == Packet::Kind::drop ? outer : inner);
}

}  // namespace portcullis::dataplane
