// SPDX-License-Identifier: MIT
// RuleDelta: a change of a RuleSet, entry by entry. Indices are stable: what goes away leaves a
// free slot (an endpoint without addresses, a set or port set of nothing, a rule of Action::none)
// that a later change may fill, so rule ids and endpoint indices keep their meaning.
// Thread: plain data.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "base/result.h"
#include "classifier/rule.h"

namespace portcullis::classifier {

/// The new value of an entry: of an existing index, or of the next one, which appends.
template <typename T>
struct Change {
  std::uint32_t index = 0;
  T value;
};

/// Whether a set holds an endpoint from now on.
struct Membership {
  SetIndex set = 0;
  EndpointIndex endpoint = 0;
  bool member = true;
};

/// Applied from top to bottom.
struct RuleDelta {
  std::vector<Change<Endpoint>> endpoints;
  std::vector<Change<AddressSet>> sets;
  std::vector<Membership> memberships;
  std::vector<Change<PortSet>> port_sets;
  std::vector<Change<Rule>> rules;
  std::optional<std::vector<Prefix>> pod_cidrs;
  std::optional<DefaultMode> default_mode;
};

/// What takes an applied delta back.
struct DeltaUndo {
  RuleDelta inverse;  // In the order in which it was applied: taken back from its end.
  std::size_t endpoints = 0;
  std::size_t sets = 0;
  std::size_t port_sets = 0;
  std::size_t rules = 0;
};

/// Changes `rules`; on an error nothing. Memberships that are so already have no inverse.
/// Errors: an index beyond the next one; what compile() refuses of the changed entries, but for the
/// owners of addresses.
Result<DeltaUndo> apply(RuleDelta delta, RuleSet& rules);
void take_back(DeltaUndo undo, RuleSet& rules);

}  // namespace portcullis::classifier
