// SPDX-License-Identifier: MIT
// Profiles: sorted lists of sets, each kept once. Endpoints that the same sets hold share one.
// Thread: one.
#pragma once

#include <cstddef>
#include <cstdint>
#include <unordered_map>
#include <vector>

#include "classifier/rule.h"

namespace portcullis::classifier {

using ProfileIndex = std::uint32_t;
using SetList = std::vector<SetIndex>;

struct SetListHash {
  std::size_t operator()(const SetList& list) const noexcept;
};

class Profiles {
 public:
  /// The number of a sorted list; numbers follow first appearance.
  ProfileIndex intern(const SetList& list);
  [[nodiscard]] const SetList& sets(ProfileIndex profile) const { return *lists_[profile]; }
  [[nodiscard]] std::size_t count() const { return lists_.size(); }

 private:
  std::unordered_map<SetList, ProfileIndex, SetListHash> numbers_;
  std::vector<const SetList*> lists_;  // The keys, which stay where they are.
};

/// By endpoint, the sets that name it.
std::vector<ProfileIndex> profiles_of(const RuleSet& rules, Profiles& profiles);

}  // namespace portcullis::classifier
