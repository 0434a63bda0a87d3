// SPDX-License-Identifier: MIT
// Mutated frames with a right IPv4 header checksum, which few have, so that they get further.
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <vector>

#include "dataplane/packet/checksum.h"
#include "dataplane/packet/headers.h"
#include "dataplane/packet/parse.h"

namespace portcullis::dataplane {

/// A copy of the frame; the same bytes where there is no IPv4 header.
inline std::vector<std::uint8_t> mended(std::span<const std::uint8_t> frame) {
  std::vector<std::uint8_t> copy(frame.begin(), frame.end());
  const std::size_t l3_offset = parse(frame).l3_offset;
  if (l3_offset == 0 || copy.size() < l3_offset + wire::kIpv4Bytes || copy[l3_offset] >> 4U != 4) {
    return copy;
  }
  const std::span ip = std::span(copy).subspan(l3_offset);
  const std::size_t header = std::min<std::size_t>((ip[0] & 0xfU) * std::size_t{4}, ip.size());
  wire::store16(&ip[wire::kIpv4Checksum], 0);
  wire::store16(&ip[wire::kIpv4Checksum], checksum_finish(checksum_add(0, ip.first(header))));
  return copy;
}

}  // namespace portcullis::dataplane
