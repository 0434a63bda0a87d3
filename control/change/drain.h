// SPDX-License-Identifier: MIT
// Drainer: ends the time for which a change lets the flows go on that it denies.
// Thread: the control thread; it asks the workers on the lane. Time comes in as an argument.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>

#include "control/change/effect.h"
#include "control/loop.h"
#include "control/reconcile.h"

namespace portcullis::control {

/// One under way.
struct Drain {
  using Clock = std::chrono::steady_clock;

  std::uint64_t revision = 0;  // Whose denials wait.
  Clock::time_point until;
  std::optional<std::uint64_t> flows;  // That go on, as counted last. Nothing: nobody answered.
  Clock::time_point counted;           // When, or tried to be.

  /// Never less than 0.
  [[nodiscard]] std::chrono::seconds left(Clock::time_point now) const;
};

class Drainer {
 public:
  using Clock = Drain::Clock;
  /// How often those that go on are counted.
  static constexpr std::chrono::seconds kCountEvery{10};

  /// REQUIRES: both outlive it, and so does it the lane's jobs.
  Drainer(Lane& lane, Reconcile& reconcile) : lane_(lane), reconcile_(reconcile) {}

  /// A change was enforced, and decides for all flows from before it: for those of an earlier
  /// drain, too. It drains where it says for how long.
  void take_over(std::uint64_t revision, const Established& established, Clock::time_point now);
  /// How many go on, as answered at the beginning.
  void counted(std::uint64_t revision, const FlowAnswers& kept);
  /// Ends a drain whose time is over. To be called each second or so.
  void tick(Clock::time_point now);

  [[nodiscard]] const std::optional<Drain>& drain() const { return drain_; }

 private:
  void count(Clock::time_point now);
  void end();
  void end_flows(std::uint64_t revision);

  Lane& lane_;
  Reconcile& reconcile_;
  std::optional<Drain> drain_;
};

}  // namespace portcullis::control
