// SPDX-License-Identifier: MIT
// Two editions of policies that take turns, made so that a packet which is judged by parts of both
// is found out: whatever parts these are, it passes where both deny, and is denied where both
// allow.
//
// Beside all others there are pods of a team and as many strangers. In edition a the team is red
// and the strangers are blue; in edition b it is the other way round. All have a port for each kind
// of flow, and nothing else is open to them. Between pods of the team it is red to red that is
// asked about in edition a, blue to blue in edition b; "own" stands for it:
//
//   kind         | a: egress | a: ingress | b: egress | b: ingress | a, b | parts of both
//   both         | own       | own        | own       | own        | pass | denied
//   neither      | all       | not own    | not own   | all        | deny | of these two
//   neither_too  | not own   | all        | all       | not own    | deny |   one passes
//   only_a       | all       | all        | none      | none       | pass, deny
//   only_b       | none      | none       | all       | all        | deny, pass
//
// Thread: plain data.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "classifier/key.h"
#include "classifier/rule.h"

namespace portcullis::bench {

enum class Edition : std::uint8_t { a, b };

enum class FlowKind : std::uint8_t {
  steady,  // Of other pods: editions do not tell them apart.
  both,
  neither,
  neither_too,
  only_a,
  only_b,
};
inline constexpr std::size_t kFlowKinds = 6;
const char* to_string(FlowKind kind);

/// What the whole of an edition says of a kind.
constexpr bool allows(Edition edition, FlowKind kind) {
  switch (kind) {
    case FlowKind::steady:
    case FlowKind::both:
      return true;
    case FlowKind::neither:
    case FlowKind::neither_too:
      return false;
    case FlowKind::only_a:
    case FlowKind::only_b:
      break;
  }
  return (kind == FlowKind::only_a) == (edition == Edition::a);
}

/// From which edition each part of a judgement is: the colours of both ends, and the rules of both
/// directions. An edition is a mixture, too, of which all parts are its own.
struct Mixture {
  Edition source = Edition::a;
  Edition destination = Edition::a;
  Edition egress = Edition::a;
  Edition ingress = Edition::a;

  static constexpr Mixture whole(Edition edition) { return {edition, edition, edition, edition}; }
  friend bool operator==(const Mixture&, const Mixture&) = default;
};

/// The rules of others, then those of a mixture. The team and the strangers are added behind the
/// endpoints there are.
classifier::RuleSet rules_of(const classifier::RuleSet& others, const Mixture& mixture);

/// UDP between two pods of the team. Different numbers are different flows. REQUIRES: kind is not
/// steady; number < kTeamFlowsMax.
classifier::Key4 team_key(FlowKind kind, std::size_t number);
inline constexpr std::size_t kTeamFlowsMax = 1'000'000;

}  // namespace portcullis::bench
