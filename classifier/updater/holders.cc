// SPDX-License-Identifier: MIT
#include "classifier/updater/holders.h"

#include <algorithm>
#include <iterator>

namespace portcullis::classifier {

Holders::Holders(const RuleSet& rules, const Census& census)
    : sets_of_region_(census.region_count()), kinds_of_region_(census.region_count()) {
  for (std::size_t i = 0; i < rules.sets.size(); ++i) {
    replace_blocks(static_cast<SetIndex>(i), {}, rules.sets[i].blocks, census);
  }
  for (std::size_t i = 0; i < census.kinds().size(); ++i) {
    note(static_cast<KindIndex>(i), census);
  }
}

void Holders::note(KindIndex kind, const Census& census) {
  noted_.resize(std::max<std::size_t>(noted_.size(), kind + std::size_t{1}));
  if (noted_[kind]) {
    return;
  }
  noted_[kind] = true;
  const Kind& noted = census.kinds()[kind];
  kinds_of_region_[noted.region].push_back(kind);
  for (const SetIndex set : census.profiles().sets(noted.profile)) {
    kinds_of_set_.resize(std::max<std::size_t>(kinds_of_set_.size(), set + std::size_t{1}));
    kinds_of_set_[set].push_back(kind);
  }
}

void Holders::replace_blocks(SetIndex set,
                             std::span<const Block> before,
                             std::span<const Block> after,
                             const Census& census) {
  for (const RegionName region : census.inside(before)) {
    std::erase(sets_of_region_[region], set);
  }
  for (const RegionName region : census.inside(after)) {
    SetList& sets = sets_of_region_[region];
    sets.insert(std::ranges::lower_bound(sets, set), set);
  }
}

void Holders::add_region(RegionName parent) {
  sets_of_region_.push_back(SetList(sets_of_region_[parent]));
  kinds_of_region_.emplace_back();
}

void Holders::kinds_of(SetIndex set,
                       std::span<const Block> blocks,
                       const Census& census,
                       std::vector<KindIndex>& kinds) const {
  if (set < kinds_of_set_.size()) {
    kinds.insert(kinds.end(), kinds_of_set_[set].begin(), kinds_of_set_[set].end());
  }
  kinds_in(census.inside(blocks), kinds);
}

void Holders::kinds_in(std::span<const RegionName> regions, std::vector<KindIndex>& kinds) const {
  for (const RegionName region : regions) {
    kinds.insert(kinds.end(), kinds_of_region_[region].begin(), kinds_of_region_[region].end());
  }
}

Signature Holders::signature(RoleName role,
                             const Kind& kind,
                             const Census& census,
                             const RuleIndex& index) const {
  const SetList& by_endpoints = census.profiles().sets(kind.profile);
  const SetList& by_blocks = sets_of_region_[kind.region];
  Signature signature{static_cast<SetIndex>(kind.address_kind)};
  std::ranges::set_union(by_endpoints, by_blocks, std::back_inserter(signature));
  std::erase_if(signature, [&, first = true](SetIndex set) mutable {
    return !std::exchange(first, false) && !index.tells_apart(role, set);
  });
  return signature;
}

}  // namespace portcullis::classifier
