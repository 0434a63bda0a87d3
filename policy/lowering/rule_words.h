// SPDX-License-Identifier: MIT
// RuleWords: the rules that one NetworkPolicy becomes, in its own words: not yet over pods.
// Thread: plain data and pure functions. Owner: the policy must outlive its words.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "classifier/rule.h"
#include "policy/lowering/set_words.h"
#include "policy/model.h"
#include "policy/provenance.h"

namespace portcullis::policy {

struct RuleWords {
  classifier::Direction direction = classifier::Direction::ingress;
  std::uint32_t number = RuleOrigin::kIsolation;  // As RuleOrigin's `rule`.
  const Where* where = nullptr;
  SetWords subjects;
  SetWords peers;
  classifier::PortSet ports;
  bool continues = false;  // The same written rule as the one before: names of ports split it.
};

/// What the names of words.rule's ports mean to the pods that `words` hold: each once, in order,
/// and none is empty.
using Meanings = std::function<std::vector<classifier::PortSet>(const SetWords& words)>;

/// A rule that can match nothing is among them all the same: explain() names it as a near miss.
std::vector<RuleWords> words_of(const NetworkPolicy& policy, const Meanings& meanings);

RuleOrigin origin_of(const NetworkPolicy& policy, const RuleWords& rule);
/// Without its sets, ports and provenance. Policies are additive: all that they allow comes ahead
/// of all that they isolate, wherever it stands.
classifier::Rule rule_of(const RuleWords& rule);

/// Where a policy with these rules has no effect, for a person. `rules` are what became of `words`.
std::vector<std::string> doubts_of(const NetworkPolicy& policy,
                                   std::span<const RuleWords> words,
                                   std::span<const classifier::Rule> rules,
                                   const std::function<bool(classifier::SetIndex)>& is_empty);

}  // namespace portcullis::policy
