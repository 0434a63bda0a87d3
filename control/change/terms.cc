// SPDX-License-Identifier: MIT
#include "control/change/terms.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <optional>

#include <fmt/format.h>

namespace portcullis::control {
namespace {

constexpr std::string_view kMeasure = "denied_per_second";

std::string_view trimmed(std::string_view text) {
  const std::size_t first = text.find_first_not_of(' ');
  const std::size_t last = text.find_last_not_of(' ');
  return first == std::string_view::npos ? std::string_view()
                                         : text.substr(first, last - first + 1);
}

std::optional<double> number_of(std::string_view text) {
  double number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  const bool whole = error == std::errc{} && end == text.data() + text.size();
  return whole && std::isfinite(number) ? std::optional(number) : std::nullopt;
}

}  // namespace

Result<Guard> Guard::parse(std::string_view text) {
  const auto refused = [&](std::string_view why) {
    return fail(
        fmt::format("guard '{}': {}; write \"{} < 500\", packets a second, or \"{} < 2x\", "
                    "twice as many as before",
                    text,
                    why,
                    kMeasure,
                    kMeasure));
  };
  const std::size_t less = text.find('<');
  if (less == std::string_view::npos) {
    return refused("it has no '<'");
  }
  if (trimmed(text.substr(0, less)) != kMeasure) {
    return refused(fmt::format("it does not measure {}", kMeasure));
  }
  std::string_view bound = trimmed(text.substr(less + 1));
  const bool is_factor = bound.ends_with('x');
  if (is_factor) {
    bound.remove_suffix(1);
  }
  const auto number = number_of(bound);
  if (!number || *number <= 0) {
    return refused("its bound is no number above 0");
  }
  return Guard{.bound = *number, .is_factor = is_factor, .text = std::string(trimmed(text))};
}

double Guard::limit(double before) const {
  return is_factor ? bound * std::max(before, 1.0) : bound;
}

}  // namespace portcullis::control
