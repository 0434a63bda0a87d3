// SPDX-License-Identifier: MIT
#include "classifier/updater/rule_index.h"

#include <algorithm>

namespace portcullis::classifier {

RuleIndex::RuleIndex(const RuleSet& rules) : rules_(rules) {
  for (std::size_t i = 0; i < rules.rules.size(); ++i) {
    add(static_cast<std::uint32_t>(i), rules.rules[i]);
  }
}

void RuleIndex::add(std::uint32_t number, const Rule& rule) {
  if (rule.action == Action::none) {
    return;
  }
  for (const RoleName role : {RoleName{rule.direction, false}, RoleName{rule.direction, true}}) {
    const SetIndex set = role.is_peer ? rule.peers : rule.subjects;
    auto& lists = by_set_[role.number()];
    lists.resize(std::max<std::size_t>(lists.size(), set + std::size_t{1}));
    lists[set].push_back(number);
  }
  if (rules_.sets[rule.subjects].everything) {
    of_everything_[static_cast<std::size_t>(rule.direction)].push_back(number);
  }
}

void RuleIndex::remove(std::uint32_t number, const Rule& rule) {
  if (rule.action == Action::none) {
    return;
  }
  std::erase(by_set_[RoleName{rule.direction, false}.number()][rule.subjects], number);
  std::erase(by_set_[RoleName{rule.direction, true}.number()][rule.peers], number);
  std::erase(of_everything_[static_cast<std::size_t>(rule.direction)], number);
}

std::span<const std::uint32_t> RuleIndex::rules_of(RoleName role, SetIndex set) const {
  const auto& lists = by_set_[role.number()];
  return set < lists.size() ? std::span<const std::uint32_t>(lists[set])
                            : std::span<const std::uint32_t>{};
}

bool RuleIndex::tells_apart(RoleName role, SetIndex set) const {
  return !rules_.sets[set].everything && !rules_of(role, set).empty();
}

std::span<const std::uint32_t> RuleIndex::of_everything(Direction direction) const {
  return of_everything_[static_cast<std::size_t>(direction)];
}

}  // namespace portcullis::classifier
