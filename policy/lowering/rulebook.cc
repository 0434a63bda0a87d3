// SPDX-License-Identifier: MIT
#include "policy/lowering/rulebook.h"

#include <algorithm>

#include <fmt/format.h>

#include "base/check.h"

namespace portcullis::policy {
namespace {

using classifier::Action;
using classifier::PortSet;
using classifier::PortsIndex;
using classifier::Rule;
using classifier::SetIndex;

/// Of the sets that any namespace may have pods of.
const std::string kAnyNamespace;

const std::string& namespace_of(const SetWords& words) {
  const std::string* const only = only_namespace(words);
  return only != nullptr ? *only : kAnyNamespace;
}

/// What names mean in a rule is what lower() found when it split it.
std::vector<PortSet> meanings_in(const Lowered& lowered,
                                 std::size_t first,
                                 const PolicyRule& written) {
  const auto& rules = lowered.rules.rules;
  const RuleOrigin& origin = lowered.provenance[rules[first].provenance];
  const auto is_of_it = [&](const Rule& rule) {
    const RuleOrigin& other = lowered.provenance[rule.provenance];
    return other.direction == origin.direction && other.rule == origin.rule &&
           other.policy == origin.policy;
  };
  const PortSet numeric = numeric_ports(written);
  std::vector<PortSet> meanings;
  for (std::size_t i = first; i < rules.size() && is_of_it(rules[i]); ++i) {
    const PortSet& ports = lowered.rules.port_sets[rules[i].ports];
    if (i != first || ports != numeric) {
      meanings.push_back(ports);
    }
  }
  return meanings;
}

std::vector<Rulebook::Named> named_in(std::span<const RuleWords> words) {
  std::vector<Rulebook::Named> named;
  for (const RuleWords& rule : words) {
    if (rule.number == RuleOrigin::kIsolation || !names_ports(*rule.peers.rule)) {
      continue;
    }
    const bool ingress = rule.direction == classifier::Direction::ingress;
    SetWords destinations = ingress ? rule.subjects : rule.peers;
    destinations.rule = rule.peers.rule;
    const std::optional<PortSet> meaning = std::exchange(destinations.meaning, std::nullopt);
    if (!rule.continues) {
      named.push_back({.destinations = std::move(destinations)});
    }
    if (meaning) {
      named.back().meanings.push_back(*meaning);
    }
  }
  return named;
}

}  // namespace

Rulebook::Rulebook(const std::shared_ptr<const Snapshot>& snapshot, const Lowered& lowered)
    : rules_(lowered.rules.rules),
      provenance_(lowered.provenance),
      sets_(lowered.rules.sets.size()),
      ports_(lowered.rules.port_sets.size()) {
  std::vector<std::shared_ptr<const NetworkPolicy>> policies;
  policies.reserve(snapshot->policies.size());
  for (const NetworkPolicy& policy : snapshot->policies) {
    policies.emplace_back(snapshot, &policy);
  }
  // As lower() has them.
  std::sort(policies.begin(), policies.end(), [](const auto& a, const auto& b) {
    return std::tie(a->name_space, a->name) < std::tie(b->name_space, b->name);
  });
  std::size_t next = 0;
  for (const auto& policy : policies) {
    read_policy(policy, lowered, next);
    next += policies_.at({policy->name_space, policy->name}).slots.size();
  }
  PORTCULLIS_CHECK(next == rules_.size());
  for (PortsIndex i = 0; i < ports_.size(); ++i) {
    ports_[i].ports = lowered.rules.port_sets[i];
    index_of_ports_.emplace(ports_[i].ports, i);
  }
}

/// Its rules are lowered ones from `first` on, in the order of its words.
void Rulebook::read_policy(const std::shared_ptr<const NetworkPolicy>& policy,
                           const Lowered& lowered,
                           std::size_t first) {
  std::size_t at = first;
  const auto words = words_of(*policy, [&](const SetWords& asked) {
    const auto is_asked = [&](const RuleOrigin& origin) {
      const auto& rules =
          origin.direction == classifier::Direction::ingress ? policy->ingress : policy->egress;
      return origin.rule != RuleOrigin::kIsolation && &rules[origin.rule - 1] == asked.rule;
    };
    while (!is_asked(provenance_[rules_[at].provenance])) {
      ++at;
    }
    return meanings_in(lowered, at, *asked.rule);
  });
  Policy entered{.policy = policy, .named = named_in(words)};
  for (std::size_t i = 0; i < words.size(); ++i) {
    const Rule& rule = rules_[first + i];
    entered.slots.push_back(static_cast<RuleSlot>(first + i));
    for (const auto& [index, set] :
         {std::pair(rule.subjects, &words[i].subjects), std::pair(rule.peers, &words[i].peers)}) {
      if (sets_[index].key.empty()) {
        put_set(index, {.key = key_of(*set), .words = *set, .owner = policy});
      }
      ++sets_[index].users;
    }
    ++ports_[rule.ports].users;
  }
  put_policy({policy->name_space, policy->name}, std::move(entered));
}

/// An Entry on its way.
struct Rulebook::Planning {
  const Rulebook& book;
  const Roster& roster;
  const Roster::Entry& pods;
  Entry entry;
  std::map<RuleSlot, std::optional<Rule>> rules;  // That change; none: it is gone.
  std::unordered_map<std::string, SetIndex> fresh_sets;
  std::map<PortSet, PortsIndex> fresh_ports;
  std::size_t rules_appended = 0;

  void remove(const Policy& policy) {
    for (const RuleSlot slot : policy.slots) {
      const Rule& rule = book.rules_[slot];
      --entry.set_users_[rule.subjects];
      --entry.set_users_[rule.peers];
      --entry.ports_users_[rule.ports];
      rules[slot] = std::nullopt;
      entry.origins.emplace_back(slot, std::nullopt);
    }
  }

  /// `slots`: those of the policy's old rules, so that what stays the same stays where it is.
  void add(const std::shared_ptr<const NetworkPolicy>& policy, std::span<const RuleSlot> slots) {
    const auto words =
        words_of(*policy, [&](const SetWords& asked) { return roster.meanings(asked, pods); });
    Policy entered{.policy = policy, .named = named_in(words)};
    std::vector<Rule> made;
    for (std::size_t i = 0; i < words.size(); ++i) {
      const RuleSlot slot = i < slots.size() ? slots[i] : next_rule();
      Rule rule = rule_of(words[i]);
      rule.subjects = set_of(words[i].subjects, policy);
      rule.peers = set_of(words[i].peers, policy);
      rule.ports = ports_of(words[i].ports);
      rule.provenance = origin_index(slot);
      made.push_back(rule);
      rules[slot] = rule;
      entered.slots.push_back(slot);
      entry.origins.emplace_back(slot, origin_of(*policy, words[i]));
    }
    const auto doubts =
        doubts_of(*policy, words, made, [&](SetIndex set) { return is_empty(set); });
    entry.doubts.insert(entry.doubts.end(), doubts.begin(), doubts.end());
    // The last rule of a policy isolates all that it selects.
    const ObjectKey key{policy->name_space, policy->name};
    if (!made.empty() && is_empty(made.back().subjects)) {
      entry.idle.push_back(key);
    }
    entry.policies_.emplace_back(key, std::move(entered));
  }

  RuleSlot next_rule() {
    if (entry.rules_taken_ < book.free_rules_.size()) {
      return book.free_rules_[book.free_rules_.size() - ++entry.rules_taken_];
    }
    return static_cast<RuleSlot>(book.rules_.size() + rules_appended++);
  }

  [[nodiscard]] std::uint32_t origin_index(RuleSlot slot) const {
    const std::size_t rules_before = book.rules_.size();
    return slot < rules_before
               ? book.rules_[slot].provenance
               : static_cast<std::uint32_t>(book.provenance_.size() + (slot - rules_before));
  }

  SetIndex set_of(const SetWords& words, const std::shared_ptr<const NetworkPolicy>& owner) {
    std::string key = key_of(words);
    SetIndex index = 0;
    if (const auto held = book.set_of_key_.find(key); held != book.set_of_key_.end()) {
      index = held->second;
    } else if (const auto fresh = fresh_sets.find(key); fresh != fresh_sets.end()) {
      index = fresh->second;
    } else {
      const std::size_t appended = fresh_sets.size() - entry.sets_taken_;
      index = entry.sets_taken_ < book.free_sets_.size()
                  ? book.free_sets_[book.free_sets_.size() - ++entry.sets_taken_]
                  : static_cast<SetIndex>(book.sets_.size() + appended);
      fresh_sets.emplace(key, index);
      entry.delta.sets.push_back({index, roster.contents(words, pods)});
      entry.new_sets.push_back({index, {.key = std::move(key), .words = words, .owner = owner}});
    }
    ++entry.set_users_[index];
    return index;
  }

  PortsIndex ports_of(const PortSet& ports) {
    PortsIndex index = 0;
    if (const auto held = book.index_of_ports_.find(ports); held != book.index_of_ports_.end()) {
      index = held->second;
    } else if (const auto fresh = fresh_ports.find(ports); fresh != fresh_ports.end()) {
      index = fresh->second;
    } else {
      const std::size_t appended = fresh_ports.size() - entry.ports_taken_;
      index = entry.ports_taken_ < book.free_ports_.size()
                  ? book.free_ports_[book.free_ports_.size() - ++entry.ports_taken_]
                  : static_cast<PortsIndex>(book.ports_.size() + appended);
      fresh_ports.emplace(ports, index);
      entry.delta.port_sets.push_back({index, ports});
    }
    ++entry.ports_users_[index];
    return index;
  }

  /// A set that was there before is judged by whether any pod of now is in it.
  [[nodiscard]] bool is_empty(SetIndex set) const {
    const auto fresh = std::find_if(entry.delta.sets.begin(),
                                    entry.delta.sets.end(),
                                    [&](const auto& change) { return change.index == set; });
    if (fresh != entry.delta.sets.end()) {
      return fresh->value == classifier::AddressSet{};
    }
    return roster.contents(book.sets_[set].words, pods) == classifier::AddressSet{};
  }

  Entry finish() {
    entry.rules = book.rules();
    for (const auto& [slot, rule] : rules) {
      const bool is_new = slot >= book.rules_.size();
      const bool was = !is_new && book.rules_[slot].action != Action::none;
      entry.rules = entry.rules + (rule ? 1 : 0) - (was ? 1 : 0);
      const Rule gone{.action = Action::none, .provenance = origin_index(slot)};
      const Rule& value = rule ? *rule : gone;
      if (is_new || value != book.rules_[slot]) {
        entry.delta.rules.push_back({slot, value});
      }
    }
    for (const auto& [index, more] : entry.set_users_) {
      if (index < book.sets_.size() && !book.sets_[index].key.empty() &&
          static_cast<std::ptrdiff_t>(book.sets_[index].users) + more == 0 &&
          !is_everything(book.sets_[index].words)) {
        entry.gone_sets.push_back(index);
        entry.delta.sets.push_back({index, {}});
      }
    }
    for (const auto& [index, more] : entry.ports_users_) {
      if (index < book.ports_.size() && book.ports_[index].users != 0 &&
          static_cast<std::ptrdiff_t>(book.ports_[index].users) + more == 0) {
        entry.delta.port_sets.push_back({index, {}});
      }
    }
    // New ones append in the order of their indices.
    const auto by_index = [](const auto& a, const auto& b) { return a.index < b.index; };
    std::sort(entry.delta.sets.begin(), entry.delta.sets.end(), by_index);
    std::sort(entry.delta.port_sets.begin(), entry.delta.port_sets.end(), by_index);
    return std::move(entry);
  }
};

Rulebook::Entry Rulebook::plan(std::span<const Replaced<NetworkPolicy>> policies,
                               const Roster& roster,
                               const Roster::Entry& pods) const {
  Planning planning{.book = *this, .roster = roster, .pods = pods};
  for (const Replaced<NetworkPolicy>& one : policies) {
    const auto held = policies_.find(one.key);
    const bool was = held != policies_.end();
    PORTCULLIS_CHECK(was == (one.before != nullptr));
    if (was) {
      planning.remove(held->second);
    }
    if (one.after) {
      planning.add(
          one.after,
          was ? std::span<const RuleSlot>(held->second.slots) : std::span<const RuleSlot>());
    } else {
      planning.entry.policies_.emplace_back(one.key, Policy{});
    }
  }
  return planning.finish();
}

void Rulebook::enter(const Entry& entry) {
  enter_rules(entry);
  enter_sets(entry);
  enter_ports(entry);
  for (const auto& [key, policy] : entry.policies_) {
    naming_.erase(key);
    policies_.erase(key);
    if (policy.policy) {
      put_policy(key, policy);
    }
  }
}

void Rulebook::enter_rules(const Entry& entry) {
  free_rules_.resize(free_rules_.size() - entry.rules_taken_);
  for (const auto& [slot, rule] : entry.delta.rules) {
    rules_.resize(std::max<std::size_t>(rules_.size(), slot + std::size_t{1}));
    provenance_.resize(std::max<std::size_t>(provenance_.size(), rule.provenance + std::size_t{1}));
    rules_[slot] = rule;
    if (rule.action == Action::none) {
      free_rules_.push_back(slot);
    }
  }
  for (const auto& [slot, origin] : entry.origins) {
    if (origin) {
      provenance_[rules_[slot].provenance] = *origin;
    }
  }
}

void Rulebook::enter_sets(const Entry& entry) {
  free_sets_.resize(free_sets_.size() - entry.sets_taken_);
  for (const SetIndex index : entry.gone_sets) {
    remove_set(index);
  }
  for (const NewSet& fresh : entry.new_sets) {
    sets_.resize(std::max<std::size_t>(sets_.size(), fresh.index + std::size_t{1}));
    put_set(fresh.index, fresh.set);
  }
  for (const auto& [index, more] : entry.set_users_) {
    sets_[index].users += static_cast<std::size_t>(more);
  }
}

void Rulebook::enter_ports(const Entry& entry) {
  free_ports_.resize(free_ports_.size() - entry.ports_taken_);
  for (const auto& [index, ports] : entry.delta.port_sets) {
    ports_.resize(std::max<std::size_t>(ports_.size(), index + std::size_t{1}));
    if (ports_[index].users != 0) {
      index_of_ports_.erase(ports_[index].ports);
      free_ports_.push_back(index);
    } else {
      index_of_ports_.emplace(ports, index);
    }
    ports_[index].ports = ports;
  }
  for (const auto& [index, more] : entry.ports_users_) {
    ports_[index].users += static_cast<std::size_t>(more);
  }
}

void Rulebook::put_policy(const ObjectKey& key, Policy policy) {
  if (!policy.named.empty()) {
    naming_.insert(key);
  }
  policies_.insert_or_assign(key, std::move(policy));
}

void Rulebook::put_set(SetIndex index, Set set) {
  sets_of_namespace_[namespace_of(set.words)].push_back(index);
  set_of_key_.emplace(set.key, index);
  sets_[index] = std::move(set);
}

void Rulebook::remove_set(SetIndex index) {
  Set& set = sets_[index];
  std::erase(sets_of_namespace_[namespace_of(set.words)], index);
  set_of_key_.erase(set.key);
  // Its users are counted down to none by whoever removes it.
  set.key.clear();
  set.words = {};
  set.owner.reset();
  free_sets_.push_back(index);
}

Result<std::vector<SetIndex>> Rulebook::sets_of(const PodTraits& pod) const {
  for (const ObjectKey& key : naming_) {
    for (const Named& named : policies_.at(key).named) {
      if (!holds(named.destinations, pod)) {
        continue;
      }
      const PortSet meaning = meaning_on(*named.destinations.rule, pod.ports);
      if (meaning != PortSet{} &&
          std::find(named.meanings.begin(), named.meanings.end(), meaning) ==
              named.meanings.end()) {
        return fail(
            fmt::format("the first pod to which the names of ports in {} mean what they "
                        "do",
                        title(Kind::policy, key)));
      }
    }
  }
  std::vector<SetIndex> sets;
  for (const std::string& name_space : {pod.name_space, kAnyNamespace}) {
    const auto found = sets_of_namespace_.find(name_space);
    if (found == sets_of_namespace_.end()) {
      continue;
    }
    std::copy_if(
        found->second.begin(), found->second.end(), std::back_inserter(sets), [&](SetIndex set) {
          return !is_everything(sets_[set].words) && holds(sets_[set].words, pod);
        });
  }
  std::sort(sets.begin(), sets.end());
  return sets;
}

}  // namespace portcullis::policy
