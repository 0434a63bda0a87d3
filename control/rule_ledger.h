// SPDX-License-Identifier: MIT
// RuleLedger: packets by policy rule over all tables since start. A rule keeps its count from table
// to table for as long as its words stay the same, wherever in its policy it stands.
// Thread: RuleLedger the control thread; rule_keys() any.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "classifier/verdict.h"
#include "control/change/measures.h"
#include "dataplane/dataplane.h"
#include "policy/lower.h"
#include "policy/lowering/rulebook.h"
#include "policy/provenance.h"
#include "policy/snapshot.h"
#include "policy/world.h"

namespace portcullis::control {

/// What one rule of a table is counted under.
struct RuleKey {
  std::string key;  // Policy, direction and content; not the place in a file. Empty: a free slot.
  policy::RuleOrigin origin;
};

/// Shapes: as the rules and the static rules of a RuleSet. Rules that names of ports split share a
/// key.
struct RuleKeys {
  std::vector<RuleKey> rules;
  std::vector<RuleKey> static_rules;
};
/// REQUIRES: `lowered` is of `snapshot`, with or without static rules.
RuleKeys rule_keys(const policy::Snapshot& snapshot, const policy::Lowered& lowered);

/// A rule that is another's now; without a key: that is gone.
struct RuleChange {
  std::uint32_t slot = 0;
  RuleKey key;
};
/// REQUIRES: `entry` is planned of `changed`.
std::vector<RuleChange> rule_changes(
    std::span<const policy::Replaced<policy::NetworkPolicy>> changed,
    const policy::Rulebook::Entry& entry);

/// A rule of a table, as a person knows it.
struct RuleName {
  std::string builtin;                       // "default_deny"; empty for a policy's rule.
  std::optional<policy::RuleOrigin> origin;  // Of a policy's rule.
};

/// What a rule of a table with these keys is called. Nothing: there is no such rule.
std::optional<RuleName> name_of(const RuleKeys& keys, classifier::RuleId rule);

struct RuleTotal {
  RuleName name;
  std::uint64_t packets = 0;
};

class RuleLedger {
 public:
  using ByNamespace = decltype(Tally::by_namespace);

  /// Another table runs; `retired` is what the one before it had counted. Rules that are gone
  /// are forgotten.
  void replace(RuleKeys keys, std::span<const dataplane::RuleHits> retired);
  /// Another table runs whose rules are the same.
  void keep(std::span<const dataplane::RuleHits> retired);
  /// Another table runs that has these rules in place of some of the last one's.
  void change(std::span<const RuleChange> changes, std::span<const dataplane::RuleHits> retired);
  /// The same table runs under other names (places in files).
  void rename(RuleKeys keys) { keys_ = std::move(keys); }

  /// Totals with the hits of the running table, most packets first; rules without any are left
  /// out.
  [[nodiscard]] std::vector<RuleTotal> totals(std::span<const dataplane::RuleHits> hits) const;
  /// What policies denied, and of what they allowed was reset, likewise by their namespaces, which
  /// are those of the pods that they select. Cost: of the rules that have hits.
  [[nodiscard]] ByNamespace by_namespace(std::span<const dataplane::RuleHits> hits) const;
  /// Of the running table. Nothing: it has no such rule.
  [[nodiscard]] std::optional<RuleName> name_of(classifier::RuleId rule) const {
    return control::name_of(keys_, rule);
  }

 private:
  using Packets = std::unordered_map<std::string, std::uint64_t>;
  void add(Packets& packets, std::span<const dataplane::RuleHits> hits) const;
  void add(ByNamespace& measured, std::span<const dataplane::RuleHits> hits) const;

  RuleKeys keys_;              // Of the running table.
  Packets past_;               // Under earlier tables, by key.
  ByNamespace past_measured_;  // Likewise.
};

}  // namespace portcullis::control
