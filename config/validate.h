// SPDX-License-Identifier: MIT
// What a configuration may not say although each value by itself is well formed.
// Thread: any; pure functions.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "config/config.h"

namespace portcullis::config {

/// Bytes of a name of the operator's choice: a port's, a file prefix.
inline constexpr std::size_t kNameBytesMax = 32;
/// Bytes of an IP packet; IPv6 needs the lower bound (RFC 8200, 5).
inline constexpr std::uint16_t kMtuMin = 1280;
inline constexpr std::uint16_t kMtuMax = 9600;

/// Two values that cannot both hold, or one that is missing.
struct Contradiction {
  std::string field;    // "ports.web.addresses": the value to mend, or the table that lacks it.
  std::string message;  // What is wrong and how to mend it.
};

/// All of them, in the order of the sections. Empty: the configuration can be started.
std::vector<Contradiction> validate(const Config& config);

}  // namespace portcullis::config
