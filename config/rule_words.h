// SPDX-License-Identifier: MIT
// The words of static rules: protocols, port ranges and TCP flags as people write them.
// Thread: any; pure functions. Errors: the message says how such a word is written.
#pragma once

#include <cstdint>
#include <string_view>

#include "base/result.h"
#include "config/config.h"

namespace portcullis::config {

/// "tcp", "udp", "sctp", "icmp", "icmpv6", "gre", "esp", "ah", or a number 0 to 255.
Result<std::uint8_t> parse_protocol(std::string_view text);

/// "443" or "8000-8099".
Result<NumberRange> parse_ports(std::string_view text);

/// "syn !ack": flags that must be set and, with "!", must not.
Result<MaskedFlags> parse_tcp_flags(std::string_view text);

}  // namespace portcullis::config
