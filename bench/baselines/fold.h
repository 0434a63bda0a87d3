// SPDX-License-Identifier: MIT
// Policies as plain 5-tuple rules once more, but with both directions folded into one list: half
// the rules and one answer for a classifier that knows no sets.
#pragma once

#include "bench/baselines/contestant.h"
#include "bench/corpus.h"

namespace portcullis::bench {

/// Rules of what egress of the source and ingress of the destination both allow. What each rule
/// came from is lost: answers say only whether a flow is allowed, as those of expand() do.
/// REQUIRES: a world as expand() wants it.
RuleLists fold(const World& world);

}  // namespace portcullis::bench
