// SPDX-License-Identifier: MIT
// Random RuleSets, small and crowded so that everything overlaps, and the flows at their
// boundaries.
#pragma once

#include <cstdint>
#include <random>
#include <vector>

#include "classifier/key.h"
#include "classifier/rule.h"
#include "classifier/rule_delta.h"

namespace portcullis::classifier {

RuleSet random_rules(std::mt19937_64& random);

/// Pods that come, go and change their addresses or sets; rules, sets and ports that change.
RuleDelta random_delta(const RuleSet& rules, std::mt19937_64& random);

/// First and last address of every block and the addresses beside them, every endpoint's address;
/// of one family, sorted.
std::vector<IpAddress> boundary_addresses(const RuleSet& rules, Family family);

/// (protocol, port) at and beside both ends of every range, and one that no rule names.
struct PortKey {
  std::uint8_t protocol = 0;
  std::uint16_t port = 0;
  friend auto operator<=>(const PortKey&, const PortKey&) = default;
};
std::vector<PortKey> boundary_ports(const RuleSet& rules);

/// PORTCULLIS_SEED, else `fallback`; printed.
std::uint64_t seed_of_run(std::uint64_t fallback);

}  // namespace portcullis::classifier
