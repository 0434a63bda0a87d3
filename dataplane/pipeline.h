// SPDX-License-Identifier: MIT
// The hot path for one burst: parse -> conntrack -> lookup for new flows -> verdict -> counters.
// Knows no DPDK: the worker, replay, tests and benches drive the same code.
// Thread: one Pipeline per worker; process() is called by that worker only.
#pragma once

#include <cstdint>
#include <memory>
#include <span>

#include "classifier/verdict.h"
#include "config/config.h"
#include "dataplane/drop_reason.h"
#include "dataplane/generation.h"

namespace portcullis::dataplane {

using PortIndex = std::uint16_t;

/// A received frame. Owner: the caller; valid during process(). `data` starts at Ethernet.
struct Frame {
  std::uint8_t* data = nullptr;
  std::uint32_t length = 0;  // Contiguous bytes at data.
  PortIndex port = 0;
};

/// What becomes of a frame.
struct Outcome {
  enum class Action : std::uint8_t {
    forward,  // Allowed: the forwarder picks the port.
    drop,
    link,  // ARP, neighbour discovery and the like: the forwarder's business by its mode.
  };
  Action action = Action::drop;
  DropReason reason = DropReason::invalid_header;
  bool is_reply = false;        // Of a known flow, against its direction.
  bool judged = false;          // `verdict` was looked up for this very packet (a new flow).
  std::uint16_t l3_offset = 0;  // Of the IP header; 0 where there is none.
  classifier::Verdict verdict;  // Of the flow; meaningless for `link` and malformed packets.
};

}  // namespace portcullis::dataplane
