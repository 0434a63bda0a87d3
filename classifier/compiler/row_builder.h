// SPDX-License-Identifier: MIT
// RowBuilder: the cells of one subject row, found by walking only the rules that hold the subject.
// Thread: one.
#pragma once

#include <cstdint>
#include <span>
#include <unordered_map>
#include <utility>
#include <vector>

#include "classifier/compiler/classes.h"
#include "classifier/compiler/matrix.h"
#include "classifier/compiler/outcomes.h"
#include "classifier/rule.h"

namespace portcullis::classifier {

class RowBuilder {
 public:
  RowBuilder(const RuleSet& rules, const Half& half);

  /// The row of workloads that exactly these rules hold as subject, ordered by tier and priority.
  /// Its outcomes mean what `outcomes` says. False when it has more of them than a cell can number.
  /// The row stays until the next build.
  bool build(std::span<const std::uint32_t> rules, Outcomes& outcomes);
  [[nodiscard]] const SparseRow& row() const { return row_; }
  [[nodiscard]] SparseRow take_row() { return std::move(row_); }

 private:
  /// Columns of this row that the rules seen so far do not tell apart: those of `parent` that the
  /// rule at `position` holds, too.
  struct Group {
    std::uint32_t parent = 0;
    std::uint32_t position = 0;
    std::uint32_t split_at = 0;  // Position + 1 of the rule that last parted it, into `split_to`.
    std::uint32_t split_to = 0;
    bool is_node = false;
    std::uint32_t number = 0;  // Its cell's, once known.
  };

  void start();
  void touch(std::uint32_t column);
  void part(std::uint32_t column, std::uint32_t position);
  std::uint32_t outcome_of(std::uint32_t group);
  std::uint32_t number_of(std::uint32_t group);

  const RuleSet& rules_;
  const Half& half_;
  std::vector<std::uint32_t> node_columns_;

  // Of the row being built.
  std::span<const std::uint32_t> rules_of_row_;
  Outcomes* outcomes_ = nullptr;
  std::uint32_t round_ = 0;
  std::vector<std::uint32_t> touched_in_;  // By column: the round that last touched it.
  std::vector<std::uint32_t> group_of_;    // By column, if touched in this round.
  std::vector<std::uint32_t> touched_;
  std::vector<Group> groups_;
  std::vector<std::uint32_t> for_all_;  // Positions of rules that hold every peer.
  std::vector<std::uint32_t> positions_;
  std::unordered_map<std::uint32_t, std::uint32_t> number_of_outcome_;
  SparseRow row_;
};

}  // namespace portcullis::classifier
