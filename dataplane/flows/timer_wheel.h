// SPDX-License-Identifier: MIT
// When groups of flows are to be looked at: a hashed timing wheel (Varghese and Lauck, SOSP 1987).
// A timer stands for a group, whose first deadline it keeps. Per flow it would take eight bytes of
// links and, each time that one begins or ends, two more lines of memory.
// Owner: one worker. Time is an argument, in nanoseconds, never decreasing.
//
// Each slot of the wheel is a list of the groups that are due in one tick. What is due beyond the
// wheel's last tick is put there; whoever looks at it then finds that it is early,
// and sets it anew.
//
//   Timer, 12 bytes: | next 4 | previous 4 | tick 4 |
//
// Invariants:
//   1. A timer that is set is in the list of its tick's slot, and in no other list.
//   2. Ticks of timers that are set are less than a turn of the wheel ahead of the tick under way.
//      Those behind it are passed within the next turn.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "base/huge_pages.h"

namespace portcullis::dataplane {

class TimerWheel {
 public:
  static constexpr std::uint32_t kNone = ~std::uint32_t{0};
  /// A tick is 2^kTickBits nanoseconds, 1.07 s: timeouts are whole seconds.
  static constexpr unsigned kTickBits = 30;

  /// Takes memory for the timers of so many groups, none of them set.
  explicit TimerWheel(std::size_t groups) : timers_(groups) { slots_.fill(kNone); }

  /// The group is due at this time, rounded up to ticks, unless its timer is set to an earlier one.
  void set(std::uint32_t group, std::uint64_t deadline_ns) noexcept;

  /// A group that is due, whose timer is no longer set; kNone: there is no other. Bounded by a turn
  /// of the wheel, however long ago it was called last.
  std::uint32_t take_due(std::uint64_t now_ns) noexcept;

  void prefetch(std::uint32_t group) const noexcept { __builtin_prefetch(&timers_[group], 1); }

 private:
  static constexpr std::uint32_t kSlots = 256;
  static constexpr std::uint32_t kNotSet = ~std::uint32_t{0};
  struct Timer {
    std::uint32_t next = kNone;
    std::uint32_t previous = kNone;  // kNone: it is the first of its list.
    std::uint32_t tick = kNotSet;
  };

  std::uint32_t& slot(std::uint32_t tick) noexcept { return slots_[tick % kSlots]; }
  void link(std::uint32_t group, std::uint32_t tick) noexcept;
  void unlink(std::uint32_t group) noexcept;

  HugeVector<Timer> timers_;
  std::array<std::uint32_t, kSlots> slots_{};  // The first group of each.
  std::uint32_t tick_ = 0;                     // Under way: its slot is being emptied.
};

}  // namespace portcullis::dataplane
