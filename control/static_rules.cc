// SPDX-License-Identifier: MIT
#include "control/static_rules.h"

#include <fmt/format.h>

namespace portcullis::control {
namespace {

classifier::Action action_of(config::StaticRule::Action action) {
  switch (action) {
    case config::StaticRule::Action::allow:
      return classifier::Action::allow;
    case config::StaticRule::Action::pass:
      return classifier::Action::pass;
    case config::StaticRule::Action::deny:
      break;
  }
  return classifier::Action::deny;
}

classifier::Interval interval_of(const config::NumberRange& range) {
  return {range.first, range.second};
}

/// Type and code in one number, type << 8 | code.
classifier::Interval icmp_of(const config::StaticRule& rule) {
  if (!rule.icmp_type) {
    return {};
  }
  const auto first = static_cast<std::uint16_t>(*rule.icmp_type << 8U);
  return {static_cast<std::uint16_t>(first | rule.icmp_code.value_or(0)),
          static_cast<std::uint16_t>(first | rule.icmp_code.value_or(0xff))};
}

}  // namespace

std::vector<policy::NamedStaticRule> static_rules_of(const config::Config& config) {
  std::vector<policy::NamedStaticRule> out;
  for (const config::StaticRule& rule : config.static_rules) {
    out.push_back({.rule = {.src = rule.source,
                            .dst = rule.destination,
                            .protocol = rule.protocol,
                            .src_ports = interval_of(rule.source_ports),
                            .dst_ports = interval_of(rule.destination_ports),
                            .icmp = icmp_of(rule),
                            .tcp_flags = rule.tcp_flags.first,
                            .tcp_flags_mask = rule.tcp_flags.second,
                            .action = action_of(rule.action)},
                   .name = rule.name.empty() ? fmt::format("number {}", out.size() + 1) : rule.name,
                   .where = {config.file, rule.line, 0}});
  }
  return out;
}

policy::LowerOptions lowering_of(const config::Config& config) {
  const bool denies = config.policy.default_mode == config::Policy::Default::deny;
  return {
      .default_mode = denies ? classifier::DefaultMode::deny : classifier::DefaultMode::kubernetes,
      .pod_cidrs = config.policy.pod_cidrs};
}

}  // namespace portcullis::control
