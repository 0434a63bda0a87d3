// SPDX-License-Identifier: MIT
#include "dataplane/packet/checksum.h"

#include "dataplane/packet/headers.h"

namespace portcullis::dataplane {

std::uint64_t checksum_add(std::uint64_t sum, std::span<const std::uint8_t> bytes) noexcept {
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

std::uint16_t checksum_finish(std::uint64_t sum) noexcept {
  while ((sum >> 16U) != 0) {
    sum = (sum & 0xffffU) + (sum >> 16U);
  }
  return static_cast<std::uint16_t>(~sum);
}

}  // namespace portcullis::dataplane
