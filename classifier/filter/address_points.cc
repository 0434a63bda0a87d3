// SPDX-License-Identifier: MIT
#include "classifier/filter/address_points.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "classifier/compiler/trie.h"

namespace portcullis::classifier {
namespace {

/// A trie above this size leaves the cache, and a search through limits is faster.
constexpr std::size_t kTrieBytesMax = std::size_t{1} << 20U;

Regions regions_of(std::span<const StaticRule> rules, std::optional<Prefix> StaticRule::*side) {
  std::vector<Prefix> prefixes;
  for (const StaticRule& rule : rules) {
    if (rule.*side) {
      prefixes.push_back(*(rule.*side));
    }
  }
  return Regions(std::move(prefixes));
}

/// Where the point changes along the IPv4 addresses: first address and point of each stretch.
std::vector<std::pair<std::uint32_t, std::uint32_t>> stretches_v4(const Regions& regions) {
  std::vector<std::pair<std::uint32_t, std::uint32_t>> out;
  std::vector<std::uint32_t> open;
  const auto begin = [&](std::uint32_t address, std::uint32_t point) {
    if (!out.empty() && out.back().first == address) {
      out.back().second = point;
    } else if (out.empty() || out.back().second != point) {
      out.emplace_back(address, point);
    }
  };
  /// Ends the innermost open prefix; the one around it goes on.
  const auto close = [&] {
    const IpAddress last = last_address(regions.all()[open.back()].prefix);
    open.pop_back();
    if (!open.empty() && last.v4() != 0xffff'ffffU) {
      begin(last.v4() + 1, open.back());
    }
  };
  for (std::uint32_t point = 0; point < regions.all().size(); ++point) {
    const Prefix& prefix = regions.all()[point].prefix;
    if (prefix.address.family != Family::v4) {
      break;
    }
    while (!open.empty() && !regions.all()[open.back()].prefix.contains(prefix)) {
      close();
    }
    begin(prefix.address.v4(), point);
    open.push_back(point);
  }
  while (!open.empty()) {
    close();
  }
  return out;
}

/// Lays the limits out level by level, only as far as some address leads.
void make_search(const Regions& regions, PointMap& map) {
  const auto stretches = stretches_v4(regions);
  const std::size_t last_rank = stretches.size() - 1;
  for (const auto& [address, point] : stretches) {
    map.ranks_v4.push_back(point);
  }
  constexpr std::size_t kWays = AddressSearch::kLimits + 1;
  std::size_t leaves = 1;  // Ranks below a node of the level at hand.
  while (leaves <= last_rank || map.search.depth == 0) {
    leaves *= kWays;
    ++map.search.depth;
  }
  PORTCULLIS_CHECK(map.search.depth <= AddressSearch::kLevelsMax);
  for (std::uint32_t level = 0; level < map.search.depth; ++level) {
    map.search.levels[level] =
        static_cast<std::uint32_t>(map.limits_v4.size() / AddressSearch::kLimits);
    const std::size_t below = leaves / kWays;
    for (std::size_t node = 0; node <= last_rank / leaves; ++node) {
      for (std::size_t limit = 1; limit < kWays; ++limit) {
        const std::size_t next = node * leaves + limit * below;  // The rank beyond the limit.
        const std::uint32_t last = next <= last_rank ? stretches[next].first - 1 : 0xffff'ffffU;
        map.limits_v4.push_back(last - AddressSearch::kBias);
      }
    }
    leaves = below;
  }
}

}  // namespace

std::size_t PointMap::bytes() const {
  return (root_v4.size() + nodes_v4.size() + limits_v4.size() + ranks_v4.size() + nodes_v6.size()) *
         sizeof(std::uint32_t);
}

AddressPoints::AddressPoints(std::span<const StaticRule> rules,
                             std::optional<Prefix> StaticRule::*side)
    : regions_(regions_of(rules, side)) {}

PointRun AddressPoints::run_of(const std::optional<Prefix>& prefix, Family family) const {
  const Prefix everything =
      prefix_of(family == Family::v4 ? IpAddress::from_v4(0) : IpAddress::from_v6({}), 0);
  const Prefix& asked = prefix ? *prefix : everything;
  const auto runs = regions_.inside(std::span(&asked, 1));
  return {.first = runs.front().first, .end = runs.front().second};
}

PointMap AddressPoints::map() const {
  PointMap map{.root_v4 = std::vector<std::uint32_t>(Trie::kRootEntries),
               .nodes_v6 = std::vector<std::uint32_t>(Trie::kNodeEntries)};
  Trie v4(map.root_v4, map.nodes_v4, 16);
  Trie v6(map.nodes_v6, map.nodes_v6, 8);
  for (std::uint32_t point = 0; point < count(); ++point) {
    const Prefix& prefix = regions_.all()[point].prefix;
    const bool is_v4 = prefix.address.family == Family::v4;
    if (!is_v4 || map.nodes_v4.size() * sizeof(std::uint32_t) <= kTrieBytesMax) {
      (is_v4 ? v4 : v6).paint(prefix.address, prefix.length, point);
    }
  }
  if (map.nodes_v4.size() * sizeof(std::uint32_t) > kTrieBytesMax) {
    map.root_v4.clear();
    map.nodes_v4.clear();
    make_search(regions_, map);
  }
  return map;
}

}  // namespace portcullis::classifier
