// SPDX-License-Identifier: MIT
// Runs a capture through the pipeline offline: the capture's times are the clock, what is forwarded
// goes to one file and what is dropped to another, and every flow's verdict is counted.
// Thread: one call at a time; holds no state.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "base/ip.h"
#include "base/result.h"
#include "classifier/verdict.h"
#include "config/config.h"
#include "dataplane/drop_reason.h"
#include "dataplane/generation.h"
#include "dataplane/pipeline.h"

namespace portcullis::dataplane {

struct ReplayOptions {
  std::string in;       // "-": standard input.
  std::string out;      // Frames forwarded, and link frames, as a wire passes them.
  std::string dropped;  // Frames dropped; empty: nowhere.
  config::Conntrack conntrack{.flows_max = 262'144};
  config::Tunnels tunnels;  // That are looked into.
  config::NonIp non_ip;     // That pass beside IP.
};

/// The packets of a capture that share both addresses, the protocol, the destination port and what
/// became of them. Replies and errors count for the flow that they belong to, and so do the packets
/// that follow a denied beginning, which the pipeline itself drops as not_a_new_flow.
struct ReplayRecord {
  bool has_addresses = false;  // Link packets and those that cannot be read have none.
  IpAddress src;               // Of the flow's first packet.
  IpAddress dst;
  std::uint8_t protocol = 0;
  std::uint16_t dst_port = 0;  // 0: none, or packets of no flow, which have no known direction.
  Outcome::Action action = Outcome::Action::drop;
  DropReason reason = DropReason::none;
  classifier::Verdict verdict;  // Zero where none was asked for.
  std::uint64_t packets = 0;
  std::uint64_t flows = 0;  // Distinct five-tuples, whatever their direction.
};

struct ReplayResult {
  std::uint64_t packets = 0;
  std::uint64_t forwarded = 0;
  std::uint64_t dropped = 0;
  std::uint64_t link = 0;
  std::array<std::uint64_t, kDropReasons> drops{};
  std::vector<ReplayRecord> records;  // In order of their first packet.
};

/// Errors: a file cannot be read or written; `in` is damaged (what came before it is written);
/// an output is the input itself.
Result<ReplayResult> replay(const Generation& generation, const ReplayOptions& options);

}  // namespace portcullis::dataplane
