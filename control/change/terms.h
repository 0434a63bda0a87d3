// SPDX-License-Identifier: MIT
// On what terms a change is on trial: how long until it must be confirmed, and what it may do to
// the traffic meanwhile.
// Thread: plain data, pure functions.
#pragma once

#include <chrono>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace portcullis::control {

/// A bound on the packets that policy denies, of all workers together.
struct Guard {
  double bound = 0;        // Packets a second; or how many times as many as ahead of the change.
  bool is_factor = false;  // The latter.
  std::string text;        // As it was asked for.

  /// "denied_per_second < 500", or "denied_per_second < 2x": less than twice as many as before.
  /// Errors: other words; a bound that is not above 0.
  static Result<Guard> parse(std::string_view text);

  /// Packets a second from which on the guard trips, after so many `before` the change. A quiet
  /// network is no reason to trip at the first denial: fewer than one packet a second count as one.
  [[nodiscard]] double limit(double before) const;
};

struct Terms {
  std::chrono::seconds confirm_within{};
  std::vector<Guard> guards;
};

}  // namespace portcullis::control
