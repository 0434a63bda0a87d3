// SPDX-License-Identifier: MIT
// Tuple-space search (Srinivasan, Suri and Varghese, 1999): a hash table for every combination of
// prefix lengths and exact fields, asked in order of their highest priority.
#pragma once

#include "bench/baselines/contestant.h"

namespace portcullis::bench {

/// Port ranges are no part of the hashed key: rules that differ only in them share a slot, and are
/// tried one after another.
Entry make_tuple_space(const RuleLists& lists);

}  // namespace portcullis::bench
