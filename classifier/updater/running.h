// SPDX-License-Identifier: MIT
// Running: what the last whole compile left and updates go on from: the compiler's own state, who
// is of which kind, and the parts of the newest table. Thread: one.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "classifier/compiler/compiled.h"
#include "classifier/updater/census.h"
#include "classifier/updater/class_book.h"
#include "classifier/updater/grouping.h"
#include "classifier/updater/holders.h"
#include "classifier/updater/live_map.h"
#include "classifier/updater/moves.h"
#include "classifier/updater/rule_index.h"

namespace portcullis::classifier {

/// What one class takes in the table.
inline constexpr std::size_t kClassBytes =
    sizeof(SourceRecord) + sizeof(DestinationRecord) + 2 * sizeof(std::uint32_t);

/// Not to be moved: its members know each other.
struct Running {
  /// REQUIRES: `rules` outlives this.
  Running(const RuleSet& rules, Compiled made);
  Running(const Running&) = delete;
  Running& operator=(const Running&) = delete;

  [[nodiscard]] Half& half(Direction direction) {
    return compiled.classes.halves[static_cast<std::size_t>(direction)];
  }
  [[nodiscard]] Grouping& grouping(RoleName role) { return groupings[role.number()]; }
  [[nodiscard]] const Grouping& grouping(RoleName role) const { return groupings[role.number()]; }

  /// Cuts regions at more prefixes; everything in a new one stays what it was.
  void cut_regions(std::vector<Prefix> prefixes);

  /// Counts what addresses leave behind that are no endpoint's any more.
  void count_left(const Moves& moves);

  Compiled compiled;
  Census census;
  RuleIndex index;
  Holders holders;
  std::array<Grouping, 4> groupings;  // By RoleName::number().
  ClassBook book;
  LiveMap map;
  std::vector<ClassRoles> roles_of_region;  // Whose rows unknown addresses there have; by name.
  std::size_t garbage_bytes = 0;            // At most.

 private:
  void seed_groupings();
  void split_kind(KindIndex kind, RegionName region);
  void follow_kind(KindIndex kind, KindIndex model);
};

}  // namespace portcullis::classifier
