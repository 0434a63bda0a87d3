// SPDX-License-Identifier: MIT
#include "control/change/terms.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstddef>
#include <optional>
#include <utility>

#include <fmt/format.h>

namespace portcullis::control {
namespace {

constexpr const char* kForms =
    "write \"denied_per_second < 500\", packets a second, or \"denied_per_second < 2x\", twice as "
    "many as before; resets_per_second, connections; and for one namespace or any by itself "
    "'denied_per_second{namespace=\"shop\"} < 2x' or 'denied_per_second{namespace=*} < 2x'";

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

std::optional<Measure> measure_of(std::string_view text) {
  for (const Measure measure : {Measure::denied, Measure::resets}) {
    if (text == to_string(measure)) {
      return measure;
    }
  }
  return std::nullopt;
}

/// Takes `word`, and blanks ahead of it, off the front of a text. False: another word is there.
bool take(std::string_view& text, std::string_view word) {
  const std::string_view rest = trimmed(text);
  if (!rest.starts_with(word)) {
    return false;
  }
  text = rest.substr(word.size());
  return true;
}

/// What stands in {...}: namespace="shop" or namespace=*. Errors: it is something else.
Result<void> read_scope(std::string_view text, Guard& guard) {
  if (!take(text, "namespace") || !take(text, "=")) {
    return fail("in {} stands namespace=, and nothing else");
  }
  const std::string_view value = trimmed(text);
  if (value == "*") {
    guard.scope = Guard::Scope::any_namespace;
    return {};
  }
  const bool quoted = value.size() > 2 && value.starts_with('"') && value.ends_with('"');
  const std::string_view name = quoted ? value.substr(1, value.size() - 2) : std::string_view();
  if (name.empty() || name.find('"') != std::string_view::npos) {
    return fail("its namespace is neither a name in \"\" nor *");
  }
  guard.scope = Guard::Scope::one_namespace;
  guard.name_space = std::string(name);
  return {};
}

/// What stands ahead of the '<'.
Result<void> read_measured(std::string_view text, Guard& guard) {
  const std::size_t brace = text.find('{');
  const auto measure = measure_of(trimmed(text.substr(0, brace)));
  if (!measure) {
    return fail(fmt::format(
        "it measures neither {} nor {}", to_string(Measure::denied), to_string(Measure::resets)));
  }
  guard.measure = *measure;
  if (brace == std::string_view::npos) {
    return {};
  }
  if (!text.ends_with('}')) {
    return fail("its { is not closed");
  }
  return read_scope(text.substr(brace + 1, text.size() - brace - 2), guard);
}

/// What stands behind it.
Result<void> read_bound(std::string_view text, Guard& guard) {
  guard.is_factor = text.ends_with('x');
  if (guard.is_factor) {
    text.remove_suffix(1);
  }
  const auto number = number_of(text);
  if (!number || *number <= 0) {
    return fail("its bound is no number above 0");
  }
  guard.bound = *number;
  return {};
}

double rate_in(const Rates& rates, const std::string& name_space, Measure measure) {
  const auto found = rates.by_namespace.find(name_space);
  return found == rates.by_namespace.end() ? 0
                                           : found->second.at(static_cast<std::size_t>(measure));
}

}  // namespace

Result<Guard> Guard::parse(std::string_view text) {
  Guard guard{.text = std::string(trimmed(text))};
  const std::size_t less = text.find('<');
  Result<void> read = less == std::string_view::npos
                          ? fail("it has no '<'")
                          : read_measured(trimmed(text.substr(0, less)), guard);
  if (read) {
    read = read_bound(trimmed(text.substr(less + 1)), guard);
  }
  if (!read) {
    return fail(fmt::format("guard '{}': {}; {}", text, read.error().message, kForms));
  }
  return guard;
}

double Guard::limit(double before) const {
  return is_factor ? bound * std::max(before, 1.0) : bound;
}

GuardFigure figure_of(const Guard& guard, const Rates& now, const Rates& before) {
  const auto index = static_cast<std::size_t>(guard.measure);
  if (guard.scope == Guard::Scope::all) {
    return {.now = now.all.at(index),
            .before = before.all.at(index),
            .limit = guard.limit(before.all.at(index))};
  }
  const auto figure_in = [&](const std::string& name_space) {
    const double was = rate_in(before, name_space, guard.measure);
    return GuardFigure{.name_space = name_space,
                       .now = rate_in(now, name_space, guard.measure),
                       .before = was,
                       .limit = guard.limit(was)};
  };
  if (guard.scope == Guard::Scope::one_namespace) {
    return figure_in(guard.name_space);
  }
  GuardFigure nearest{.limit = guard.limit(0)};
  for (const auto& [name_space, rates] : now.by_namespace) {
    GuardFigure figure = figure_in(name_space);
    if (figure.now * nearest.limit > nearest.now * figure.limit) {
      nearest = std::move(figure);
    }
  }
  return nearest;
}

}  // namespace portcullis::control
