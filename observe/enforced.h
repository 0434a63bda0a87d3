// SPDX-License-Identifier: MIT
// What is enforced, with the names of everything in it: the ground that explanations stand on.
// Thread: plain references to constant data.
#pragma once

#include <span>
#include <string>

#include "classifier/rule.h"
#include "classifier/table.h"
#include "classifier/verdict.h"
#include "policy/lower.h"
#include "policy/provenance.h"

namespace portcullis::observe {

/// The table that runs, the rules it was compiled from, and their names.
/// Owner: all of it must outlive whoever holds this.
struct Enforced {
  const classifier::Table& table;
  const classifier::RuleSet& rules;
  const policy::Provenance& provenance;
  std::span<const policy::EndpointName> endpoints;  // Parallel to rules.endpoints.
};

/// Where the rule of an id was written; null for a built-in one. REQUIRES: an id of that table.
const policy::RuleOrigin* origin_of(const Enforced& enforced, classifier::RuleId id);

/// "NetworkPolicy shop/web rule 2 (policies.yaml:30)"; the rule is left out for an isolation.
std::string describe(const policy::RuleOrigin& origin);
/// "TCP", "UDP", "SCTP", "ICMP", "ICMPv6" or "protocol 47".
std::string protocol_name(std::uint8_t protocol);
/// "TCP 443", or the protocol alone where it has no ports or the port is 0.
std::string describe_port(std::uint8_t protocol, std::uint16_t port);

}  // namespace portcullis::observe
