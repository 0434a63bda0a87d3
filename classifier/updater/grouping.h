// SPDX-License-Identifier: MIT
// Grouping: the rows or the columns of one role. Kinds that the role's sets do not tell apart share
// a group; a group keeps its number when all its kinds change alike. Groups are not merged, and
// numbers not used again, until everything is compiled anew.
// Thread: one.
#pragma once

#include <cstddef>
#include <cstdint>
#include <unordered_map>
#include <vector>

#include "classifier/updater/census.h"
#include "classifier/updater/profiles.h"

namespace portcullis::classifier {

/// An AddressKind, then the sets of that role that hold the kind, ascending.
using Signature = SetList;

class Grouping {
 public:
  static constexpr std::uint32_t kNoGroup = 0xffff'ffffU;

  /// `groups_of_set`: by set, its groups, ascending; kept up to date.
  Grouping(std::vector<std::vector<std::uint32_t>>& groups_of_set, std::uint32_t first_group)
      : groups_of_set_(groups_of_set), count_(first_group) {}

  /// A kind that the compiler has grouped.
  void seed(KindIndex kind, std::uint32_t group, Signature signature);

  /// A kind whose signature may have changed, or that is new, or (no signature) that is gone.
  struct Turn {
    KindIndex kind = 0;
    KindIndex before = 0;  // Of a new kind: what its first address was.
    bool is_gone = false;
    Signature signature;
  };
  /// What regroup() did beside moving kinds.
  struct Outcome {
    std::vector<std::uint32_t> fresh;    // Groups that are new, or that hold other sets now.
    std::vector<SetIndex> changed_sets;  // That hold other groups now; some twice.
    std::uint32_t added = 0;             // New groups.
  };
  Outcome regroup(const std::vector<Turn>& turns);

  [[nodiscard]] std::uint32_t group(KindIndex kind) const {
    return kind < of_kind_.size() ? of_kind_[kind] : kNoGroup;
  }
  [[nodiscard]] const Signature& signature(std::uint32_t group) const {
    return groups_[group].sets;
  }
  /// One past the highest number.
  [[nodiscard]] std::uint32_t count() const { return count_; }

 private:
  struct Group {
    Signature sets;
    std::uint32_t kinds = 0;
  };

  void attach(KindIndex kind, std::uint32_t group);
  void place(const Turn& turn, std::uint32_t before, Outcome& outcome);
  std::uint32_t add(const Signature& signature, Outcome& outcome);
  void rename(std::uint32_t group, const Signature& signature, Outcome& outcome);
  void enter(std::uint32_t group, SetIndex set, Outcome& outcome);
  void leave(std::uint32_t group, SetIndex set, Outcome& outcome);
  Group& at(std::uint32_t group);

  std::vector<std::vector<std::uint32_t>>& groups_of_set_;
  std::uint32_t count_;
  std::vector<Group> groups_;
  std::vector<std::uint32_t> of_kind_;
  std::unordered_map<Signature, std::uint32_t, SetListHash> by_signature_;
};

}  // namespace portcullis::classifier
