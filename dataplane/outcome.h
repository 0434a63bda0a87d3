// SPDX-License-Identifier: MIT
// What becomes of a frame. Thread: plain values.
#pragma once

#include <cstdint>

#include "base/limits.h"
#include "classifier/verdict.h"
#include "dataplane/drop_reason.h"

namespace portcullis::dataplane {

using PortIndex = std::uint16_t;
/// Where a caller keeps a frame that waits: an index below kHeldSlots.
using HeldSlot = std::uint16_t;
inline constexpr std::size_t kHeldSlots = limits::kFragmentsHeldMax + limits::kBurstMax;

/// What becomes of a frame.
struct Outcome {
  enum class Action : std::uint8_t {
    forward,  // Allowed: the forwarder picks the port.
    drop,
    link,  // ARP, neighbour discovery, what [non_ip] allows: the forwarder's business by its mode.
    hold,  // Not known yet: the caller keeps it at held_slot until it is released.
  };
  Action action = Action::drop;
  DropReason reason = DropReason::invalid_header;
  bool is_reply = false;        // Of a known flow, against its direction.
  bool judged = false;          // `verdict` was looked up for this very packet (a new flow).
  std::uint16_t l3_offset = 0;  // Of the IP header that was judged; 0 where there is none.
  HeldSlot held_slot = 0;       // For `hold` only.
  classifier::Verdict verdict;  // Of the flow; meaningless for `link` and malformed packets.
};
static_assert(sizeof(Outcome) == 16);

/// A frame that was held, and what becomes of it: forward or drop.
struct Released {
  HeldSlot slot = 0;
  Outcome outcome;
};

}  // namespace portcullis::dataplane
