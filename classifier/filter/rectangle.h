// SPDX-License-Identifier: MIT
// A static rule as the filter's compiler sees it: runs of source and destination points.
// Thread: plain data.
#pragma once

#include <cstdint>

namespace portcullis::classifier {

/// Points first..end-1: those of one prefix. Two runs are nested or apart.
struct PointRun {
  std::uint32_t first = 0;
  std::uint32_t end = 0;

  [[nodiscard]] std::uint32_t width() const { return end - first; }
  [[nodiscard]] bool holds(std::uint32_t point) const { return first <= point && point < end; }
  friend bool operator==(const PointRun&, const PointRun&) = default;
};

/// A rule that names no address is two of them, one a family.
struct Rectangle {
  PointRun src;
  PointRun dst;
  std::uint32_t rule = 0;  // Its index in RuleSet::static_rules.
};

}  // namespace portcullis::classifier
