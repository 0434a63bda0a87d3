// SPDX-License-Identifier: MIT
// What the guards of a trial measure: packets that policy denied and connections that were reset,
// of all workers together, in all and by namespace.
// Thread: plain data, pure functions.
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>

namespace portcullis::control {

enum class Measure : std::uint8_t { denied, resets };
inline constexpr std::size_t kMeasures = 2;

template <typename Number>
using ByMeasure = std::array<Number, kMeasures>;  // By Measure.

/// In all, and by the namespace of the policies that said so: those of both ends. What is built in,
/// and static rules, are of no namespace.
template <typename Number>
struct Measured {
  ByMeasure<Number> all{};
  std::map<std::string, ByMeasure<Number>, std::less<>> by_namespace;
};

/// Since start.
using Tally = Measured<std::uint64_t>;
/// A second.
using Rates = Measured<double>;

class Reconcile;

/// What the workers have counted.
Tally tally_of(const Reconcile& reconcile);

/// REQUIRES: `to` was counted `span` after `from`, and that is more than nothing.
Rates rates_between(const Tally& from, const Tally& to, std::chrono::duration<double> span);

/// As guards call it: "denied_per_second".
std::string_view to_string(Measure measure);

}  // namespace portcullis::control
