// SPDX-License-Identifier: MIT
// The Internet checksum of RFC 1071.
// Thread: any; pure functions on bytes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "dataplane/packet/headers.h"

namespace portcullis::dataplane {

/// Adds big-endian 16-bit words to a running sum; an odd last byte counts as its high half, so only
/// the last part of a message may be odd.
inline std::uint64_t checksum_add(std::uint64_t sum, std::span<const std::uint8_t> bytes) noexcept {
  std::size_t i = 0;
  // 32-bit words fold to the same sum as 16-bit ones; 2^32 of them fit before the sum overflows.
  for (; i + 4 <= bytes.size(); i += 4) {
    sum += wire::load32(&bytes[i]);
  }
  if (i + 2 <= bytes.size()) {
    sum += wire::load16(&bytes[i]);
    i += 2;
  }
  if (i < bytes.size()) {
    sum += std::uint64_t{bytes[i]} << 8U;
  }
  return sum;
}

/// Folds a sum and complements it: the value for the checksum field; 0 over a whole valid message.
inline std::uint16_t checksum_finish(std::uint64_t sum) noexcept {
  while ((sum >> 16U) != 0) {
    sum = (sum & 0xffffU) + (sum >> 16U);
  }
  return static_cast<std::uint16_t>(~sum);
}

}  // namespace portcullis::dataplane
