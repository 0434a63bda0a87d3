// SPDX-License-Identifier: MIT
// SetWords: what a set of a RuleSet holds, in the words of the policy that asks for it. Sets of
// equal words are one, whichever pods come and go.
// Thread: plain data and pure functions. Owner: the policy must outlive its words.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "classifier/rule.h"
#include "policy/model.h"

namespace portcullis::policy {

struct SetWords {
  /// `subjects`: the policy's; `peers`: the rule's.
  enum class Side : std::uint8_t { everything, subjects, peers };
  Side side = Side::everything;
  const NetworkPolicy* policy = nullptr;
  const PolicyRule* rule = nullptr;
  /// Only pods for which the names of the rule's ports mean this, be it by their labels or by their
  /// address in one of its blocks. Absent: all of them.
  std::optional<classifier::PortSet> meaning;
};

/// What selectors and names of ports can ask of a pod.
struct PodTraits {
  const std::string& name_space;
  const Labels& namespace_labels;
  const Labels& labels;
  const std::vector<ContainerPort>& ports;
};

/// Equal for words that hold the same in every cluster; others differ.
std::string key_of(const SetWords& words);
/// Every address, pods or not.
bool is_everything(const SetWords& words);
/// Whether it holds a pod, be its address what it may.
bool holds(const SetWords& words, const PodTraits& pod);
/// The only namespace that has pods of these words; null: any may have.
const std::string* only_namespace(const SetWords& words);
/// Its address blocks, sorted and unique.
std::vector<classifier::Block> blocks_of(const SetWords& words);

bool names_ports(const PolicyRule& rule);
/// What the names of a rule's ports mean on a pod: every container port of that name and protocol.
/// Ranges are sorted and do not touch, here and below, so that equal port sets compare equal.
classifier::PortSet meaning_on(const PolicyRule& rule, const std::vector<ContainerPort>& ports);
/// The part of a rule's ports that is the same for every destination.
classifier::PortSet numeric_ports(const PolicyRule& rule);

}  // namespace portcullis::policy
