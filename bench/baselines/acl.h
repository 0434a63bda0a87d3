// SPDX-License-Identifier: MIT
// DPDK's rte_acl at its best: widest instruction set, huge pages where the system gives them.
#pragma once

#include "bench/baselines/contestant.h"

namespace portcullis::bench {

/// Both lists in one lookup, as two of rte_acl's categories; a context for each was slower. Starts
/// DPDK's EAL when first called, in memory of its own, with no device and no file, and leaves the
/// thread on its core.
/// Errors: EAL does not start; rte_acl cannot build these rules.
Result<Entry> make_acl(const RuleLists& lists);

/// Bytes that rte_acl will need for so many rules while it builds, as far as experience goes.
std::size_t acl_build_bytes(std::size_t rules);

}  // namespace portcullis::bench
