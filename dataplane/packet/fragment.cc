// SPDX-License-Identifier: MIT
#include "dataplane/packet/fragment.h"

#include <cstring>

#include "dataplane/packet/headers.h"
#include "dataplane/packet/transport.h"

namespace portcullis::dataplane {
namespace {

/// IPv4 counts its header into this; IPv6 the extension headers.
constexpr std::uint32_t kDatagramBytesMax = 65'535;

/// `before`: bytes that the length of a datagram counts and that lie ahead of its fragments.
bool is_well_formed(const Fragment& fragment, std::uint32_t before) {
  const std::uint32_t bytes = fragment.end - fragment.begin;
  return bytes > 0 && (!fragment.more || bytes % wire::kFragmentUnit == 0) &&
         before + fragment.end <= kDatagramBytesMax;
}

}  // namespace

Fragment read_fragment4(const std::uint8_t* ip) noexcept {
  const std::uint32_t bits = wire::load16(ip + wire::kIpv4Fragment);
  const std::uint32_t header = (ip[0] & 0xfU) * 4U;
  Fragment fragment{.id = wire::load16(ip + wire::kIpv4Id),
                    .begin = (bits & wire::kIpv4OffsetMask) * std::uint32_t{wire::kFragmentUnit},
                    .more = (bits & wire::kIpv4MoreFragments) != 0};
  fragment.end = fragment.begin + wire::load16(ip + wire::kIpv4Total) - header;
  fragment.well_formed = is_well_formed(fragment, header);
  return fragment;
}

Fragment read_fragment6(const std::uint8_t* ip, const std::uint8_t* header) noexcept {
  const std::uint32_t bits = wire::load16(header + wire::kFragmentOffset);
  const auto before = static_cast<std::uint32_t>(header - ip - wire::kIpv6Bytes);
  Fragment fragment{.id = wire::load32(header + wire::kFragmentId),
                    .begin = bits & wire::kFragmentOffsetMask,
                    .more = (bits & wire::kFragmentMore) != 0};
  fragment.end = fragment.begin + wire::load16(ip + wire::kIpv6Payload) - before -
                 std::uint32_t{wire::kFragmentBytes};
  fragment.well_formed = fragment.is_whole() || is_well_formed(fragment, before);
  return fragment;
}

Fragment fragment_of(std::span<const std::uint8_t> frame, const Packet& packet) noexcept {
  const std::uint8_t* ip = frame.data() + packet.l3_offset;
  if (packet.tuple.family == Family::v4) {
    return read_fragment4(ip);
  }
  const std::size_t captured = frame.size() - packet.l3_offset - wire::kIpv6Bytes;
  const UpperLayer upper =
      walk_extensions(ip[wire::kIpv6Next], {ip + wire::kIpv6Bytes, captured, captured});
  return read_fragment6(ip, upper.fragment);
}

DatagramKey datagram_of(std::span<const std::uint8_t> frame,
                        const Packet& packet,
                        const Fragment& fragment) noexcept {
  // The addresses of the frame's own header: a tuple may be turned around, or a quoted packet's.
  const std::uint8_t* ip = frame.data() + packet.l3_offset;
  DatagramKey key{.id = fragment.id, .family = packet.tuple.family};
  if (key.family == Family::v4) {
    std::memcpy(key.src.data(), ip + wire::kIpv4Src, 4);
    std::memcpy(key.dst.data(), ip + wire::kIpv4Dst, 4);
    key.protocol = ip[wire::kIpv4Protocol];
  } else {
    std::memcpy(key.src.data(), ip + wire::kIpv6Src, 16);
    std::memcpy(key.dst.data(), ip + wire::kIpv6Dst, 16);
  }
  return key;
}

}  // namespace portcullis::dataplane
