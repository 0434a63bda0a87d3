// SPDX-License-Identifier: MIT
// Packet: what a frame is and which flow it belongs to. Thread: a plain value.
#pragma once

#include <cstdint>

#include "dataplane/drop_reason.h"
#include "dataplane/packet/flow_tuple.h"

namespace portcullis::dataplane {

struct Packet {
  enum class Kind : std::uint8_t {
    drop,       // `reason` says why; nothing else is meaningful but l3_offset.
    link,       // ARP, neighbour discovery, group membership: no flow.
    flow,       // Of the flow `tuple`.
    stateless,  // Judged by itself: to a group or everyone, or an ICMP message without an answer.
    related,    // An ICMP error about the flow `tuple`.
    fragment,   // A later fragment: `tuple` has addresses and, of IPv4, the protocol.
    unread,     // Not IP, and let through as it is. NonIp says so, never parse().
  };
  /// What a packet does to its connection. Datagrams and queries only ever are `data`.
  enum class Event : std::uint8_t {
    data,
    begin,   // TCP SYN, SCTP INIT.
    accept,  // TCP SYN ACK, SCTP INIT ACK.
    finish,  // TCP FIN, SCTP SHUTDOWN (ACK): no more from this side.
    abort,   // TCP RST, SCTP ABORT or SHUTDOWN COMPLETE: no more from either.
  };

  FlowTuple tuple;  // `related`: of the quoted packet, in its direction.
  Kind kind = Kind::drop;
  DropReason reason = DropReason::invalid_header;
  Event event = Event::data;
  /// ICMP queries only (or an error that quotes one): it is the answer. The tuples of other
  /// protocols tell by their order.
  bool answer = false;
  std::uint8_t tcp_flags = 0;
  /// A part of a datagram: fragment_of() says which. A first fragment that has its whole transport
  /// header is of the kind that its datagram is of; later ones are `fragment`.
  bool fragmented = false;
  std::uint16_t l4_offset = 0;  // Of what IP carries; 0 where there is none, as in later fragments.
  std::uint16_t l3_offset = 0;  // Of ARP or IP, in a tunnel the inner; 0: none.
  AddressBytes source{};        // Of the IP header at l3_offset; link: of IPv6, ARP's sender.

  friend bool operator==(const Packet&, const Packet&) = default;
};
static_assert(sizeof(Packet) == 64);

}  // namespace portcullis::dataplane
