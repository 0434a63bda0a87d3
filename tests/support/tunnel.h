// SPDX-License-Identifier: MIT
// Wraps whole frames in tunnels between two nodes, for tests.
// Thread: pure functions. Dies on text that is no address.
#pragma once

#include <cstdint>

#include "tests/support/packet.h"

namespace portcullis::test {

/// The IP packet of a frame without VLAN tags: what follows Ethernet.
Bytes packet_of(const Bytes& frame);
std::uint16_t type_of(const Bytes& frame);

/// All: `outer` are the nodes; the ports of UDP are filled in.
Bytes vxlan_frame(Ends outer, const Bytes& inner_frame, const Around& around = {});
/// `options`: whole options, a multiple of four.
Bytes geneve_frame(Ends outer,
                   std::uint16_t type,
                   const Bytes& payload,
                   const Bytes& options = {},
                   const Around& around = {});
/// `flags`: of the checksum, the key and the sequence number, which it then has, and any others.
Bytes gre_frame(const Ends& outer,
                std::uint16_t flags,
                std::uint16_t type,
                const Bytes& payload,
                const Around& around = {});
/// The IP packet of a frame in IP, as protocol 4 or 41 by the frame's EtherType.
Bytes ipip_frame(const Ends& outer, const Bytes& inner_frame, const Around& around = {});

}  // namespace portcullis::test
