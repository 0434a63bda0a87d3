// SPDX-License-Identifier: MIT
#include "classifier/compiler/regions.h"

#include <algorithm>

#include "base/check.h"

namespace portcullis::classifier {
namespace {

/// Sorts runs and joins those that touch.
RegionRuns joined(RegionRuns runs) {
  std::ranges::sort(runs);
  RegionRuns out;
  for (const auto& run : runs) {
    if (!out.empty() && run.first <= out.back().second) {
      out.back().second = std::max(out.back().second, run.second);
    } else {
      out.push_back(run);
    }
  }
  return out;
}

}  // namespace

Regions::Regions(std::vector<Prefix> prefixes) {
  prefixes.push_back(prefix_of(IpAddress::from_v4(0), 0));
  prefixes.push_back(prefix_of(IpAddress::from_v6({}), 0));
  std::ranges::sort(prefixes);
  prefixes.erase(std::unique(prefixes.begin(), prefixes.end()), prefixes.end());

  regions_.reserve(prefixes.size());
  std::vector<RegionIndex> open;  // The prefixes that hold the one at hand, outermost first.
  for (const Prefix& prefix : prefixes) {
    const auto index = static_cast<RegionIndex>(regions_.size());
    while (!open.empty() && !regions_[open.back()].prefix.contains(prefix)) {
      regions_[open.back()].end = index;
      open.pop_back();
    }
    const RegionIndex parent = open.empty() ? index : open.back();
    regions_.push_back({.prefix = prefix, .parent = parent});
    open.push_back(index);
  }
  for (const RegionIndex index : open) {
    regions_[index].end = static_cast<RegionIndex>(regions_.size());
  }
}

RegionIndex Regions::locate(const IpAddress& address) const {
  const Prefix host{.address = address, .length = static_cast<std::uint8_t>(address.width())};
  const auto after = std::ranges::upper_bound(regions_, host, {}, &Region::prefix);
  // A root of the family stands before every address of it.
  auto index = static_cast<RegionIndex>(after - regions_.begin() - 1);
  while (!regions_[index].prefix.contains(address)) {
    index = regions_[index].parent;
  }
  return index;
}

RegionRuns Regions::inside(std::span<const Block> blocks) const {
  RegionRuns runs;
  for (const Block& block : blocks) {
    add_block(block, runs);
  }
  return joined(std::move(runs));
}

RegionRuns Regions::inside(std::span<const Prefix> prefixes) const {
  RegionRuns runs;
  for (const Prefix& prefix : prefixes) {
    add_block({.cidr = prefix}, runs);
  }
  return joined(std::move(runs));
}

void Regions::add_block(const Block& block, RegionRuns& runs) const {
  RegionRuns holes;
  for (const Prefix& except : block.except) {
    const RegionIndex hole = find(except);
    holes.emplace_back(hole, regions_[hole].end);
  }
  RegionIndex next = find(block.cidr);
  const RegionIndex end = regions_[next].end;
  for (const auto& [hole, hole_end] : joined(std::move(holes))) {
    if (hole_end <= next || hole >= end) {
      continue;
    }
    if (hole > next) {
      runs.emplace_back(next, hole);
    }
    next = hole_end;
  }
  if (next < end) {
    runs.emplace_back(next, end);
  }
}

bool Regions::cut_at(const Prefix& prefix) const {
  return std::ranges::binary_search(regions_, prefix, {}, &Region::prefix);
}

RegionIndex Regions::find(const Prefix& prefix) const {
  const auto found = std::ranges::lower_bound(regions_, prefix, {}, &Region::prefix);
  PORTCULLIS_CHECK(found != regions_.end() && found->prefix == prefix);
  return static_cast<RegionIndex>(found - regions_.begin());
}

bool holds(const RegionRuns& runs, RegionIndex region) {
  const auto after =
      std::ranges::upper_bound(runs, region, {}, &std::pair<RegionIndex, RegionIndex>::first);
  return after != runs.begin() && region < std::prev(after)->second;
}

}  // namespace portcullis::classifier
