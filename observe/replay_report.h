// SPDX-License-Identifier: MIT
// What a replayed capture came to, by workload: who talked to whom, what became of it, and why.
// Thread: pure functions.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "dataplane/replay.h"
#include "observe/enforced.h"

namespace portcullis::observe {

/// One row of the table: packets that share both workloads, protocol, port, fate and deciding rule.
struct ReplayRow {
  std::string source;       // "shop/web", "node/n1", an address, or "-".
  std::string destination;  // Likewise.
  std::string protocol;     // "TCP", or "-".
  std::string port;         // "443", or "-".
  std::string verdict;      // "FORWARDED", "DROPPED" or "LINK".
  std::string reason;       // "POLICY_DENIED"; empty unless dropped.
  std::string rule;         // What decided; empty where no rule was asked.
  std::uint64_t packets = 0;
  std::uint64_t flows = 0;
};

struct ReplayReport {
  std::uint64_t packets = 0;
  std::uint64_t forwarded = 0;
  std::uint64_t dropped = 0;
  std::uint64_t link = 0;
  std::vector<ReplayRow> rows;  // Sorted by source, destination, protocol, port.
};

/// Names the records of a replay. Addresses of one workload, of either family, are one.
ReplayReport report(const dataplane::ReplayResult& result, const Enforced& enforced);

/// A table for a person and one line of totals.
std::string to_text(const ReplayReport& report);
/// One JSON object, without a line end.
std::string to_json(const ReplayReport& report);

}  // namespace portcullis::observe
