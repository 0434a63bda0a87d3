// SPDX-License-Identifier: MIT
// Rulebook: which rules and sets of a lowered RuleSet each policy is, and what a policy that comes,
// goes or changes means for them. What goes leaves free slots, which later rules and sets fill.
// Thread: one at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/result.h"
#include "classifier/rule_delta.h"
#include "policy/lower.h"
#include "policy/lowering/roster.h"
#include "policy/lowering/rule_words.h"
#include "policy/lowering/set_words.h"
#include "policy/snapshot.h"
#include "policy/world.h"

namespace portcullis::policy {

class Rulebook {
 public:
  using RuleSlot = std::uint32_t;  // Index in RuleSet::rules.

  /// REQUIRES: `lowered` is of `snapshot`.
  Rulebook(const std::shared_ptr<const Snapshot>& snapshot, const Lowered& lowered);

  /// A set that rules may share, and for as long as they do.
  struct Set {
    std::string key;  // Of its words; empty: a free slot.
    SetWords words;
    std::shared_ptr<const NetworkPolicy> owner;  // Whose words they are.
    std::size_t users = 0;
  };
  struct NewSet {
    classifier::SetIndex index = 0;
    Set set;
  };
  /// A written rule whose ports have names, and what these mean somewhere.
  struct Named {
    SetWords destinations;
    std::vector<classifier::PortSet> meanings;
  };
  struct Policy {
    std::shared_ptr<const NetworkPolicy> policy;
    std::vector<RuleSlot> slots;
    std::vector<Named> named;
  };

  /// What policies mean for the rules.
  struct Entry {
    classifier::RuleDelta delta;      // Sets, port sets and rules.
    std::vector<std::string> doubts;  // Where they have no effect, for a person.
    std::vector<ObjectKey> idle;      // Those that select no pod.
    std::size_t rules = 0;            // As rules(), once it is entered.
    /// Rules that are another's now, or stand elsewhere; without an origin: that are gone.
    std::vector<std::pair<RuleSlot, std::optional<RuleOrigin>>> origins;
    std::vector<classifier::SetIndex> gone_sets;
    std::vector<NewSet> new_sets;

   private:
    friend class Rulebook;
    std::vector<std::pair<ObjectKey, Policy>> policies_;        // Without a policy: it is gone.
    std::map<classifier::SetIndex, std::ptrdiff_t> set_users_;  // More than there were, or fewer.
    std::map<classifier::PortsIndex, std::ptrdiff_t> ports_users_;
    std::size_t rules_taken_ = 0;  // Of the free ones.
    std::size_t sets_taken_ = 0;
    std::size_t ports_taken_ = 0;
  };
  /// Changes nothing. `pods`: of the same batch, from `roster`.
  /// REQUIRES: roster.why_whole() is empty of every policy.
  [[nodiscard]] Entry plan(std::span<const Replaced<NetworkPolicy>> policies,
                           const Roster& roster,
                           const Roster::Entry& pods) const;
  /// REQUIRES: nothing was entered since `entry` was planned.
  void enter(const Entry& entry);

  /// The sets that hold a pod, ascending. Errors: a name of a port means something on it that it
  /// means on no other pod, so that no rule says it.
  [[nodiscard]] Result<std::vector<classifier::SetIndex>> sets_of(const PodTraits& pod) const;

  /// Indexed by the provenance of rules; that of a free slot means nothing.
  [[nodiscard]] const Provenance& provenance() const { return provenance_; }
  /// Rules, without free slots.
  [[nodiscard]] std::size_t rules() const { return rules_.size() - free_rules_.size(); }

 private:
  struct Ports {
    classifier::PortSet ports;
    std::size_t users = 0;
  };
  struct Planning;

  void read_policy(const std::shared_ptr<const NetworkPolicy>& policy,
                   const Lowered& lowered,
                   std::size_t first);
  void enter_rules(const Entry& entry);
  void enter_sets(const Entry& entry);
  void enter_ports(const Entry& entry);
  void put_policy(const ObjectKey& key, Policy policy);
  void put_set(classifier::SetIndex index, Set set);
  void remove_set(classifier::SetIndex index);

  std::map<ObjectKey, Policy> policies_;
  std::set<ObjectKey> naming_;           // Policies with names of ports.
  std::vector<classifier::Rule> rules_;  // Each with an entry of the provenance of its own.
  Provenance provenance_;
  std::vector<Set> sets_;
  std::vector<Ports> ports_;
  std::unordered_map<std::string, classifier::SetIndex> set_of_key_;
  std::map<classifier::PortSet, classifier::PortsIndex> index_of_ports_;
  /// Sets by the only namespace that has pods of them; under "" where any may have.
  std::unordered_map<std::string, std::vector<classifier::SetIndex>> sets_of_namespace_;
  std::vector<RuleSlot> free_rules_;
  std::vector<classifier::SetIndex> free_sets_;
  std::vector<classifier::PortsIndex> free_ports_;
};

}  // namespace portcullis::policy
