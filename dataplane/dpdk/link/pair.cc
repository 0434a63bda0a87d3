// SPDX-License-Identifier: MIT
#include "dataplane/dpdk/link/pair.h"

namespace portcullis::dataplane {

LinkPair::LinkPair(std::uint64_t now_ns) noexcept {
  for (End& end : ends_) {
    end.settled_ns = now_ns + kSettleNs;
  }
}

LinkPair::Orders LinkPair::check(std::array<bool, 2> up, std::uint64_t now_ns) noexcept {
  for (std::size_t end = 0; end < ends_.size(); ++end) {
    if (up.at(end)) {
      ends_.at(end).settled_ns = now_ns;
    }
  }
  return {order_for(0, up, now_ns), order_for(1, up, now_ns)};
}

LinkPair::Order LinkPair::order_for(std::size_t end,
                                    std::array<bool, 2> up,
                                    std::uint64_t now_ns) noexcept {
  End& self = ends_.at(end);
  const End& other = ends_.at(1 - end);
  const bool other_up = up.at(1 - end);
  if (self.held) {
    // The other end cannot be held, so this is its cable.
    if (other_up) {
      self = {.held = false, .settled_ns = now_ns + kSettleNs};
      return Order::up;
    }
    return up.at(end) ? Order::down : Order::none;
  }
  const bool other_gone = !other.held && !other_up && now_ns >= other.settled_ns;
  // Where both are gone, the one that comes back first is held then.
  if (other_gone && up.at(end)) {
    self.held = true;
    return Order::down;
  }
  return Order::none;
}

}  // namespace portcullis::dataplane
