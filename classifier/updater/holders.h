// SPDX-License-Identifier: MIT
// Holders: which sets hold a kind of addresses, and which kinds a set holds; by endpoints or
// blocks. Thread: one.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "classifier/updater/census.h"
#include "classifier/updater/grouping.h"
#include "classifier/updater/profiles.h"
#include "classifier/updater/rule_index.h"

namespace portcullis::classifier {

class Holders {
 public:
  Holders(const RuleSet& rules, const Census& census);

  /// Counts a kind among those that sets hold; again does nothing.
  void note(KindIndex kind, const Census& census);
  /// The set's blocks are other ones now. REQUIRES: their prefixes are cut at.
  void replace_blocks(SetIndex set,
                      std::span<const Block> before,
                      std::span<const Block> after,
                      const Census& census);
  /// The next region: sets hold it that hold the one it was cut from.
  void add_region(RegionName parent);

  /// The kinds that a set held by endpoints, or that lie where its blocks do; some twice.
  void kinds_of(SetIndex set,
                std::span<const Block> blocks,
                const Census& census,
                std::vector<KindIndex>& kinds) const;
  void kinds_in(std::span<const RegionName> regions, std::vector<KindIndex>& kinds) const;
  /// What tells a kind from others in a role.
  [[nodiscard]] Signature signature(RoleName role,
                                    const Kind& kind,
                                    const Census& census,
                                    const RuleIndex& index) const;

 private:
  std::vector<SetList> sets_of_region_;               // By blocks; ascending.
  std::vector<std::vector<KindIndex>> kinds_of_set_;  // By endpoints.
  std::vector<std::vector<KindIndex>> kinds_of_region_;
  std::vector<bool> noted_;  // By kind.
};

}  // namespace portcullis::classifier
