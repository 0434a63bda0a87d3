// SPDX-License-Identifier: MIT
#include "observe/enforced.h"

#include <fmt/format.h>

#include "base/check.h"
#include "classifier/key.h"

namespace portcullis::observe {

const policy::RuleOrigin* origin_of(const Enforced& enforced, classifier::RuleId id) {
  if (classifier::is_builtin(id)) {
    return nullptr;
  }
  const auto& rules = enforced.rules.rules;
  const auto& static_rules = enforced.rules.static_rules;
  const std::size_t index = classifier::rule_index(id);
  PORTCULLIS_CHECK(index < rules.size() + static_rules.size());
  return &enforced.provenance[index < rules.size() ? rules[index].provenance
                                                   : static_rules[index - rules.size()].provenance];
}

std::string describe(const policy::RuleOrigin& origin) {
  const std::string rule =
      origin.rule == policy::RuleOrigin::kIsolation ? "" : fmt::format(" rule {}", origin.rule);
  return fmt::format("{} {}{} ({})", origin.kind, origin.policy, rule, to_string(origin.where));
}

std::string protocol_name(std::uint8_t protocol) {
  switch (protocol) {
    case classifier::kProtocolTcp:
      return "TCP";
    case classifier::kProtocolUdp:
      return "UDP";
    case classifier::kProtocolSctp:
      return "SCTP";
    case classifier::kProtocolIcmp:
      return "ICMP";
    case classifier::kProtocolIcmpv6:
      return "ICMPv6";
    default:
      return fmt::format("protocol {}", protocol);
  }
}

std::string describe_port(std::uint8_t protocol, std::uint16_t port) {
  return port == 0 ? protocol_name(protocol) : fmt::format("{} {}", protocol_name(protocol), port);
}

}  // namespace portcullis::observe
