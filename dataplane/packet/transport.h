// SPDX-License-Identifier: MIT
// Reads what IP carries: TCP, UDP, SCTP, ICMP queries and errors, and the packets that errors
// quote. Thread: any; pure functions on bytes.
#pragma once

#include <cstddef>
#include <cstdint>

#include "dataplane/packet/parse.h"

namespace portcullis::dataplane {

/// The payload of an IP packet. `length` is what IP says, `captured` what lies at `data`.
/// Invariant: captured <= length.
struct Payload {
  const std::uint8_t* data = nullptr;
  std::size_t captured = 0;
  std::size_t length = 0;
};

/// Where the extension chain of an IPv6 packet ends.
struct UpperLayer {
  DropReason reason = DropReason::none;  // Else the chain is not to be followed.
  std::uint8_t protocol = 0;
  Payload payload;
  const std::uint8_t* fragment = nullptr;  // The Fragment header, if there is one.
};

/// True where a Fragment header says that this is not the beginning.
bool is_later_fragment(const UpperLayer& upper) noexcept;

/// Walks at most limits::kIpv6ExtensionsMax headers. `payload` begins behind the fixed header. In a
/// later fragment the walk ends behind the Fragment header, whose next header is then `protocol`.
UpperLayer walk_extensions(std::uint8_t next, Payload payload) noexcept;

/// Completes kind, event, ports and flags of a packet whose addresses, family and protocol
/// are known. REQUIRES: packet.tuple has them; a packet that is a fragment is the first one of its
/// datagram, and packet.fragmented is set. A transport header that does not fit into it is an
/// error. Errors: the reason to drop; DropReason::none where the packet is now whole.
DropReason read_transport(Payload payload, Packet& packet) noexcept;

/// Reads a packet that an ICMP error quotes, as far as the flow it is of: addresses, protocol and
/// ports (or the query of ICMP). Eight bytes behind its IP header are all that old routers give.
/// REQUIRES: quoted.tuple.family is set. `rest`: what follows the quoted IP header.
/// Errors: as read_transport(); what has no flow is not_a_new_flow.
DropReason read_quote(Payload quote, Packet& quoted, Payload& rest) noexcept;

}  // namespace portcullis::dataplane
