// SPDX-License-Identifier: MIT
// Bytes -> Packet: what a frame is, bounds-checked, and which flow it belongs to.
// Thread: any; pure functions on bytes. Nothing is ever read outside of the frame given.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "base/ip.h"
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
  };
  /// What a packet does to its connection. Datagrams and queries only ever are `data`.
  enum class Event : std::uint8_t {
    data,
    begin,   // TCP SYN, SCTP INIT.
    accept,  // TCP SYN ACK, SCTP INIT ACK.
    finish,  // TCP FIN, SCTP SHUTDOWN (ACK): no more from this side.
    abort,   // TCP RST, SCTP ABORT or SHUTDOWN COMPLETE: no more from either.
  };

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
  std::uint16_t icmp = 0;       // type << 8 | code of this very packet.
  std::uint16_t l3_offset = 0;  // Of ARP or IP; 0 where there is none.
  FlowTuple tuple;              // `related`: of the quoted packet, in its direction.
  AddressBytes source{};        // Of the frame's own IP header; link: of IPv6, ARP's sender.
};
static_assert(sizeof(Packet) == 64);

/// Reads one frame, from Ethernet on. `wire_length` is the length of the whole frame where `frame`
/// holds only its beginning, else 0.
///
/// Dropped here: what is truncated or malformed; a bad IPv4 header checksum; source routes (IPv4
/// options, IPv6 routing headers with segments left), because the last destination would be another
/// than the one judged; fragments that end where none may, and first ones without their whole
/// transport header (RFC 1858, RFC 3128, RFC 7112); addresses that no wire may carry. An IPv6
/// fragment that is all of its datagram (RFC 6946) is a whole packet.
Packet parse(std::span<const std::uint8_t> frame, std::uint32_t wire_length = 0) noexcept;

}  // namespace portcullis::dataplane
