// SPDX-License-Identifier: MIT
// For a denial: the rules that select the pod and would have allowed the flow but for one part.
// Thread: pure functions.
#pragma once

#include <string>
#include <vector>

#include "classifier/key.h"
#include "classifier/reference.h"
#include "observe/enforced.h"

namespace portcullis::observe {

struct NearMiss {
  policy::RuleOrigin origin;
  bool peer_fits = false;
  bool port_fits = false;
  std::string text;  // "allows shop/web on TCP 443, not on TCP 8443".
};

/// A flow that the policies of one end deny.
struct Denial {
  classifier::Direction direction = classifier::Direction::egress;
  classifier::Flow flow;
  std::string peer;                             // What the other end is called.
  std::vector<policy::RuleOrigin> selected_by;  // Isolations: the policies that count.
};

/// One entry for each rule of those policies, fewest wrong parts first, then in rule order.
std::vector<NearMiss> find_near_misses(const Enforced& enforced,
                                       const classifier::Reference& reference,
                                       const Denial& denial);

}  // namespace portcullis::observe
