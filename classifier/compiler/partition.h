// SPDX-License-Identifier: MIT
// Partition refinement: items start in groups; each refine() parts the named items from the rest
// of their groups. Exact (nothing is hashed) and linear in what is named.
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
      : groups_(std::move(groups)), splits_(count) {}

  /// Begins a new set of items; part() then moves items of that set, each at most once.
  void begin_set() { ++set_; }
  void part(std::uint32_t item) {
    const std::uint32_t old_group = groups_[item];
    if (splits_[old_group].set != set_) {
      splits_[old_group] = {.set = set_, .to = static_cast<std::uint32_t>(splits_.size())};
      splits_.push_back({});
    }
    groups_[item] = splits_[old_group].to;
  }

  [[nodiscard]] std::uint32_t group(std::uint32_t item) const { return groups_[item]; }
  /// Groups made so far; some may have lost all their items.
  [[nodiscard]] std::uint32_t count() const { return static_cast<std::uint32_t>(splits_.size()); }

 private:
  struct Split {
    std::uint32_t set = 0;
    std::uint32_t to = 0;
  };
  std::vector<std::uint32_t> groups_;
  std::vector<Split> splits_;
  std::uint32_t set_ = 0;
};

}  // namespace portcullis::classifier
