// SPDX-License-Identifier: MIT
#include "tests/support/tunnel.h"

#include "dataplane/packet/headers.h"

namespace portcullis::test {
namespace {

namespace wire = dataplane::wire;

constexpr std::uint16_t kVxlanPort = 4789;
constexpr std::uint16_t kGenevePort = 6081;
constexpr std::uint16_t kAnyPort = 49'152;

Bytes joined(Bytes head, const Bytes& rest) {
  head.insert(head.end(), rest.begin(), rest.end());
  return head;
}

}  // namespace

Bytes packet_of(const Bytes& frame) {
  return {frame.begin() + wire::kEthernetBytes, frame.end()};
}

std::uint16_t type_of(const Bytes& frame) {
  return wire::load16(&frame.at(wire::kEthernetBytes - 2));
}

Bytes vxlan_frame(Ends outer, const Bytes& inner_frame, const Around& around) {
  outer.src_port = kAnyPort;
  outer.dst_port = kVxlanPort;
  return udp_frame(outer, joined({wire::kVxlanNetwork, 0, 0, 0, 0, 0, 42, 0}, inner_frame), around);
}

Bytes geneve_frame(Ends outer,
                   std::uint16_t type,
                   const Bytes& payload,
                   const Bytes& options,
                   const Around& around) {
  outer.src_port = kAnyPort;
  outer.dst_port = kGenevePort;
  Bytes header{static_cast<std::uint8_t>(options.size() / wire::kGeneveUnit), 0, 0, 0, 0, 0, 42, 0};
  wire::store16(&header[wire::kGeneveType], type);
  return udp_frame(outer, joined(joined(header, options), payload), around);
}

Bytes gre_frame(const Ends& outer,
                std::uint16_t flags,
                std::uint16_t type,
                const Bytes& payload,
                const Around& around) {
  Bytes header(wire::kGreBytes);
  wire::store16(header.data(), flags);
  wire::store16(&header[wire::kGreType], type);
  for (const std::uint16_t flag : {wire::kGreChecksum, wire::kGreKey, wire::kGreSequence}) {
    header.resize(header.size() + ((flags & flag) != 0 ? wire::kGreFieldBytes : 0), 7);
  }
  return ip_frame(outer, wire::kProtocolGre, joined(header, payload), around);
}

Bytes ipip_frame(const Ends& outer, const Bytes& inner_frame, const Around& around) {
  const bool is_v4 = type_of(inner_frame) == wire::kTypeIpv4;
  return ip_frame(
      outer, is_v4 ? wire::kProtocolIpv4 : wire::kProtocolIpv6, packet_of(inner_frame), around);
}

}  // namespace portcullis::test
