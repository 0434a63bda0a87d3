// SPDX-License-Identifier: MIT
#include "classifier/filter/address_points.h"

#include <algorithm>

#include "classifier/compiler/trie.h"

namespace portcullis::classifier {
namespace {

std::vector<Prefix> prefixes_of(std::span<const StaticRule> rules,
                                std::optional<Prefix> StaticRule::*side,
                                Family family) {
  std::vector<Prefix> prefixes;
  for (const StaticRule& rule : rules) {
    if (rule.*side && (rule.*side)->address.family == family) {
      prefixes.push_back(*(rule.*side));
    }
  }
  return prefixes;
}

constexpr std::uint32_t kLastV4 = 0xffff'ffffU;

std::vector<std::uint32_t> begins_of(const std::vector<Prefix>& prefixes) {
  std::vector<std::uint32_t> begins{0};
  for (const Prefix& prefix : prefixes) {
    begins.push_back(prefix.address.v4());
    const std::uint32_t last = last_address(prefix).v4();
    if (last != kLastV4) {
      begins.push_back(last + 1);
    }
  }
  std::ranges::sort(begins);
  begins.erase(std::unique(begins.begin(), begins.end()), begins.end());
  return begins;
}

}  // namespace

AddressPoints::AddressPoints(std::span<const StaticRule> rules,
                             std::optional<Prefix> StaticRule::*side)
    : begins_v4_(begins_of(prefixes_of(rules, side, Family::v4))),
      regions_v6_(prefixes_of(rules, side, Family::v6)) {}

PointRun AddressPoints::run_of(const std::optional<Prefix>& prefix, Family family) const {
  if (family == Family::v6) {
    const Prefix asked = prefix.value_or(prefix_of(IpAddress::from_v6({}), 0));
    const auto [first, end] = regions_v6_.inside(std::span(&asked, 1)).front();
    return {.first = point_of(first), .end = point_of(end)};
  }
  const auto points_v4 = static_cast<std::uint32_t>(begins_v4_.size());
  if (!prefix) {
    return {.first = 0, .end = points_v4};
  }
  const auto point_from = [this](std::uint32_t address) {
    return static_cast<std::uint32_t>(std::ranges::lower_bound(begins_v4_, address) -
                                      begins_v4_.begin());
  };
  const std::uint32_t last = last_address(*prefix).v4();
  return {.first = point_from(prefix->address.v4()),
          .end = last == kLastV4 ? points_v4 : point_from(last + 1)};
}

std::vector<std::uint32_t> AddressPoints::nodes_v6() const {
  std::vector<std::uint32_t> nodes(Trie::kNodeEntries);
  Trie trie(nodes, nodes, 8);
  for (std::uint32_t region = 0; region < regions_v6_.all().size(); ++region) {
    const Prefix& prefix = regions_v6_.all()[region].prefix;
    if (prefix.address.family == Family::v6) {
      trie.paint(prefix.address, prefix.length, point_of(region));
    }
  }
  return nodes;
}

}  // namespace portcullis::classifier
