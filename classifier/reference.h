// SPDX-License-Identifier: MIT
// The linear matcher: the oracle that every table and kernel must equal. Slow and obvious.
// Thread: any; the RuleSet must outlive it and stay unchanged.
#pragma once

#include <optional>
#include <unordered_map>
#include <vector>

#include "classifier/key.h"
#include "classifier/rule.h"
#include "classifier/verdict.h"

namespace portcullis::classifier {

class Reference {
 public:
  /// Indexes addresses to endpoints; the rules themselves are walked in order for every lookup.
  explicit Reference(const RuleSet& rules);

  /// The verdict of rule.h's steps. REQUIRES: flow.src and flow.dst are of one family.
  [[nodiscard]] Verdict lookup(const Flow& flow) const;
  /// Step 0: nothing when no static rule matches or the first that does says pass.
  [[nodiscard]] std::optional<Decision> decide_by_static_rules(const Flow& flow) const;
  /// Steps 1 to 6.
  [[nodiscard]] Decision decide(Direction direction, const Flow& flow) const;

  /// True when this one rule's subjects, peers and ports hold the flow (action not considered).
  [[nodiscard]] bool matches(const Rule& rule, const Flow& flow) const;
  [[nodiscard]] static bool matches(const StaticRule& rule, const Flow& flow);
  /// The parts of `matches`, for explaining a near miss.
  [[nodiscard]] bool holds(const AddressSet& set, const IpAddress& address) const;
  [[nodiscard]] static bool holds(const PortSet& ports, std::uint8_t protocol, std::uint16_t port);

  /// The endpoint that owns an address, or kNoEndpoint.
  [[nodiscard]] EndpointIndex endpoint_of(const IpAddress& address) const;

 private:
  [[nodiscard]] Decision without_subject(const IpAddress& subject, const IpAddress& peer) const;
  /// Nothing when no rule of the tier matches or the first that does says pass.
  [[nodiscard]] std::optional<Decision> decide_in_tier(Direction direction,
                                                       Tier tier,
                                                       const Flow& flow) const;
  [[nodiscard]] bool is_workload(const IpAddress& address) const;
  [[nodiscard]] bool is_own_node(const IpAddress& subject, const IpAddress& peer) const;

  const RuleSet& rules_;
  std::vector<std::size_t> ordered_;  // Rules by Rule::order.
  std::unordered_map<IpAddress, EndpointIndex> endpoints_;
};

}  // namespace portcullis::classifier
