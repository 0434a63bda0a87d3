// SPDX-License-Identifier: MIT
// On what terms a change is on trial: how long until it must be confirmed, and what it may do to
// the traffic meanwhile.
// Thread: plain data, pure functions.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "control/change/measures.h"

namespace portcullis::control {

/// A bound on what is measured a second, of all workers together.
struct Guard {
  enum class Scope : std::uint8_t {
    all,
    one_namespace,
    any_namespace,  // Each by itself: the bound holds for every one.
  };
  Measure measure = Measure::denied;
  Scope scope = Scope::all;
  std::string name_space;  // Of one_namespace.
  double bound = 0;        // A second; or how many times as many as ahead of the change.
  bool is_factor = false;  // The latter.
  std::string text;        // As it was asked for.

  /// "denied_per_second < 500", or "< 2x": less than twice as many as before. The measure is
  /// denied_per_second or resets_per_second, and of one namespace with {namespace="shop"} behind
  /// it, of any with {namespace=*}. Errors: other words; a bound that is not above 0.
  static Result<Guard> parse(std::string_view text);

  /// How many a second trip the guard, after so many `before` the change. A quiet network is no
  /// reason to trip at the first denial: fewer than one a second count as one.
  [[nodiscard]] double limit(double before) const;
};

/// What a guard looks at, and how it stands.
struct GuardFigure {
  std::string name_space;  // Of a guard by namespace; of any: the one that is nearest its limit.
  double now = 0;
  double before = 0;
  double limit = 0;
  [[nodiscard]] bool trips() const { return now >= limit; }
};
/// Of any namespace where there is none yet: nothing, within a limit for no namespace.
GuardFigure figure_of(const Guard& guard, const Rates& now, const Rates& before);

struct Terms {
  std::chrono::seconds confirm_within{};
  std::vector<Guard> guards;
};

}  // namespace portcullis::control
