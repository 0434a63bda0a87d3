// SPDX-License-Identifier: MIT
#include "classifier/rule_delta.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include <fmt/format.h>

#include "classifier/compiler/check_rules.h"

namespace portcullis::classifier {
namespace {

/// Puts changes in place; their old values go to `inverse`.
template <typename T>
Result<void> replace(std::string_view what,
                     std::vector<Change<T>> changes,
                     std::vector<T>& entries,
                     std::vector<Change<T>>& inverse) {
  for (Change<T>& change : changes) {
    if (change.index > entries.size()) {
      return fail(fmt::format(
          "the delta changes {} {} where {} is the next", what, change.index, entries.size()));
    }
    if (change.index == entries.size()) {
      entries.push_back(std::move(change.value));
      continue;
    }
    std::swap(entries[change.index], change.value);
    inverse.push_back(std::move(change));
  }
  return {};
}

template <typename T>
void put_back(std::vector<Change<T>> inverse, std::size_t size, std::vector<T>& entries) {
  for (auto change = inverse.rbegin(); change != inverse.rend(); ++change) {
    entries[change->index] = std::move(change->value);
  }
  entries.resize(size);
}

/// True when the set was changed.
bool enter(const Membership& membership, AddressSet& set) {
  const auto at = std::ranges::lower_bound(set.endpoints, membership.endpoint);
  const bool held = at != set.endpoints.end() && *at == membership.endpoint;
  if (held == membership.member) {
    return false;
  }
  if (held) {
    set.endpoints.erase(at);
  } else {
    set.endpoints.insert(at, membership.endpoint);
  }
  return true;
}

Result<void> replace_entries(RuleDelta& delta, RuleSet& rules, DeltaUndo& undo) {
  PORTCULLIS_TRY_VOID(
      replace("endpoint", std::move(delta.endpoints), rules.endpoints, undo.inverse.endpoints));
  PORTCULLIS_TRY_VOID(replace("set", std::move(delta.sets), rules.sets, undo.inverse.sets));
  for (const Membership& membership : delta.memberships) {
    if (membership.set >= rules.sets.size() || membership.endpoint >= rules.endpoints.size()) {
      return fail(fmt::format("the delta puts endpoint {} of {} into set {} of {}",
                              membership.endpoint,
                              rules.endpoints.size(),
                              membership.set,
                              rules.sets.size()));
    }
    if (enter(membership, rules.sets[membership.set])) {
      undo.inverse.memberships.push_back(membership);
      undo.inverse.memberships.back().member = !membership.member;
    }
  }
  PORTCULLIS_TRY_VOID(
      replace("port set", std::move(delta.port_sets), rules.port_sets, undo.inverse.port_sets));
  PORTCULLIS_TRY_VOID(replace("rule", std::move(delta.rules), rules.rules, undo.inverse.rules));
  if (delta.pod_cidrs) {
    std::swap(*delta.pod_cidrs, rules.pod_cidrs);
    undo.inverse.pod_cidrs = std::move(delta.pod_cidrs);
  }
  if (delta.default_mode) {
    undo.inverse.default_mode = std::exchange(rules.default_mode, *delta.default_mode);
  }
  return {};
}

/// Entries by index: the changed ones, then the new ones.
template <typename T, typename Check>
Result<void> check_changed(const std::vector<Change<T>>& replaced,
                           std::size_t first_new,
                           std::size_t size,
                           Check check) {
  for (const Change<T>& change : replaced) {
    PORTCULLIS_TRY_VOID(check(change.index));
  }
  for (std::size_t i = first_new; i < size; ++i) {
    PORTCULLIS_TRY_VOID(check(i));
  }
  return {};
}

Result<void> check_entries(const RuleSet& rules, const DeltaUndo& undo) {
  PORTCULLIS_TRY_VOID(check_changed(
      undo.inverse.endpoints, undo.endpoints, rules.endpoints.size(), [&](std::size_t i) {
        return check_endpoint(rules, i);
      }));
  PORTCULLIS_TRY_VOID(
      check_changed(undo.inverse.sets, undo.sets, rules.sets.size(), [&](std::size_t i) {
        return check_set(rules, i);
      }));
  return check_changed(undo.inverse.rules, undo.rules, rules.rules.size(), [&](std::size_t i) {
    return check_rule(rules, i);
  });
}

}  // namespace

Result<DeltaUndo> apply(RuleDelta delta, RuleSet& rules) {
  DeltaUndo undo{.endpoints = rules.endpoints.size(),
                 .sets = rules.sets.size(),
                 .port_sets = rules.port_sets.size(),
                 .rules = rules.rules.size()};
  auto applied = replace_entries(delta, rules, undo);
  if (applied) {
    applied = check_entries(rules, undo);
  }
  if (!applied) {
    take_back(std::move(undo), rules);
    return Failure(std::move(applied).error());
  }
  return undo;
}

void take_back(DeltaUndo undo, RuleSet& rules) {
  RuleDelta& inverse = undo.inverse;
  if (inverse.default_mode) {
    rules.default_mode = *inverse.default_mode;
  }
  if (inverse.pod_cidrs) {
    rules.pod_cidrs = *std::move(inverse.pod_cidrs);
  }
  put_back(std::move(inverse.rules), undo.rules, rules.rules);
  put_back(std::move(inverse.port_sets), undo.port_sets, rules.port_sets);
  for (auto membership = inverse.memberships.rbegin(); membership != inverse.memberships.rend();
       ++membership) {
    enter(*membership, rules.sets[membership->set]);
  }
  put_back(std::move(inverse.sets), undo.sets, rules.sets);
  put_back(std::move(inverse.endpoints), undo.endpoints, rules.endpoints);
}

}  // namespace portcullis::classifier
