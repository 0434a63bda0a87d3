// SPDX-License-Identifier: MIT
#include "classifier/updater/holders.h"

#include <algorithm>
#include <iterator>

namespace portcullis::classifier {

Holders::Holders(const RuleSet& rules, const Census& census)
    : sets_of_region_(census.regions().all().size()),
      runs_(rules.sets.size()),
      kinds_of_region_(census.regions().all().size()) {
  for (std::size_t i = 0; i < rules.sets.size(); ++i) {
    replace_blocks(static_cast<SetIndex>(i), {}, rules.sets[i].blocks, census.regions());
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
                             const Regions& regions) {
  const auto for_each_region = [&](std::span<const Block> blocks, auto visit) {
    for (const auto& [first, last] : regions.inside(blocks)) {
      for (RegionIndex region = first; region < last; ++region) {
        visit(sets_of_region_[region]);
      }
    }
  };
  for_each_region(before, [&](SetList& sets) { std::erase(sets, set); });
  for_each_region(after,
                  [&](SetList& sets) { sets.insert(std::ranges::lower_bound(sets, set), set); });
  runs_.resize(std::max<std::size_t>(runs_.size(), set + std::size_t{1}));
  runs_[set] = regions.inside(after);
}

void Holders::kinds_of(SetIndex set, std::vector<KindIndex>& kinds) const {
  if (set < kinds_of_set_.size()) {
    kinds.insert(kinds.end(), kinds_of_set_[set].begin(), kinds_of_set_[set].end());
  }
  if (set < runs_.size()) {
    kinds_in(runs_[set], kinds);
  }
}

void Holders::kinds_in(const RegionRuns& runs, std::vector<KindIndex>& kinds) const {
  for (const auto& [first, last] : runs) {
    for (RegionIndex region = first; region < last; ++region) {
      kinds.insert(kinds.end(), kinds_of_region_[region].begin(), kinds_of_region_[region].end());
    }
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
