// SPDX-License-Identifier: MIT
// Partition refinement: items start in groups; each set parts the items it names from the rest of
// their groups. Exact (nothing is hashed) and linear in what is named.
// Thread: one.
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

namespace portcullis::classifier {

class Partition {
 public:
  /// groups[i]: the group that item i starts in; all below `count`.
  Partition(std::vector<std::uint32_t> groups, std::uint32_t count)
      : groups_(std::move(groups)), splits_(count) {
    for (const std::uint32_t group : groups_) {
      ++splits_[group].size;
    }
  }

  /// Begins a new set of items; part() then moves items of that set, each at most once.
  void begin_set() { ++set_; }
  void part(std::uint32_t item) {
    const std::uint32_t old_group = groups_[item];
    if (splits_[old_group].set != set_) {
      const std::uint32_t new_group = free_group();
      splits_[old_group].set = set_;
      splits_[old_group].to = new_group;
    }
    const std::uint32_t new_group = splits_[old_group].to;
    groups_[item] = new_group;
    ++splits_[new_group].size;
    // Whoever is moved to an emptied group is not named again in this set, so it can serve at once.
    if (--splits_[old_group].size == 0) {
      emptied_.push_back(old_group);
    }
  }

  [[nodiscard]] std::uint32_t group(std::uint32_t item) const { return groups_[item]; }
  /// All groups, by item. Ends its use.
  [[nodiscard]] std::vector<std::uint32_t> take_groups() { return std::move(groups_); }
  /// Groups are numbered below this; some may have lost all their items.
  [[nodiscard]] std::uint32_t count() const { return static_cast<std::uint32_t>(splits_.size()); }

 private:
  struct Split {
    std::uint32_t set = 0;
    std::uint32_t to = 0;
    std::uint32_t size = 0;
  };

  /// Groups that lost all items come back, so that there are never many more than items.
  std::uint32_t free_group() {
    if (emptied_.empty()) {
      splits_.push_back({});
      return static_cast<std::uint32_t>(splits_.size() - 1);
    }
    const std::uint32_t group = emptied_.back();
    emptied_.pop_back();
    return group;
  }

  std::vector<std::uint32_t> groups_;
  std::vector<Split> splits_;  // By group: where the set at hand moves its items.
  std::vector<std::uint32_t> emptied_;
  std::uint32_t set_ = 0;
};

}  // namespace portcullis::classifier
