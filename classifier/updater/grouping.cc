// SPDX-License-Identifier: MIT
#include "classifier/updater/grouping.h"

#include <algorithm>
#include <iterator>

namespace portcullis::classifier {

Grouping::Group& Grouping::at(std::uint32_t group) {
  groups_.resize(std::max<std::size_t>(groups_.size(), group + std::size_t{1}));
  return groups_[group];
}

void Grouping::attach(KindIndex kind, std::uint32_t group) {
  of_kind_.resize(std::max<std::size_t>(of_kind_.size(), kind + std::size_t{1}), kNoGroup);
  of_kind_[kind] = group;
  if (group != kNoGroup) {
    ++at(group).kinds;
  }
}

void Grouping::seed(KindIndex kind, std::uint32_t group, Signature signature) {
  attach(kind, group);
  count_ = std::max(count_, group + 1);
  by_signature_.emplace(signature, group);
  groups_[group].sets = std::move(signature);
}

Grouping::Outcome Grouping::regroup(const std::vector<Turn>& turns) {
  Outcome outcome;
  std::vector<std::uint32_t> before;
  for (const Turn& turn : turns) {
    const std::uint32_t own = group(turn.kind);
    before.push_back(own == kNoGroup && !turn.is_gone ? group(turn.before) : own);
  }
  std::vector<std::uint32_t> touched;
  for (const Turn& turn : turns) {
    if (const std::uint32_t own = group(turn.kind); own != kNoGroup) {
      --groups_[own].kinds;
      touched.push_back(own);
      of_kind_[turn.kind] = kNoGroup;
    }
  }
  // Those that stay come first, lest another take their group for an empty one.
  for (std::size_t i = 0; i < turns.size(); ++i) {
    if (before[i] != kNoGroup && !turns[i].is_gone &&
        groups_[before[i]].sets == turns[i].signature) {
      attach(turns[i].kind, before[i]);
    }
  }
  for (std::size_t i = 0; i < turns.size(); ++i) {
    if (!turns[i].is_gone && group(turns[i].kind) == kNoGroup) {
      place(turns[i], before[i], outcome);
    }
  }
  for (const std::uint32_t group : touched) {
    if (groups_[group].kinds == 0 && !groups_[group].sets.empty()) {
      rename(group, {}, outcome);
    }
  }
  return outcome;
}

void Grouping::place(const Turn& turn, std::uint32_t before, Outcome& outcome) {
  const auto may_take = [&](const Group& group) {
    return group.kinds == 0 && !group.sets.empty() && group.sets.front() == turn.signature.front();
  };
  if (before != kNoGroup && may_take(groups_[before])) {
    rename(before, turn.signature, outcome);
    outcome.fresh.push_back(before);
    attach(turn.kind, before);
    return;
  }
  const auto found = by_signature_.find(turn.signature);
  attach(turn.kind, found != by_signature_.end() ? found->second : add(turn.signature, outcome));
}

std::uint32_t Grouping::add(const Signature& signature, Outcome& outcome) {
  const std::uint32_t group = count_++;
  at(group) = {};
  rename(group, signature, outcome);
  outcome.fresh.push_back(group);
  ++outcome.added;
  return group;
}

/// Gives a group a signature, which may be none.
void Grouping::rename(std::uint32_t group, const Signature& signature, Outcome& outcome) {
  Group& renamed = groups_[group];
  const auto known = by_signature_.find(renamed.sets);
  if (known != by_signature_.end() && known->second == group) {
    by_signature_.erase(known);
  }
  const auto sets_of = [](const Signature& of) {
    return of.empty() ? SetList{} : SetList(of.begin() + 1, of.end());
  };
  const SetList old_sets = sets_of(renamed.sets);
  const SetList new_sets = sets_of(signature);
  SetList difference;
  std::ranges::set_difference(old_sets, new_sets, std::back_inserter(difference));
  for (const SetIndex set : difference) {
    leave(group, set, outcome);
  }
  difference.clear();
  std::ranges::set_difference(new_sets, old_sets, std::back_inserter(difference));
  for (const SetIndex set : difference) {
    enter(group, set, outcome);
  }
  renamed.sets = signature;
  if (!signature.empty()) {
    by_signature_.emplace(signature, group);
  }
}

void Grouping::enter(std::uint32_t group, SetIndex set, Outcome& outcome) {
  groups_of_set_.resize(std::max<std::size_t>(groups_of_set_.size(), set + std::size_t{1}));
  auto& groups = groups_of_set_[set];
  groups.insert(std::ranges::lower_bound(groups, group), group);
  outcome.changed_sets.push_back(set);
}

void Grouping::leave(std::uint32_t group, SetIndex set, Outcome& outcome) {
  auto& groups = groups_of_set_[set];
  const auto found = std::ranges::lower_bound(groups, group);
  if (found != groups.end() && *found == group) {
    groups.erase(found);
  }
  outcome.changed_sets.push_back(set);
}

}  // namespace portcullis::classifier
