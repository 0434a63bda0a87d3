// SPDX-License-Identifier: MIT
// From the addresses of one side to their points: the prefixes that rules name, each less the
// longer ones inside it. Thread: one.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "classifier/compiler/regions.h"
#include "classifier/filter/layout.h"
#include "classifier/filter/rectangle.h"
#include "classifier/rule.h"

namespace portcullis::classifier {

/// What finds the point of an address: for IPv4 a trie, or where that would be large a search tree.
struct PointMap {
  std::vector<std::uint32_t> root_v4;
  std::vector<std::uint32_t> nodes_v4;
  std::vector<std::uint32_t> limits_v4;
  std::vector<std::uint32_t> ranks_v4;
  std::vector<std::uint32_t> nodes_v6;
  AddressSearch search;

  [[nodiscard]] std::size_t bytes() const;
};

class AddressPoints {
 public:
  AddressPoints(std::span<const StaticRule> rules, std::optional<Prefix> StaticRule::*side);

  [[nodiscard]] std::size_t count() const { return regions_.all().size(); }
  /// The points inside a prefix; absent: every address of the family.
  [[nodiscard]] PointRun run_of(const std::optional<Prefix>& prefix, Family family) const;
  [[nodiscard]] PointMap map() const;

 private:
  Regions regions_;
};

}  // namespace portcullis::classifier
