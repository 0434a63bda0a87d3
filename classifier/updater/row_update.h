// SPDX-License-Identifier: MIT
// RowUpdate: a delta that changes rules, sets or ports, or brings kinds of addresses that are new.
// Only the rows whose rules or columns change are built, only the sources they touch are folded.
// Thread: one.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "classifier/rule_delta.h"
#include "classifier/update.h"
#include "classifier/updater/moves.h"
#include "classifier/updater/running.h"

namespace portcullis::classifier {

class RowUpdate {
 public:
  /// REQUIRES: `rules` has the delta that `undo` takes back.
  RowUpdate(const RuleSet& rules, const DeltaUndo& undo, Running& running)
      : rules_(rules), undo_(undo), running_(running) {}

  /// Why this delta needs a whole compile; empty: it may not.
  [[nodiscard]] std::string refusal() const;
  /// At which regions must be cut before moves are found.
  [[nodiscard]] std::vector<Prefix> new_prefixes() const;
  /// Makes `running` what the rules say. Returns why that needs a whole compile, after which
  /// `running` is of no more use; empty: it is done.
  std::string run(const Moves& moves, UpdateReport& report);

 private:
  void change_rules();
  void change_blocks();
  void find_kinds();
  std::string regroup(RoleName role);
  void grow_half(RoleName role);
  std::string find_rows();
  void add_rows_of_set(Direction direction, SetIndex set);
  std::string build_rows(Direction direction);
  [[nodiscard]] std::vector<std::uint32_t> rules_of_row(Direction direction,
                                                        std::uint32_t row) const;
  void count_garbage(const SparseRow& before, const SparseRow& after);
  void count_garbage(const std::vector<Block>& blocks);
  std::string assign_classes();
  std::string write_addresses(UpdateReport& report);
  [[nodiscard]] bool changes_owners() const;
  void store_all(const Kind& kind, UpdateReport& report);
  bool paint(const std::set<RegionName>& regions, UpdateReport& report);
  void write_parts(UpdateReport& report);
  [[nodiscard]] std::uint32_t kind_before(KindIndex kind) const;
  [[nodiscard]] bool is_gone(KindIndex kind) const;

  const RuleSet& rules_;
  const DeltaUndo& undo_;
  Running& running_;
  Moves moves_;

  std::vector<std::pair<RoleName, SetIndex>> toggled_;  // Sets that began or ceased to tell apart.
  std::vector<std::uint32_t> changed_rules_;
  std::vector<PortsIndex> changed_ports_;
  std::vector<KindIndex> kinds_;                          // Those that may change, ascending.
  std::map<KindIndex, KindIndex> before_;                 // Of kinds that addresses move to.
  std::array<std::vector<SetIndex>, 2> columns_changed_;  // Sets of peers; by Direction.
  std::array<std::set<std::uint32_t>, 2> rows_;           // To be built; by Direction.
};

}  // namespace portcullis::classifier
