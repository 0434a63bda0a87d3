// SPDX-License-Identifier: MIT
// Moves: what a delta makes of addresses: which come, go, or become another kind.
// Thread: one.
#pragma once

#include <cstdint>
#include <map>
#include <utility>
#include <vector>

#include "base/result.h"
#include "classifier/rule_delta.h"
#include "classifier/updater/census.h"
#include "classifier/updater/live_map.h"

namespace portcullis::classifier {

/// An address of an endpoint that a delta touched.
struct Move {
  IpAddress address;
  EndpointIndex endpoint = kNoEndpoint;  // The new owner, if any.
  KindIndex from = 0;
  KindIndex to = 0;
  bool was_known = false;

  [[nodiscard]] bool is_known() const { return endpoint != kNoEndpoint; }
};

struct Moves {
  std::vector<Move> addresses;  // In order of address.
  std::vector<std::pair<EndpointIndex, ProfileIndex>> profiles;
};

/// REQUIRES: `rules` has the delta that `undo` takes back. Adds kinds to the census, but changes
/// nothing else of it.
/// Errors: an address would have two owners.
Result<Moves> find_moves(const RuleSet& rules, const DeltaUndo& undo, Census& census);

/// What the map says of a moved address from now on.
LiveMap::Entry entry_of(const Move& move, const RuleSet& rules, const Census& census);

/// Makes the census what the moves say.
void enter(const Moves& moves, Census& census);

}  // namespace portcullis::classifier
