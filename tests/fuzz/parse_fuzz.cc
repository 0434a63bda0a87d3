// SPDX-License-Identifier: MIT
// Fuzzes the reading of frames: any bytes give a packet or a reason to drop it, nothing is read
// outside of them, in tunnels or bare, and an error that we build about a packet leads back to that
// packet's flow.
#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <numeric>
#include <span>
#include <vector>

#include "base/check.h"
#include "base/ip.h"
#include "dataplane/packet/fragment.h"
#include "dataplane/packet/parse.h"
#include "dataplane/packet/partial_checksum.h"
#include "dataplane/packet/tunnel.h"
#include "dataplane/respond.h"
#include "tests/fuzz/mended.h"

namespace {

using namespace portcullis;
using namespace portcullis::dataplane;

/// Long enough for every header that errors must quote to be quoted whole.
constexpr std::size_t kWholeQuoteMax = 400;

void check_error(std::span<const std::uint8_t> frame, const Packet& packet) {
  const ErrorSource source{{{2, 0, 0, 0, 0, 1}, {packet.tuple.family, {10, 9, 9, 9}}}, 1400};
  std::array<std::uint8_t, kResponseBytesMax> out;
  const std::size_t length =
      icmp_error(frame, packet.l3_offset, IcmpError::admin_prohibited, source, out);
  PORTCULLIS_CHECK(length == 0 || (length >= kFrameBytesMin && length <= out.size()));
  PORTCULLIS_CHECK(length == 0 || packet.kind != Packet::Kind::fragment);
  if (length == 0 || packet.kind != Packet::Kind::flow || frame.size() > kWholeQuoteMax) {
    return;
  }
  const Packet error = parse(std::span(out).first(length));
  PORTCULLIS_CHECK(error.kind == Packet::Kind::related);
  PORTCULLIS_CHECK(error.tuple == packet.tuple && error.answer == packet.answer);
}

/// A fragment has a place in its datagram, a later one no transport header to answer about.
void check_fragment(std::span<const std::uint8_t> frame, const Packet& packet) {
  const Fragment fragment = fragment_of(frame, packet);
  PORTCULLIS_CHECK(fragment.well_formed && !fragment.is_whole());
  PORTCULLIS_CHECK(fragment.begin < fragment.end && fragment.end <= 65'535);
  PORTCULLIS_CHECK(fragment.is_first() == (packet.kind != Packet::Kind::fragment));
  const DatagramKey key = datagram_of(frame, packet, fragment);
  PORTCULLIS_CHECK(key.src == packet.source && key.family == packet.tuple.family);
}

void check_neighbours(std::span<const std::uint8_t> frame, const Packet& packet) {
  const MacAddress mac{2, 0, 0, 0, 0, 1};
  std::array<std::uint8_t, kResponseBytesMax> out;
  for (const auto build : {arp_reply, neighbour_advertisement}) {
    const std::size_t length = build(frame, packet.l3_offset, mac, out);
    if (length != 0) {
      PORTCULLIS_CHECK(parse(std::span(out).first(length)).kind != Packet::Kind::flow);
    }
  }
}

/// Finishing checksums changes no more than them, and nothing the second time.
void check_checksums(std::span<const std::uint8_t> frame, const Packet& packet) {
  std::vector<std::uint8_t> once(frame.begin(), frame.end());
  const unsigned finished = finish_checksums(once, packet.l3_offset);
  PORTCULLIS_CHECK(finished <= 2);
  const auto changed = std::inner_product(
      once.begin(), once.end(), frame.begin(), 0U, std::plus<>(), std::not_equal_to<>());
  constexpr unsigned kWidest = 4;  // SCTP's.
  PORTCULLIS_CHECK(changed <= kWidest * finished);
  std::vector<std::uint8_t> twice = once;
  (void)finish_checksums(twice, packet.l3_offset);
  PORTCULLIS_CHECK(twice == once);
}

/// What is inside of a tunnel is a packet like any other, further in; what is no tunnel is left
/// alone. Of neither an answer is made.
void check_inside(std::span<const std::uint8_t> frame, const Packet& outer) {
  static const Tunnels tunnels(every_tunnel());
  Packet inner = outer;
  tunnels.look_inside(frame, inner);
  PORTCULLIS_CHECK((inner.kind == Packet::Kind::drop) == (inner.reason != DropReason::none));
  if (inner.kind != Packet::Kind::drop) {
    check_checksums(frame, inner);
  }
  const bool opened = inner.l3_offset > kOuterL3OffsetMax;
  if (!opened) {
    PORTCULLIS_CHECK(inner.kind == Packet::Kind::drop || inner.kind == outer.kind);
    PORTCULLIS_CHECK(inner.l3_offset <= kOuterL3OffsetMax && inner.source == outer.source);
    return;
  }
  PORTCULLIS_CHECK(inner.l3_offset > outer.l3_offset && inner.l3_offset <= frame.size());
  PORTCULLIS_CHECK(inner.kind == Packet::Kind::drop || inner.l4_offset == 0 ||
                   inner.l4_offset > inner.l3_offset);
  std::array<std::uint8_t, kResponseBytesMax> out;
  PORTCULLIS_CHECK(rejection(frame, inner.l3_offset, out) == 0);
  if (inner.fragmented && inner.kind != Packet::Kind::drop) {
    check_fragment(frame, inner);
  }
}

void check(std::span<const std::uint8_t> frame) {
  const Packet packet = parse(frame);
  Packet careful;
  read_with_care(frame, 0, careful);
  PORTCULLIS_CHECK(packet == careful);
  PORTCULLIS_CHECK((packet.kind == Packet::Kind::drop) == (packet.reason != DropReason::none));
  PORTCULLIS_CHECK(packet.l3_offset <= frame.size());
  PORTCULLIS_CHECK(packet.kind != Packet::Kind::link || !packet.fragmented);
  if (packet.fragmented && packet.kind != Packet::Kind::drop) {
    check_fragment(frame, packet);
  }
  // The same bytes as the beginning of a longer frame.
  (void)parse(frame, static_cast<std::uint32_t>(frame.size()) + 9000);
  if (packet.l3_offset != 0) {
    check_neighbours(frame, packet);
    check_error(frame, packet);
  }
  check_inside(frame, packet);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t count) {
  const std::span frame(bytes, count);
  check(frame);
  check(mended(frame));
  return 0;
}
