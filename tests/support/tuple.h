// SPDX-License-Identifier: MIT
// Flow tuples from text, for tests. Thread: pure functions. Dies on text that is no address.
#pragma once

#include <cstdint>
#include <string_view>

#include "base/ip.h"
#include "classifier/key.h"
#include "dataplane/packet/flow_tuple.h"

namespace portcullis::test {

/// Of the family of `src`. ICMP: the identifier, and type << 8 | code, in place of the ports.
inline dataplane::FlowTuple tuple(std::string_view src,
                                  std::uint16_t src_port,
                                  std::string_view dst,
                                  std::uint16_t dst_port,
                                  std::uint8_t protocol = classifier::kProtocolTcp) {
  const IpAddress from = parse_ip(src).value();
  return {.src = from.bytes,
          .dst = parse_ip(dst).value().bytes,
          .src_port = src_port,
          .dst_port = dst_port,
          .protocol = protocol,
          .family = from.family};
}

}  // namespace portcullis::test
