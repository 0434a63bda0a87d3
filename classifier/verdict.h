// SPDX-License-Identifier: MIT
// What a lookup says: the decision of each direction and the rule that made it.
#pragma once

#include <cstddef>
#include <cstdint>

namespace portcullis::classifier {

/// Names the rule that decided. Ids below kBuiltinRules are built in; rule i of a RuleSet has the
/// id kBuiltinRules + i; static rule i of one with n rules has kBuiltinRules + n + i. An id fits 30
/// bits.
using RuleId = std::uint32_t;

enum class Builtin : RuleId {
  no_subject,     // This end is no pod, so nothing judges it: allow.
  default_allow,  // A pod that no policy isolates, default mode "kubernetes".
  default_deny,   // A pod that no policy decided for, default mode "deny".
  self,           // A pod to its own address: allow, ahead of every tier.
  own_node,       // A pod and its own node: allow, ahead of the NetworkPolicy tier.
  unidentified,   // An address inside the pod CIDRs that is no known pod, mode "deny": deny.
  transit,        // Neither end is a pod, mode "deny": deny.
};
inline constexpr RuleId kBuiltinRules = 8;

constexpr RuleId rule_id(Builtin builtin) {
  return static_cast<RuleId>(builtin);
}
constexpr RuleId rule_id(std::size_t rule_index) {
  return static_cast<RuleId>(kBuiltinRules + rule_index);
}
constexpr bool is_builtin(RuleId id) {
  return id < kBuiltinRules;
}
/// REQUIRES: !is_builtin(id).
constexpr std::size_t rule_index(RuleId id) {
  return id - kBuiltinRules;
}

/// One direction's decision: | allowed 1 | reserved 1 | rule id 30 |
struct Decision {
  std::uint32_t bits = 0;

  static constexpr std::uint32_t kAllowed = 1U << 31U;
  static constexpr Decision allow(RuleId id) { return {kAllowed | id}; }
  static constexpr Decision deny(RuleId id) { return {id}; }
  [[nodiscard]] constexpr bool allowed() const { return (bits & kAllowed) != 0; }
  [[nodiscard]] constexpr RuleId rule() const { return bits & 0x3fff'ffffU; }

  friend bool operator==(const Decision&, const Decision&) = default;
};

/// Egress of the source AND ingress of the destination, decided in one lookup.
/// A zero Verdict denies both directions: memory that was never written fails closed.
struct Verdict {
  Decision egress;
  Decision ingress;

  [[nodiscard]] constexpr bool allowed() const {
    return (egress.bits & ingress.bits & Decision::kAllowed) != 0;
  }
  friend bool operator==(const Verdict&, const Verdict&) = default;
};
static_assert(sizeof(Verdict) == 8);

/// Whether a flow is allowed, and the way to the rules that say so: its classes in that table.
/// | allowed 1 | class of the source 31 | class of the destination 32 |, or, where a static rule
/// decided, | allowed 1 | its rule id 31 | kByStaticRule |. A zero Permit denies.
struct Permit {
  std::uint32_t bits = 0;
  std::uint32_t destination = 0;

  static constexpr std::uint32_t kAllowed = 1U << 31U;
  static constexpr std::uint32_t kByStaticRule = 0xffff'ffffU;
  [[nodiscard]] constexpr bool allowed() const { return (bits & kAllowed) != 0; }
  [[nodiscard]] constexpr std::uint32_t source() const { return bits & ~kAllowed; }
};
static_assert(sizeof(Permit) == 8);

}  // namespace portcullis::classifier
