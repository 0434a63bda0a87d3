// SPDX-License-Identifier: MIT
// What is sent while generations are swapped: established flows of a policy world, both ways; and
// flows of the editions' team, of which some are established, some begin and end again and again,
// and some are denied.
// Thread: plain data.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

#include "bench/corpus.h"
#include "bench/swap/editions.h"
#include "bench/swap/line.h"
#include "classifier/table.h"
#include "dataplane/packet/headers.h"

namespace portcullis::bench {

struct Packets {
  std::vector<LineFrame> frames;
  std::vector<FlowKind> kinds;  // Shapes: one for each frame.
};
/// What each side sends, in this order.
using PacketsOfSides = std::array<Packets, 2>;

struct SwapTraffic {
  /// Once, one after the other: what begins flows, and what answers. Afterwards all flows of kinds
  /// steady and both are established but for those that begin and end in `load`.
  std::array<PacketsOfSides, 2> opening;
  PacketsOfSides load;
  PacketsOfSides markers;  // One a side, which each edition lets pass.
};

struct SwapFlows {
  std::size_t steady = 10'000;  // Half of them TCP.
  std::size_t team = 5'000;     // Of each kind.
};

/// `table` is compiled from the rules of the world and an edition.
SwapTraffic make_swap_traffic(const World& world,
                              const classifier::Table& table,
                              const SwapFlows& flows);

/// Behind the headers of TCP over IPv4, on an even place of its payload.
inline constexpr std::size_t kNumberAt = 56;

/// A frame's last bytes hold its number, and again inverted, so that checksums stay as they are.
inline void put_number(LineFrame& frame, std::uint32_t number) {
  dataplane::wire::store32(&frame.bytes[kNumberAt], number);
  dataplane::wire::store32(&frame.bytes[kNumberAt + 4], ~number);
}
inline std::uint32_t number_of(const LineFrame& frame) {
  return dataplane::wire::load32(&frame.bytes[kNumberAt]);
}
/// But for the number.
inline bool is_same(const LineFrame& frame, const LineFrame& other) {
  return std::memcmp(frame.bytes.data(), other.bytes.data(), kNumberAt) == 0;
}

}  // namespace portcullis::bench
