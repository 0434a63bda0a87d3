// SPDX-License-Identifier: MIT
#include "classifier/compiler/row_builder.h"

#include <algorithm>

namespace portcullis::classifier {
namespace {

constexpr std::uint32_t kNoNumber = 0xffff'ffffU;
constexpr std::size_t kOutcomesMax = 65536;
constexpr std::uint32_t kPlainGroup = 0;  // Columns that no rule names.
constexpr std::uint32_t kNodeGroup = 1;   // The same of nodes.

}  // namespace

RowBuilder::RowBuilder(const RuleSet& rules, const Half& half)
    : rules_(rules),
      half_(half),
      touched_in_(half.column_kinds.size()),
      group_of_(half.column_kinds.size()) {
  for (std::size_t i = 0; i < half.column_kinds.size(); ++i) {
    if (half.column_kinds[i] == AddressKind::node) {
      node_columns_.push_back(static_cast<std::uint32_t>(i));
    }
  }
}

bool RowBuilder::build(std::span<const std::uint32_t> rules, Outcomes& outcomes) {
  rules_of_row_ = rules;
  outcomes_ = &outcomes;
  start();
  for (std::uint32_t position = 0; position < rules.size(); ++position) {
    const SetIndex peers = rules_.rules[rules[position]].peers;
    if (rules_.sets[peers].everything) {
      for_all_.push_back(position);
      continue;
    }
    for (const std::uint32_t column : half_.columns_of_set[peers]) {
      part(column, position);
    }
  }

  number_of(kPlainGroup);  // Gets number 0.
  std::ranges::sort(touched_);
  row_.cells.reserve(touched_.size());  // Rows are kept: no more than they need.
  for (const std::uint32_t column : touched_) {
    const std::uint32_t number = number_of(group_of_[column]);
    if (number >= kOutcomesMax) {
      return false;
    }
    if (number != 0) {
      row_.cells.push_back({.column = column, .number = static_cast<std::uint16_t>(number)});
    }
  }
  return true;
}

void RowBuilder::start() {
  ++round_;
  touched_.clear();
  for_all_.clear();
  number_of_outcome_.clear();
  row_.cells.clear();
  row_.outcomes.clear();
  groups_.assign(2, {.number = kNoNumber});
  groups_[kNodeGroup].is_node = true;
  std::ranges::for_each(node_columns_, [&](std::uint32_t column) { touch(column); });
}

void RowBuilder::touch(std::uint32_t column) {
  if (touched_in_[column] != round_) {
    touched_in_[column] = round_;
    group_of_[column] = half_.column_kinds[column] == AddressKind::node ? kNodeGroup : kPlainGroup;
    touched_.push_back(column);
  }
}

void RowBuilder::part(std::uint32_t column, std::uint32_t position) {
  touch(column);
  const std::uint32_t group = group_of_[column];
  if (groups_[group].split_at != position + 1) {
    groups_[group].split_at = position + 1;
    groups_[group].split_to = static_cast<std::uint32_t>(groups_.size());
    groups_.push_back({.parent = group,
                       .position = position,
                       .is_node = groups_[group].is_node,
                       .number = kNoNumber});
  }
  group_of_[column] = groups_[group].split_to;
}

std::uint32_t RowBuilder::outcome_of(std::uint32_t group) {
  positions_ = for_all_;
  const bool is_node = groups_[group].is_node;
  for (; group > kNodeGroup; group = groups_[group].parent) {
    positions_.push_back(groups_[group].position);
  }
  std::ranges::sort(positions_);
  for (std::uint32_t& position : positions_) {
    position = rules_of_row_[position];
  }
  return outcomes_->of(positions_, is_node);
}

std::uint32_t RowBuilder::number_of(std::uint32_t group) {
  if (groups_[group].number == kNoNumber) {
    const std::uint32_t outcome = outcome_of(group);
    const auto next = static_cast<std::uint32_t>(row_.outcomes.size());
    const auto [known, added] = number_of_outcome_.emplace(outcome, next);
    if (added) {
      row_.outcomes.push_back(outcome);
    }
    groups_[group].number = known->second;
  }
  return groups_[group].number;
}

}  // namespace portcullis::classifier
