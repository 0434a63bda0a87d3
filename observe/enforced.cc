// SPDX-License-Identifier: MIT
#include "observe/enforced.h"

#include <fmt/format.h>

#include "classifier/key.h"

namespace portcullis::observe {

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
