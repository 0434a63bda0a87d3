// SPDX-License-Identifier: MIT
// The identity map of eBPF enforcers: address -> identity, then a hash of exact
// (subject, peer, protocol, port) tuples for each direction.
#pragma once

#include "bench/baselines/contestant.h"
#include "bench/corpus.h"

namespace portcullis::bench {

/// Addresses that the same sets hold share an identity. A port range becomes its aligned blocks,
/// and a lookup asks for the block of each size that the subject's policies use, the whole
/// protocol set last. Answers as expand() has them.
/// REQUIRES: a world as expand() wants it.
/// Errors: more tuples than there is memory for.
Result<Entry> make_exact_hash(const World& world);

}  // namespace portcullis::bench
