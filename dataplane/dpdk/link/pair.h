// SPDX-License-Identifier: MIT
// What becomes of the links of a wire's two ports when one of them fails: the other is taken down,
// and let up again when it comes back, so that hosts on both sides notice what a cable would show.
// Owner: the control thread. Time is an argument, in nanoseconds, never decreasing.
//
// Invariants:
//   1. At most one end is held down by us. What a held end reads says nothing of its cable.
//   2. Only an end that is not held, reads down and is not settling is a reason to hold the other.
//   3. An end that was let up settles until it first reads up, or kSettleNs: a link takes its time,
//      and its partner must not be taken down for that.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace portcullis::dataplane {

class LinkPair {
 public:
  /// Cables agree on their speed in less, those of copper too.
  static constexpr std::uint64_t kSettleNs = 10'000'000'000;

  enum class Order : std::uint8_t { none, down, up };
  using Orders = std::array<Order, 2>;

  /// Both ends have just been started, and settle.
  explicit LinkPair(std::uint64_t now_ns) noexcept;

  /// What is to be done with each end, by what both read now. An order that is not followed is
  /// given again.
  [[nodiscard]] Orders check(std::array<bool, 2> up, std::uint64_t now_ns) noexcept;

  /// Whether this end is to be down because the other one is.
  [[nodiscard]] bool held(std::size_t end) const noexcept { return ends_.at(end).held; }

 private:
  struct End {
    bool held = false;
    std::uint64_t settled_ns = 0;  // From when on its reading down means something.
  };
  Order order_for(std::size_t end, std::array<bool, 2> up, std::uint64_t now_ns) noexcept;

  std::array<End, 2> ends_;
};

}  // namespace portcullis::dataplane
