// SPDX-License-Identifier: MIT
// Cuts an IPv4 packet into fragments for a narrower link, as RFC 791 has it.
// Thread: any, on a packet and a pool of its own.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "dataplane/drop_reason.h"

struct rte_mbuf;
struct rte_mempool;

namespace portcullis::dataplane {

/// The largest packet that a port may bring (9,600 bytes and what a buffer has beyond), cut for the
/// narrowest port (1,280), with the longest header makes eight.
inline constexpr std::size_t kFragmentsOfPacketMax = 16;

/// The fragments of one packet, in order.
struct FragmentBurst {
  std::array<rte_mbuf*, kFragmentsOfPacketMax> packets{};
  std::size_t count = 0;
  DropReason reason = DropReason::none;  // Why there are none, where there are none.
};

/// Whether it is IPv4 and its sender lets routers cut it.
/// REQUIRES: parse() found the frame well-formed, and IP begins at l3_offset.
bool may_be_fragmented(std::span<const std::uint8_t> frame, std::size_t l3_offset) noexcept;

/// Cuts an untagged frame whose packet is larger than `mtu`, by copying: each fragment is a frame
/// with the same Ethernet header, in one buffer of `pool`, which has room for frames of `mtu`. A
/// fragment may be cut again. The packet stays its owner's, unchanged.
/// Errors: no_memory when the pool runs dry; then nothing is kept of it.
/// REQUIRES: parse() found the frame well-formed; may_be_fragmented(); one segment.
FragmentBurst fragment_ipv4(rte_mbuf* packet, std::uint16_t mtu, rte_mempool* pool) noexcept;

}  // namespace portcullis::dataplane
