// SPDX-License-Identifier: MIT
#include "bench/swap/editions.h"

#include <optional>
#include <utility>

#include "base/check.h"

namespace portcullis::bench {
namespace {

using namespace classifier;

constexpr EndpointIndex kTeam = 8;
/// RFC 2544's own addresses; no pod of a policy world has one.
constexpr std::uint32_t kFirstAddress = (198U << 24U) | (18U << 16U) | 1U;
constexpr std::uint16_t kFirstPort = 8'000;
constexpr std::size_t kFirstSourcePort = 20'000;
constexpr std::size_t kPairs = std::size_t{kTeam} * (kTeam - 1);
static_assert(kFirstSourcePort + kTeamFlowsMax / kPairs < 0xffff);

std::uint16_t port_of(FlowKind kind) {
  return static_cast<std::uint16_t>(kFirstPort + static_cast<std::uint16_t>(kind));
}

class RulesMaker {
 public:
  RulesMaker(const RuleSet& others, const Mixture& mixture) : rules_(others), mixture_(mixture) {
    const auto first = static_cast<EndpointIndex>(rules_.endpoints.size());
    for (std::uint32_t i = 0; i < 2 * kTeam; ++i) {
      rules_.endpoints.push_back({.addresses = {IpAddress::from_v4(kFirstAddress + i)}});
    }
    team_ = add_endpoints(first, first + kTeam);
    strangers_ = add_endpoints(first + kTeam, first + 2 * kTeam);
    all_ = add_endpoints(first, first + 2 * kTeam);
    everything_ = add({.everything = true});
  }

  RuleSet make() && {
    add_direction(Direction::egress, mixture_.egress);
    add_direction(Direction::ingress, mixture_.ingress);
    return std::move(rules_);
  }

 private:
  SetIndex add(AddressSet set) {
    rules_.sets.push_back(std::move(set));
    return static_cast<SetIndex>(rules_.sets.size() - 1);
  }
  SetIndex add_endpoints(EndpointIndex first, EndpointIndex end) {
    AddressSet set;
    for (EndpointIndex i = first; i < end; ++i) {
      set.endpoints.push_back(i);
    }
    return add(std::move(set));
  }
  /// Who is given by `colours` the colour that the team has in edition `rules`.
  [[nodiscard]] SetIndex own(Edition rules, Edition colours) const {
    return rules == colours ? team_ : strangers_;
  }

  void add_rule(Rule rule, std::optional<FlowKind> kind) {
    PortSet ports{.everything = !kind};
    if (kind) {
      for (const std::uint8_t protocol : {kProtocolTcp, kProtocolUdp}) {
        ports.ranges.push_back({protocol, port_of(*kind), port_of(*kind)});
      }
    }
    rule.ports = static_cast<PortsIndex>(rules_.port_sets.size());
    rules_.port_sets.push_back(std::move(ports));
    rules_.rules.push_back(rule);
  }

  /// The first rule that matches decides, as the table in the header has it.
  void add_direction(Direction direction, Edition edition) {
    const bool is_egress = direction == Direction::egress;
    const SetIndex sources = own(edition, mixture_.source);
    const SetIndex destinations = own(edition, mixture_.destination);
    const auto own_rule = [&](Action action) {
      return Rule{.direction = direction,
                  .action = action,
                  .subjects = is_egress ? sources : destinations,
                  .peers = is_egress ? destinations : sources};
    };
    const Rule allow_all{.direction = direction, .subjects = all_, .peers = all_};
    add_rule(own_rule(Action::allow), FlowKind::both);
    add_rule(own_rule(Action::deny),
             is_egress == (edition == Edition::b) ? FlowKind::neither : FlowKind::neither_too);
    add_rule(allow_all, FlowKind::neither);
    add_rule(allow_all, FlowKind::neither_too);
    add_rule(allow_all, edition == Edition::a ? FlowKind::only_a : FlowKind::only_b);
    add_rule(
        {.direction = direction, .action = Action::deny, .subjects = all_, .peers = everything_},
        std::nullopt);
  }

  RuleSet rules_;
  const Mixture mixture_;
  SetIndex team_ = 0;
  SetIndex strangers_ = 0;
  SetIndex all_ = 0;
  SetIndex everything_ = 0;
};

}  // namespace

const char* to_string(FlowKind kind) {
  constexpr std::array<const char*, kFlowKinds> kNames{
      "steady", "both", "neither", "neither too", "only a", "only b"};
  return kNames[static_cast<std::size_t>(kind)];
}

RuleSet rules_of(const RuleSet& others, const Mixture& mixture) {
  return RulesMaker(others, mixture).make();
}

Key4 team_key(FlowKind kind, std::size_t number) {
  PORTCULLIS_CHECK(kind != FlowKind::steady && number < kTeamFlowsMax);
  const auto src = static_cast<std::uint32_t>(number % kTeam);
  const auto step = static_cast<std::uint32_t>(1 + number / kTeam % (kTeam - 1));
  return {.src = kFirstAddress + src,
          .dst = kFirstAddress + (src + step) % kTeam,
          .src_port = static_cast<std::uint16_t>(kFirstSourcePort + number / kPairs),
          .dst_port = port_of(kind),
          .protocol = kProtocolUdp};
}

}  // namespace portcullis::bench
