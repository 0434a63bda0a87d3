// SPDX-License-Identifier: MIT
// Step: one packet on its way through the pipeline, and what is read off it in several stages.
// Thread: that of its pipeline.
#pragma once

#include <cstdint>

#include "classifier/key.h"
#include "dataplane/conntrack.h"
#include "dataplane/packet/packet.h"
#include "dataplane/pipeline.h"
#include "dataplane/tcp/segment.h"

namespace portcullis::dataplane {

/// What must be looked up before a packet can be settled.
enum class Question : std::uint8_t {
  none,    // Its flow is known and current, or it may not begin one.
  packet,  // May this packet's own flow (or this packet, if stateless) be?
  flow,    // May its known flow still be, under a newer generation?
};

/// One packet on its way through the burst.
struct alignas(64) Step {
  Packet packet;
  std::uint64_t hash = 0;
  Conntrack::Found found;
  const Frame* frame = nullptr;        // That it came in.
  Question question = Question::none;  // Asked of the classifier for the whole burst.
  std::uint8_t slot = 0;               // Of the answer in `answers4` or `answers6`.
};

inline bool has_flow(const Step& step) {
  return step.packet.kind == Packet::Kind::flow || step.packet.kind == Packet::Kind::related;
}

inline Conntrack::Sought sought_of(const Step& step) {
  return {.tuple = step.packet.tuple, .answer = step.packet.answer, .hash = step.hash};
}

/// TCP whose header is here: not a later fragment.
inline bool is_tcp_segment(const Packet& packet) {
  return packet.tuple.protocol == classifier::kProtocolTcp && packet.kind == Packet::Kind::flow &&
         packet.l4_offset != 0;
}

inline TcpSegment segment_of(const Step& step) {
  return read_segment({step.frame->data, step.frame->length}, step.packet);
}

}  // namespace portcullis::dataplane
