// SPDX-License-Identifier: MIT
// Regions: the address space of both families cut at every prefix that rules name. A region is a
// prefix less the longer prefixes inside it, so each address lies in exactly one.
// Thread: const after construction.
#pragma once

#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "base/ip.h"
#include "classifier/rule.h"

namespace portcullis::classifier {

using RegionIndex = std::uint32_t;

/// Sorted, disjoint runs [first, second) of regions.
using RegionRuns = std::vector<std::pair<RegionIndex, RegionIndex>>;

class Regions {
 public:
  struct Region {
    Prefix prefix;
    RegionIndex parent = 0;  // Of a root: itself.
    RegionIndex end = 0;     // One past the last region inside `prefix`.
  };

  /// Cuts at these prefixes and at 0.0.0.0/0 and ::/0.
  explicit Regions(std::vector<Prefix> prefixes);

  /// In order of address, a prefix before those inside it.
  [[nodiscard]] std::span<const Region> all() const { return regions_; }
  /// True when no region lies on both sides of the prefix's border.
  [[nodiscard]] bool cut_at(const Prefix& prefix) const;
  [[nodiscard]] RegionIndex locate(const IpAddress& address) const;

  /// The regions that the union of blocks is made of. REQUIRES: their prefixes were cut at.
  [[nodiscard]] RegionRuns inside(std::span<const Block> blocks) const;
  [[nodiscard]] RegionRuns inside(std::span<const Prefix> prefixes) const;

 private:
  [[nodiscard]] RegionIndex find(const Prefix& prefix) const;
  void add_block(const Block& block, RegionRuns& runs) const;

  std::vector<Region> regions_;
};

/// True when one of the runs holds the region.
bool holds(const RegionRuns& runs, RegionIndex region);

}  // namespace portcullis::classifier
