// SPDX-License-Identifier: MIT
// What becomes of the tracked flows that a change denies: they end, go on for a time, or go on
// until they end by themselves. New flows are judged by the new table in any case.
// Thread: plain data, pure functions.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string_view>

#include "config/config.h"

namespace portcullis::control {

struct Established {
  enum class Fate : std::uint8_t { revalidate, drain, keep };
  Fate fate = Fate::revalidate;
  std::chrono::seconds drain{};  // How long, of `drain`.

  /// As long as nobody says how long.
  static constexpr std::chrono::seconds kDrainDefault{300};
  static constexpr std::chrono::seconds kDrainMax{604'800};  // A week.
};

/// As its enumerator.
std::string_view to_string(Established::Fate fate);
/// Nothing: it is no such word.
std::optional<Established::Fate> fate_of(std::string_view word);

/// What the configuration has for changes that say nothing.
Established as_configured(const config::Conntrack& options);

}  // namespace portcullis::control
