// SPDX-License-Identifier: MIT
#include "policy/lowering/rule_words.h"

#include <utility>

#include <fmt/format.h>

namespace portcullis::policy {

namespace {

using classifier::Direction;
using classifier::PortSet;
using Side = SetWords::Side;

std::string title(const NetworkPolicy& policy) {
  return fmt::format(
      "NetworkPolicy {}/{} ({})", policy.name_space, policy.name, to_string(policy.where));
}

const std::vector<PolicyRule>& rules_of(const NetworkPolicy& policy, Direction direction) {
  return direction == Direction::ingress ? policy.ingress : policy.egress;
}

void append_rule(RuleWords rule, const Meanings& meanings, std::vector<RuleWords>& words) {
  const PolicyRule& written = *rule.peers.rule;
  rule.where = &written.where;
  // Ports mean the destination's: in ingress the subject, in egress the peer.
  SetWords& destinations = rule.direction == Direction::ingress ? rule.subjects : rule.peers;
  std::vector<PortSet> meant;
  if (names_ports(written)) {
    SetWords asked = destinations;
    asked.rule = &written;
    meant = meanings(asked);
  }
  if (PortSet numeric = numeric_ports(written);
      numeric.everything || !numeric.ranges.empty() || meant.empty()) {
    rule.ports = std::move(numeric);
    words.push_back(rule);
    rule.continues = true;
  }
  for (PortSet& meaning : meant) {
    destinations.rule = &written;
    destinations.meaning = meaning;
    rule.ports = std::move(meaning);
    words.push_back(rule);
    rule.continues = true;
  }
}

}  // namespace

std::vector<RuleWords> words_of(const NetworkPolicy& policy, const Meanings& meanings) {
  std::vector<RuleWords> words;
  const SetWords subjects{.side = Side::subjects, .policy = &policy};
  for (const Direction direction : {Direction::egress, Direction::ingress}) {
    const bool isolates =
        direction == Direction::ingress ? policy.isolates_ingress : policy.isolates_egress;
    if (!isolates) {
      continue;
    }
    std::uint32_t number = 0;
    for (const PolicyRule& written : rules_of(policy, direction)) {
      append_rule({.direction = direction,
                   .number = ++number,
                   .subjects = subjects,
                   .peers = {.side = Side::peers, .policy = &policy, .rule = &written}},
                  meanings,
                  words);
    }
    words.push_back({.direction = direction,
                     .where = &policy.where,
                     .subjects = subjects,
                     .ports = {.everything = true}});
  }
  return words;
}

RuleOrigin origin_of(const NetworkPolicy& policy, const RuleWords& rule) {
  return {.kind = "NetworkPolicy",
          .policy = policy.name_space + "/" + policy.name,
          .direction = rule.direction,
          .rule = rule.number,
          .where = *rule.where};
}

classifier::Rule rule_of(const RuleWords& rule) {
  const bool is_isolation = rule.number == RuleOrigin::kIsolation;
  return {.direction = rule.direction,
          .tier = classifier::Tier::network_policy,
          .action = is_isolation ? classifier::Action::deny : classifier::Action::allow,
          .order = is_isolation ? 1U : 0U};
}

std::vector<std::string> doubts_of(const NetworkPolicy& policy,
                                   std::span<const RuleWords> words,
                                   std::span<const classifier::Rule> rules,
                                   const std::function<bool(classifier::SetIndex)>& is_empty) {
  std::vector<std::string> doubts;
  const SetWords subjects{.side = Side::subjects, .policy = &policy};
  for (std::size_t i = 0; i < words.size(); ++i) {
    const RuleWords& rule = words[i];
    if (rule.number == RuleOrigin::kIsolation) {
      if (is_empty(rules[i].subjects)) {
        return {title(policy) + " selects no pod"};
      }
      continue;
    }
    const auto place = [&] {
      return fmt::format("{}: {} rule {} ({})",
                         title(policy),
                         rule.direction == Direction::ingress ? "ingress" : "egress",
                         rule.number,
                         to_string(*rule.where));
    };
    // The first of what names split holds all peers, or some that there are.
    if (!rule.continues && is_empty(rules[i].peers)) {
      doubts.push_back(place() + " has peers that no pod matches");
    }
    const bool is_split = i + 1 < words.size() && words[i + 1].continues;
    const bool has_meaning = rule.subjects.meaning || rule.peers.meaning || is_split;
    if (!rule.continues && names_ports(*rule.peers.rule) && !has_meaning) {
      doubts.push_back(place() + " names a port that no destination pod has");
    }
  }
  return doubts;
}

}  // namespace portcullis::policy
