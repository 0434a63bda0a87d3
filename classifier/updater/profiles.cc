// SPDX-License-Identifier: MIT
#include "classifier/updater/profiles.h"

#include <numeric>

namespace portcullis::classifier {

std::size_t SetListHash::operator()(const SetList& list) const noexcept {
  std::uint64_t hash = 0x243f'6a88'85a3'08d3ULL ^ list.size();
  for (const SetIndex set : list) {
    hash = (hash ^ set) * 0x9e37'79b9'7f4a'7c15ULL;
    hash ^= hash >> 32U;
  }
  return static_cast<std::size_t>(hash);
}

ProfileIndex Profiles::intern(const SetList& list) {
  const auto next = static_cast<ProfileIndex>(lists_.size());
  const auto [known, added] = numbers_.emplace(list, next);
  if (added) {
    lists_.push_back(&known->first);
  }
  return known->second;
}

std::vector<ProfileIndex> profiles_of(const RuleSet& rules, Profiles& profiles) {
  // Counted first, so that the lists lie in one piece.
  std::vector<std::size_t> begin(rules.endpoints.size() + 1);
  for (const AddressSet& set : rules.sets) {
    for (const EndpointIndex endpoint : set.endpoints) {
      ++begin[endpoint + 1];
    }
  }
  std::partial_sum(begin.begin(), begin.end(), begin.begin());
  std::vector<SetIndex> lists(begin.back());
  std::vector<std::size_t> next(begin.begin(), begin.end() - 1);
  for (std::size_t i = 0; i < rules.sets.size(); ++i) {
    for (const EndpointIndex endpoint : rules.sets[i].endpoints) {
      lists[next[endpoint]++] = static_cast<SetIndex>(i);
    }
  }
  std::vector<ProfileIndex> out;
  SetList list;
  for (std::size_t i = 0; i < rules.endpoints.size(); ++i) {
    list.assign(lists.begin() + static_cast<std::ptrdiff_t>(begin[i]),
                lists.begin() + static_cast<std::ptrdiff_t>(begin[i + 1]));
    out.push_back(profiles.intern(list));
  }
  return out;
}

}  // namespace portcullis::classifier
