// SPDX-License-Identifier: MIT
// The Internet checksum of RFC 1071.
// Thread: any; pure functions on bytes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace portcullis::dataplane {

/// Adds big-endian 16-bit words to a running sum; an odd last byte counts as its high half, so only
/// the last part of a message may be odd.
std::uint64_t checksum_add(std::uint64_t sum, std::span<const std::uint8_t> bytes) noexcept;
/// Folds a sum and complements it: the value for the checksum field; 0 over a whole valid message.
std::uint16_t checksum_finish(std::uint64_t sum) noexcept;

}  // namespace portcullis::dataplane
