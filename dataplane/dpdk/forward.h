// SPDX-License-Identifier: MIT
// The seam between verdict and wire: what a mode does with packets that the pipeline let pass.
#pragma once

#include <concepts>
#include <cstdint>
#include <span>

#include "dataplane/dpdk/transmit.h"
#include "dataplane/pipeline.h"

namespace portcullis::dataplane {

/// A packet on its way, in one piece. Owner: whoever it is handed to.
struct Parcel {
  rte_mbuf* packet = nullptr;
  std::span<std::uint8_t> bytes;  // Of the packet, from Ethernet on.
  PortIndex port = 0;             // Where it came in.
  std::uint16_t l3_offset = 0;
};

/// A worker has one of its own. Each parcel ends in exactly one of Transmit's send, drop and
/// consume, or is held by the forwarder until a later tick(). Where kOverhears is true, it also has
/// overhear(frame, port, now_ns, out): an untagged link frame that another worker's forwarder deals
/// with, to learn from.
template <typename F>
concept Forwarder = requires(F forwarder,
                             std::span<const std::uint8_t> frame,
                             const Parcel& parcel,
                             std::uint64_t now_ns,
                             Transmit& out) {
  // Is it for us at all? What is not is as if the port's filter had not let it in.
  { forwarder.accepts(frame, PortIndex{}) }
  noexcept->std::same_as<bool>;
  // An allowed packet.
  { forwarder.forward(parcel, now_ns, out) }
  noexcept;
  // ARP, neighbour discovery, group membership, and what [non_ip] lets pass.
  { forwarder.link(parcel, now_ns, out) }
  noexcept;
  { F::kOverhears } -> std::convertible_to<bool>;
  // Timers; once a poll.
  { forwarder.tick(now_ns, out) }
  noexcept;
};

}  // namespace portcullis::dataplane
