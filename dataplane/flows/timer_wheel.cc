// SPDX-License-Identifier: MIT
#include "dataplane/flows/timer_wheel.h"

#include <algorithm>

namespace portcullis::dataplane {

void TimerWheel::link(std::uint32_t group, std::uint32_t tick) noexcept {
  std::uint32_t& first = slot(tick);
  timers_[group] = {.next = first, .tick = tick};
  if (first != kNone) {
    timers_[first].previous = group;
  }
  first = group;
}

void TimerWheel::unlink(std::uint32_t group) noexcept {
  const Timer timer = timers_[group];
  (timer.previous == kNone ? slot(timer.tick) : timers_[timer.previous].next) = timer.next;
  if (timer.next != kNone) {
    timers_[timer.next].previous = timer.previous;
  }
  timers_[group] = {};
}

void TimerWheel::set(std::uint32_t group, std::uint64_t deadline_ns) noexcept {
  const std::uint64_t up = (std::uint64_t{1} << kTickBits) - 1;
  const std::uint64_t due = (deadline_ns + up) >> kTickBits;
  const auto tick =
      static_cast<std::uint32_t>(std::clamp<std::uint64_t>(due, tick_ + 1, tick_ + (kSlots - 1)));
  if (timers_[group].tick <= tick) {
    return;
  }
  if (timers_[group].tick != kNotSet) {
    unlink(group);
  }
  link(group, tick);
}

std::uint32_t TimerWheel::take_due(std::uint64_t now_ns) noexcept {
  const auto now = static_cast<std::uint32_t>(now_ns >> kTickBits);
  for (;;) {
    const std::uint32_t group = slot(tick_);
    if (group != kNone) {
      unlink(group);
      return group;
    }
    if (tick_ >= now) {
      return kNone;
    }
    // After a longer silence one turn passes all there is.
    tick_ = std::max(tick_ + 1, now - std::min(now, kSlots));
  }
}

}  // namespace portcullis::dataplane
