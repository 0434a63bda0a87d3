// SPDX-License-Identifier: MIT
#include "dataplane/packet/non_ip.h"

#include <algorithm>
#include <array>

#include "dataplane/packet/headers.h"

namespace portcullis::dataplane {
namespace {

/// 802.1Q, 8.6.3: addresses that a bridge keeps to its own link, of which the last nibble tells
/// what they are for.
bool is_to_bridges(const std::uint8_t* mac) {
  constexpr std::array<std::uint8_t, 5> kReserved{0x01, 0x80, 0xc2, 0x00, 0x00};
  return std::equal(kReserved.begin(), kReserved.end(), mac) && mac[5] <= 0x0f;
}

/// LLC may carry IP, too (SNAP): it must be spanning tree's and nobody else's.
bool is_spanning_tree(std::span<const std::uint8_t> frame, std::size_t offset) {
  if (frame.size() < offset + wire::kLlcBytes || !is_to_bridges(frame.data())) {
    return false;
  }
  const std::uint8_t* const llc = frame.data() + offset;
  return llc[0] == wire::kLlcStp && llc[1] == wire::kLlcStp && llc[2] == wire::kLlcUnnumbered;
}

}  // namespace

NonIp::NonIp(const config::NonIp& options) : types_(options.allow) {
  arp_ = std::any_of(types_.begin(), types_.end(), [](const config::NumberRange& types) {
    return types.first <= wire::kTypeArp && wire::kTypeArp <= types.second;
  });
}

void NonIp::admit(std::span<const std::uint8_t> frame, Packet& packet) const noexcept {
  const std::size_t offset = packet.l3_offset;
  if (packet.reason != DropReason::unsupported_l3 || offset < wire::kEthernetBytes ||
      offset > frame.size()) {
    return;
  }
  std::uint16_t type = wire::load16(frame.data() + offset - 2);
  if (type < wire::kTypeMin) {
    if (!is_spanning_tree(frame, offset)) {
      return;
    }
    type = config::kNonIpStp;
  }
  const bool allowed =
      std::any_of(types_.begin(), types_.end(), [type](const config::NumberRange& types) {
        return types.first <= type && type <= types.second;
      });
  if (allowed) {
    packet.kind = Packet::Kind::unread;
    packet.reason = DropReason::none;
  }
}

}  // namespace portcullis::dataplane
