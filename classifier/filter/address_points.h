// SPDX-License-Identifier: MIT
// From the addresses of one side to their points: addresses that no prefix of a rule tells apart.
// Those of IPv4 are stretches in order of address; those of IPv6 are the prefixes, each less the
// longer ones inside it. The points of any prefix are one run. Thread: one.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "classifier/compiler/regions.h"
#include "classifier/filter/limit_search.h"
#include "classifier/filter/rectangle.h"
#include "classifier/rule.h"

namespace portcullis::classifier {

class AddressPoints {
 public:
  AddressPoints(std::span<const StaticRule> rules, std::optional<Prefix> StaticRule::*side);

  [[nodiscard]] std::size_t count() const { return point_of(regions_v6_.all().size()); }
  /// The points inside a prefix; absent: every address of the family.
  [[nodiscard]] PointRun run_of(const std::optional<Prefix>& prefix, Family family) const;

  /// Finds the point of an IPv4 address.
  [[nodiscard]] SearchTree search_v4() const { return make_search(begins_v4_); }
  /// Finds that of an IPv6 address: a trie of 8 bits a level; node 0 is the root.
  [[nodiscard]] std::vector<std::uint32_t> nodes_v6() const;

 private:
  /// Of a region of IPv6: behind those of IPv4, all of which is region 0.
  [[nodiscard]] std::uint32_t point_of(std::size_t region_v6) const {
    return static_cast<std::uint32_t>(begins_v4_.size() + region_v6 - 1);
  }

  std::vector<std::uint32_t> begins_v4_;  // By point.
  Regions regions_v6_;
};

}  // namespace portcullis::classifier
