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
#include "policy/provenance.h"
#include "policy/snapshot.h"

namespace portcullis::control {

/// What one rule of a table is counted under.
struct RuleKey {
  std::string key;  // Policy, direction and content; not the place in a file.
  policy::RuleOrigin origin;
};

/// Shapes: result[i] is of lowered.rules.rules[i]; rules of one origin share a key.
std::vector<RuleKey> rule_keys(const policy::Snapshot& snapshot, const policy::Lowered& lowered);

/// A rule of a table, as a person knows it.
struct RuleName {
  std::string builtin;                       // "default_deny"; empty for a policy's rule.
  std::optional<policy::RuleOrigin> origin;  // Of a policy's rule.
};

/// What a rule of a table with these keys is called. Nothing: there is no such rule.
std::optional<RuleName> name_of(std::span<const RuleKey> keys, classifier::RuleId rule);

struct RuleTotal {
  RuleName name;
  std::uint64_t packets = 0;
};

class RuleLedger {
 public:
  using ByNamespace = decltype(Tally::by_namespace);

  /// Another table runs; `retired` is what the one before it had counted. Rules that are gone
  /// are forgotten.
  void replace(std::vector<RuleKey> keys, std::span<const dataplane::RuleHits> retired);
  /// Another table runs whose rules are the same.
  void keep(std::span<const dataplane::RuleHits> retired);
  /// The same table runs under other names (places in files).
  void rename(std::vector<RuleKey> keys) { keys_ = std::move(keys); }

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

  std::vector<RuleKey> keys_;  // Of the running table.
  Packets past_;               // Under earlier tables, by key.
  ByNamespace past_measured_;  // Likewise.
};

}  // namespace portcullis::control
