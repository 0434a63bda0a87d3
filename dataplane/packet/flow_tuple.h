// SPDX-License-Identifier: MIT
// FlowTuple: who talks to whom, as the flow table keeps it; and the lookup keys made from it.
// Units: addresses in network byte order, ports in host order.
#pragma once

#include <array>
#include <cstdint>
#include <cstring>

#include "base/ip.h"
#include "classifier/key.h"
#include "dataplane/packet/headers.h"

namespace portcullis::dataplane {

using AddressBytes = std::array<std::uint8_t, 16>;

/// | src 16 | dst 16 | src_port 2 | dst_port 2 | protocol 1 | family 1 |
/// IPv4 addresses use the first four bytes, the rest is zero. Protocols without ports have 0.
/// ICMP queries: src is always the asker, src_port the identifier, dst_port the request's
/// type << 8 | code. A reply has the tuple of its request; so the two directions of a ping never
/// look alike, whatever identifiers both ends choose.
struct FlowTuple {
  AddressBytes src{};
  AddressBytes dst{};
  std::uint16_t src_port = 0;
  std::uint16_t dst_port = 0;
  std::uint8_t protocol = 0;
  Family family = Family::v4;

  friend bool operator==(const FlowTuple&, const FlowTuple&) = default;
};
static_assert(sizeof(FlowTuple) == 38);

/// A tuple in few words, to compare it. In the machine's byte order.
struct TupleWords {
  using Address [[gnu::vector_size(16)]] = std::uint64_t;
  Address src{};
  Address dst{};
  std::uint32_t ports = 0;  // Rotated by 16 bits: those of the other direction.
  std::uint16_t kind = 0;   // Protocol and family.
};

inline TupleWords words_of(const FlowTuple& tuple) noexcept {
  const auto* const bytes = reinterpret_cast<const std::uint8_t*>(&tuple);
  TupleWords words;
  std::memcpy(&words.src, bytes, sizeof words.src);
  std::memcpy(&words.dst, bytes + 16, sizeof words.dst);
  std::memcpy(&words.ports, bytes + 32, sizeof words.ports);
  std::memcpy(&words.kind, bytes + 36, sizeof words.kind);
  return words;
}

constexpr bool is_icmp(std::uint8_t protocol) {
  return protocol == classifier::kProtocolIcmp || protocol == classifier::kProtocolIcmpv6;
}

/// The other direction of the same flow. REQUIRES: !is_icmp(tuple.protocol).
constexpr FlowTuple reversed(const FlowTuple& tuple) {
  return {.src = tuple.dst,
          .dst = tuple.src,
          .src_port = tuple.dst_port,
          .dst_port = tuple.src_port,
          .protocol = tuple.protocol,
          .family = tuple.family};
}

constexpr std::uint32_t v4_of(const AddressBytes& bytes) {
  return (std::uint32_t{bytes[0]} << 24U) | (std::uint32_t{bytes[1]} << 16U) |
         (std::uint32_t{bytes[2]} << 8U) | std::uint32_t{bytes[3]};
}

namespace flow_tuple_detail {
template <typename Key>
constexpr Key with_rest(Key key, const FlowTuple& tuple, std::uint8_t tcp_flags) {
  key.protocol = tuple.protocol;
  if (is_icmp(tuple.protocol)) {
    key.icmp = tuple.dst_port;
  } else {
    key.src_port = tuple.src_port;
    key.dst_port = tuple.dst_port;
    key.tcp_flags = tcp_flags;
  }
  return key;
}
}  // namespace flow_tuple_detail

/// What a known flow began with: a TCP connection is judged as its handshake.
constexpr std::uint8_t first_tcp_flags(const FlowTuple& tuple) {
  return tuple.protocol == classifier::kProtocolTcp ? wire::kTcpSyn : std::uint8_t{0};
}

/// What the classifier is asked about a flow, in the flow's own direction. `tcp_flags`: of its
/// first packet, 0 where it is not TCP.
constexpr classifier::Key4 key4_of(const FlowTuple& tuple, std::uint8_t tcp_flags) {
  return flow_tuple_detail::with_rest(
      classifier::Key4{.src = v4_of(tuple.src), .dst = v4_of(tuple.dst)}, tuple, tcp_flags);
}
constexpr classifier::Key6 key6_of(const FlowTuple& tuple, std::uint8_t tcp_flags) {
  return flow_tuple_detail::with_rest(
      classifier::Key6{.src = tuple.src, .dst = tuple.dst}, tuple, tcp_flags);
}

}  // namespace portcullis::dataplane
