// SPDX-License-Identifier: MIT
// Policies written out as plain 5-tuple rules, as a classifier that knows no sets needs them: a
// rule for every subject address, peer address or block, and port range.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "bench/baselines/contestant.h"
#include "bench/corpus.h"
#include "classifier/rule.h"

namespace portcullis::bench {

/// Answers of the two lists, egress of the source and ingress of the destination. Their "and" has
/// kAnswerAllow set exactly when both allow.
inline constexpr std::uint32_t kAnswerAllow = 1;
inline constexpr std::uint32_t kAnswerDeny = 2;

/// The rules of every pod, or of the pods of one node only.
struct Expansion {
  classifier::EndpointIndex node = classifier::kNoEndpoint;  // kNoEndpoint: all of them.
};

/// REQUIRES: a world of make_world(): one tier, default mode kubernetes, IPv4, and no rule that
/// allows comes after one that denies the same subject.
RuleLists expand(const World& world, const Expansion& expansion = {});

/// A block less its exceptions, as prefixes.
std::vector<Prefix> without_exceptions(const classifier::Block& block);

/// How many rules expand() would make, without making them.
std::size_t expanded_count(const World& world, const Expansion& expansion = {});

}  // namespace portcullis::bench
