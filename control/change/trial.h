// SPDX-License-Identifier: MIT
// Trial: a change that is enforced, but undone again unless somebody confirms it in time, or when
// one of its guards trips. It says what is to be done; Changes does it.
// Thread: the control thread. Time comes in as an argument.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>

#include "control/change/measures.h"
#include "control/change/terms.h"
#include "control/reconcile.h"

namespace portcullis::control {

class Trial {
 public:
  using Clock = std::chrono::steady_clock;
  /// What a guard looks back on, and how much of it after a change at least.
  static constexpr std::chrono::seconds kWindow{10};
  static constexpr std::chrono::seconds kSettle{3};
  /// When to try again what could not be undone.
  static constexpr std::chrono::seconds kRetry{10};

  /// What was counted since start, as of `now`. Once a second or so, trial or not: what was before
  /// a change must be known when it comes.
  void observe(Tally tally, Clock::time_point now);

  /// `tried` was enforced after `base`. Where a trial is under way already, this goes on from it:
  /// the base stays that of the first, the time begins anew.
  void begin(const Revision& tried, const Revision& base, Terms terms, Clock::time_point now);
  /// Confirmed, or undone.
  void end() { pending_.reset(); }

  [[nodiscard]] bool pending() const { return pending_.has_value(); }
  /// It is being undone: nothing else may change meanwhile.
  [[nodiscard]] bool is_undoing() const { return pending_ && pending_->undoing; }
  void set_undoing() { pending_->undoing = true; }
  void undoing_failed(Clock::time_point now);

  /// Why it must be undone now, if it must. REQUIRES: pending().
  [[nodiscard]] std::optional<std::string> reason_to_undo(Clock::time_point now) const;

  // REQUIRES of all below: pending().
  [[nodiscard]] const Revision& tried() const { return pending_->tried; }
  [[nodiscard]] const Revision& base() const { return pending_->base; }
  [[nodiscard]] const Terms& terms() const { return pending_->terms; }
  /// Until it is undone; never less than 0.
  [[nodiscard]] std::chrono::seconds left(Clock::time_point now) const;
  /// Of the time ahead of the trial.
  [[nodiscard]] const Rates& rates_before() const { return pending_->before; }

  /// Of late; nothing until kSettle has passed in a trial.
  [[nodiscard]] std::optional<Rates> rates() const;

 private:
  struct Pending {
    Revision tried;
    Revision base;
    Terms terms;
    Clock::time_point deadline;
    Rates before;
    bool undoing = false;
  };
  struct Sample {
    Clock::time_point time;
    Tally tally;
  };

  std::optional<Pending> pending_;
  std::deque<Sample> samples_;  // Of the last kWindow; in a trial none from ahead of it.
};

/// A trial that was undone by itself.
struct Undone {
  Instant time;
  std::uint64_t revision = 0;
  std::uint64_t base = 0;
  std::string reason;
};

}  // namespace portcullis::control
