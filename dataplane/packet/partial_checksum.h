// SPDX-License-Identifier: MIT
// Finishes the transport checksums that Linux leaves to a device. A frame that a socket of this
// host sent, from another namespace, comes over a veth with the sum of the pseudo header only, or
// with none.
// Thread: any; pure functions on bytes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace portcullis::dataplane {

/// Finishes the checksum of TCP, UDP or SCTP in the packet at `l3_offset`, and in a tunnel's outer
/// UDP packet around it, where it is not: where the field holds the pseudo header's sum, as
/// CHECKSUM_PARTIAL has it (Linux, include/linux/skbuff.h), and of SCTP, which has no pseudo
/// header, zero. A finished checksum that happens to look so is written anew as it was; an SCTP
/// packet that may do without (RFC 9653) gets one, which its receiver takes as well. Of fragments,
/// which no sender leaves unfinished, and what is cut off, nothing is changed. Errors: none.
/// Returns how many it has finished. REQUIRES: parse() or Tunnels::look_inside() found the frame
/// well-formed.
unsigned finish_checksums(std::span<std::uint8_t> frame, std::size_t l3_offset) noexcept;

}  // namespace portcullis::dataplane
