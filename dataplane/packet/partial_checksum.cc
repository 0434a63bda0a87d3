// SPDX-License-Identifier: MIT
#include "dataplane/packet/partial_checksum.h"

#include "classifier/key.h"
#include "dataplane/packet/checksum.h"
#include "dataplane/packet/crc32c.h"
#include "dataplane/packet/headers.h"
#include "dataplane/packet/parse.h"
#include "dataplane/packet/transport.h"
#include "dataplane/packet/tunnel.h"

namespace portcullis::dataplane {
namespace {

/// A whole transport header and what follows it; empty where there is none to finish.
struct Segment {
  std::uint8_t protocol = 0;
  std::span<std::uint8_t> bytes;
  std::uint64_t pseudo_sum = 0;
};

Segment segment4(std::span<std::uint8_t> ip) {
  constexpr std::uint32_t kFragmentBits = wire::kIpv4MoreFragments | wire::kIpv4OffsetMask;
  const std::size_t header = (ip[0] & 0xfU) * std::size_t{4};
  const std::size_t total = wire::load16(&ip[wire::kIpv4Total]);
  if ((wire::load16(&ip[wire::kIpv4Fragment]) & kFragmentBits) != 0 || header > total ||
      total > ip.size()) {
    return {};
  }
  return {.protocol = ip[wire::kIpv4Protocol],
          .bytes = ip.subspan(header, total - header),
          .pseudo_sum = checksum_add(0, ip.subspan(wire::kIpv4Src, 8))};
}

Segment segment6(std::span<std::uint8_t> ip) {
  if (ip.size() < wire::kIpv6Bytes) {
    return {};
  }
  const std::size_t length = wire::load16(&ip[wire::kIpv6Payload]);
  if (length > ip.size() - wire::kIpv6Bytes) {
    return {};
  }
  const UpperLayer upper =
      walk_extensions(ip[wire::kIpv6Next], {&ip[wire::kIpv6Bytes], length, length});
  if (upper.reason != DropReason::none || upper.fragment != nullptr) {
    return {};
  }
  const auto before = static_cast<std::size_t>(upper.payload.data - ip.data());
  return {.protocol = upper.protocol,
          .bytes = ip.subspan(before, upper.payload.length),
          .pseudo_sum = checksum_add(0, ip.subspan(wire::kIpv6Src, 32))};
}

/// Of SCTP the sender leaves zero, over which the checksum counts too.
bool finish_sctp(std::span<std::uint8_t> segment) {
  if (segment.size() < wire::kSctpBytes || wire::load32(&segment[wire::kSctpChecksum]) != 0) {
    return false;
  }
  wire::store32(&segment[wire::kSctpChecksum], __builtin_bswap32(crc32c(segment)));
  return true;
}

bool finish(std::span<std::uint8_t> ip) {
  if (ip.size() < wire::kIpv4Bytes) {
    return false;
  }
  const auto [protocol, bytes, addresses] = ip[0] >> 4U == 4 ? segment4(ip) : segment6(ip);
  if (protocol == classifier::kProtocolSctp) {
    return finish_sctp(bytes);
  }
  const bool tcp = protocol == classifier::kProtocolTcp;
  const bool udp = protocol == classifier::kProtocolUdp;
  if ((!tcp && !udp) || bytes.size() < (tcp ? wire::kTcpBytes : wire::kUdpBytes)) {
    return false;
  }
  std::uint8_t* const field = &bytes[tcp ? wire::kTcpChecksum : wire::kUdpChecksum];
  const std::uint16_t found = wire::load16(field);
  const auto pseudo =
      static_cast<std::uint16_t>(~checksum_finish(addresses + protocol + bytes.size()));
  // Of UDP over IPv4, zero says that there is none.
  if (found != pseudo || found == 0) {
    return false;
  }
  // The field counts as what it holds: the pseudo header.
  const std::uint16_t sum = checksum_finish(checksum_add(0, bytes));
  wire::store16(field, udp && sum == 0 ? 0xffff : sum);
  return true;
}

}  // namespace

unsigned finish_checksums(std::span<std::uint8_t> frame, std::size_t l3_offset) noexcept {
  if (l3_offset == 0 || l3_offset >= frame.size()) {
    return 0;
  }
  // From the inside out: the outer checksum covers the inner.
  unsigned finished = finish(frame.subspan(l3_offset)) ? 1 : 0;
  if (l3_offset > kOuterL3OffsetMax) {
    finished += finish(frame.subspan(parse(frame).l3_offset)) ? 1 : 0;
  }
  return finished;
}

}  // namespace portcullis::dataplane
