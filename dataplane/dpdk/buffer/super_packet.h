// SPDX-License-Identifier: MIT
// Super-packets: TCP segments of one flow in one, up to 64 KB, which a sender has left to its
// device to cut, or a device has joined. Cut where they come in, so that all behind it, from policy
// to MTU, sees the packets that would be on a wire.
//
// DPDK's rte_gso is no help here: it knows no IPv6, leaves checksums and the CWR flag to others,
// and its segments are two buffers each, where the pipeline reads one. Thread: any, on a packet and
// a pool of its own.
#pragma once

#include <array>
#include <cstddef>

#include <rte_mbuf.h>

#include "dataplane/drop_reason.h"

namespace portcullis::dataplane {

/// Of 64 KB, for any MSS that a host has to take (536 bytes, RFC 9293). What would make more is no
/// host's work: a few bytes a segment make one packet of a guest thousands of ours.
inline constexpr std::size_t kSegmentsOfPacketMax = 128;

/// The segments of one super-packet, in order.
struct SegmentBurst {
  std::array<rte_mbuf*, kSegmentsOfPacketMax> packets;
  std::size_t count = 0;
  DropReason reason = DropReason::none;  // Why there are none, where there are none.
};

/// Whether its device says that it is one. Cost: a test of a word beside its length.
[[nodiscard]] inline bool is_super_packet(const rte_mbuf* packet) noexcept {
  return (packet->ol_flags & RTE_MBUF_F_RX_LRO) != 0;
}

/// Cuts one, which may have any number of buffers, by copying into one buffer of `pool` each: by
/// the length that came with it, which is what its sender would have cut it to. Each segment has
/// headers of its own, with all checksums; IPv4 identifiers count up; CWR stays with the first, FIN
/// and PSH with the last (RFC 3168, RFC 9293). The packet stays its owner's, unchanged. Errors:
/// no_memory when the pool runs dry, and nothing is kept of it; packet_too_big: it is not TCP, is
/// in a tunnel or a fragment, says no length, or would make more or larger segments than there may
/// be; else what parse() says of it.
SegmentBurst cut_super_packet(const rte_mbuf* packet, rte_mempool* pool) noexcept;

}  // namespace portcullis::dataplane
