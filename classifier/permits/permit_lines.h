// SPDX-License-Identifier: MIT
// Permit lines: which ports an outcome allows, forgetting which rule does; each set of ports once.
// Thread: one.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <unordered_map>
#include <vector>

#include "classifier/compiler/outcomes.h"
#include "classifier/layout.h"

namespace portcullis::classifier {

class PermitLines {
 public:
  /// `outcomes` holds the lines that outcome words refer to; it must outlive this.
  explicit PermitLines(const Outcomes& outcomes);

  /// The line of an outcome word: a number, or kLineWalk.
  std::uint32_t line_of(std::uint32_t outcome);
  /// The line of what both lines allow.
  std::uint32_t both(std::uint32_t a, std::uint32_t b);
  /// The same where it is plain: nothing, or one of both.
  static std::optional<std::uint32_t> known_of_both(std::uint32_t a, std::uint32_t b);

  /// PermitLines as words, in order of number.
  [[nodiscard]] const std::vector<std::uint32_t>& words() const { return lines_.words(); }
  [[nodiscard]] std::size_t count() const { return words().size() / PermitLine::kToggles; }

 private:
  [[nodiscard]] std::span<const std::uint32_t> toggles_of(std::uint32_t line) const;
  void collect(std::uint32_t outcome, std::uint32_t begin, std::uint32_t end);
  void toggle_to(bool allowed, std::uint32_t at);
  std::uint32_t place_toggles();

  const Outcomes& outcomes_;
  Intern lines_;
  std::vector<std::uint32_t> line_of_port_line_;  // Of an outcome by the index of its port line.
  std::unordered_map<std::uint64_t, std::uint32_t> line_of_pair_;
  std::vector<std::uint32_t> toggles_;  // Of the line being made.
};

inline std::optional<std::uint32_t> PermitLines::known_of_both(std::uint32_t a, std::uint32_t b) {
  if (a == kLineNothing || b == kLineNothing) {
    return kLineNothing;
  }
  if (a == kLineEverything || a == b) {
    return b;
  }
  if (b == kLineEverything) {
    return a;
  }
  if (a == kLineWalk || b == kLineWalk) {
    return kLineWalk;
  }
  return std::nullopt;
}

}  // namespace portcullis::classifier
