// SPDX-License-Identifier: MIT
// Policy unit tests: a file of probes, each with the verdict that is expected of it.
// Thread: pure functions.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "policy/locate.h"
#include "policy/snapshot.h"

namespace portcullis::policy {

struct Probe {
  std::string name;  // May be empty.
  std::string src;   // "namespace/pod" or an IP address.
  std::string dst;
  std::uint8_t protocol = 0;          // kProtocolIcmp stands for ICMP of either family.
  std::optional<std::uint16_t> port;  // Absent for "-": matched only by rules without ports.
  bool allow = false;                 // The verdict expected.
  Where where;
};

/// "shop/web -> shop/db TCP 5432", with the name in front if there is one.
std::string to_string(const Probe& probe);
FlowText flow_text(const Probe& probe);

struct Expectations {
  std::vector<Probe> probes;
  std::vector<Diagnostic> diagnostics;  // Errors, all of them, in order of line.
};

/// Reads a file of probes: a YAML list of {name, src, dst, proto, port, expected}, if the name ends
/// in .yaml, .yml or .json or the text begins as a list, or else a line a probe,
/// "src<TAB>dst<TAB>proto<TAB>port<TAB>expected", where "#" begins a comment.
Expectations parse_expectations(const Manifest& file);

/// "TCP", "UDP", "SCTP" or "ICMP".
Result<std::uint8_t> parse_protocol(std::string_view text);
/// A number of at most 65535, or "-" for none; ICMP has none and takes "-" or 0.
Result<std::optional<std::uint16_t>> parse_port(std::string_view text, std::uint8_t protocol);

}  // namespace portcullis::policy
