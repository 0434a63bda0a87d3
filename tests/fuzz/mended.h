// SPDX-License-Identifier: MIT
// Mutated frames with right IPv4 header checksums, which few have, so that they get further; and
// the tunnels that fuzzers look into.
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <vector>

#include "dataplane/packet/checksum.h"
#include "dataplane/packet/headers.h"
#include "dataplane/packet/parse.h"
#include "dataplane/packet/tunnel.h"

namespace portcullis::dataplane {

/// Every kind, between any addresses.
inline config::Tunnels every_tunnel() {
  using Kind = config::TunnelKind;
  return {.kinds = {Kind::vxlan, Kind::geneve, Kind::gre, Kind::ipip},
          .endpoints = {{{Family::v4, {}}, 0}, {{Family::v6, {}}, 0}}};
}

/// Writes the checksum of the IPv4 header at `l3_offset`, if there is one.
inline void mend_header(std::span<std::uint8_t> frame, std::size_t l3_offset) {
  if (l3_offset == 0 || frame.size() < l3_offset + wire::kIpv4Bytes ||
      frame[l3_offset] >> 4U != 4) {
    return;
  }
  const std::span ip = frame.subspan(l3_offset);
  const std::size_t header = std::min<std::size_t>((ip[0] & 0xfU) * std::size_t{4}, ip.size());
  wire::store16(&ip[wire::kIpv4Checksum], 0);
  wire::store16(&ip[wire::kIpv4Checksum], checksum_finish(checksum_add(0, ip.first(header))));
}

/// A copy of the frame, its own IPv4 header and one in a tunnel mended.
inline std::vector<std::uint8_t> mended(std::span<const std::uint8_t> frame) {
  static const Tunnels tunnels(every_tunnel());
  std::vector<std::uint8_t> copy(frame.begin(), frame.end());
  mend_header(copy, parse(copy).l3_offset);
  Packet packet = parse(copy);
  tunnels.look_inside(copy, packet);
  mend_header(copy, packet.l3_offset);
  return copy;
}

}  // namespace portcullis::dataplane
