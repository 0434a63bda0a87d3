// SPDX-License-Identifier: MIT
#include "dataplane/tcp/segment.h"

namespace portcullis::dataplane {

std::uint8_t offered_scale(std::span<const std::uint8_t> options, bool whole) noexcept {
  std::size_t i = 0;
  while (i < options.size() && options[i] != wire::kOptionEnd) {
    if (options[i] == wire::kOptionNop) {
      ++i;
      continue;
    }
    if (i + 1 >= options.size() || options[i + 1] < 2) {
      break;
    }
    const std::size_t bytes = options[i + 1];
    if (options[i] == wire::kTcpOptionScale && bytes == 3 && i + 2 < options.size()) {
      return std::min(options[i + 2], wire::kTcpScaleMax);
    }
    i += bytes;
  }
  return whole ? TcpSegment::kNoScale : wire::kTcpScaleMax;
}

}  // namespace portcullis::dataplane
