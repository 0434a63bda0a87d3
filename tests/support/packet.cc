// SPDX-License-Identifier: MIT
#include "tests/support/packet.h"

#include <algorithm>

#include "classifier/key.h"
#include "dataplane/packet/checksum.h"
#include "dataplane/packet/headers.h"

namespace portcullis::test {
namespace {

namespace wire = dataplane::wire;

constexpr std::uint8_t kSenderMac[]{0x02, 0, 0, 0, 0, 0x01};
constexpr std::uint8_t kReceiverMac[]{0x02, 0, 0, 0, 0, 0x02};

IpAddress address(std::string_view text) {
  return parse_ip(text).value();
}

void put16(Bytes& bytes, std::uint32_t value) {
  bytes.push_back(static_cast<std::uint8_t>(value >> 8U));
  bytes.push_back(static_cast<std::uint8_t>(value));
}
void put32(Bytes& bytes, std::uint32_t value) {
  put16(bytes, value >> 16U);
  put16(bytes, value & 0xffffU);
}
void put(Bytes& bytes, const Bytes& more) {
  bytes.insert(bytes.end(), more.begin(), more.end());
}
void put_address(Bytes& bytes, const IpAddress& ip) {
  bytes.insert(
      bytes.end(), ip.bytes.begin(), ip.bytes.begin() + (ip.family == Family::v4 ? 4 : 16));
}

void put_ethernet(Bytes& frame, std::uint16_t type, const std::vector<std::uint16_t>& vlan_types) {
  frame.insert(frame.end(), std::begin(kReceiverMac), std::end(kReceiverMac));
  frame.insert(frame.end(), std::begin(kSenderMac), std::end(kSenderMac));
  for (const std::uint16_t vlan_type : vlan_types) {
    put16(frame, vlan_type);
    put16(frame, 7);
  }
  put16(frame, type);
}

/// The sum over the pseudo header that transport checksums begin with.
std::uint64_t pseudo_sum(const Ends& ends, std::uint8_t protocol, std::size_t length) {
  Bytes pseudo;
  put_address(pseudo, address(ends.src));
  put_address(pseudo, address(ends.dst));
  put32(pseudo, static_cast<std::uint32_t>(length));
  put32(pseudo, protocol);
  return dataplane::checksum_add(0, pseudo);
}

void seal(Bytes& payload, std::size_t at, std::uint64_t sum) {
  wire::store16(&payload[at], dataplane::checksum_finish(dataplane::checksum_add(sum, payload)));
}

void put_ipv4(Bytes& frame,
              const Ends& ends,
              std::uint8_t protocol,
              std::size_t payload_bytes,
              const Around& around) {
  const std::size_t header = wire::kIpv4Bytes + around.ipv4_options.size();
  const std::size_t start = frame.size();
  put16(frame, static_cast<std::uint32_t>((0x40U | header / 4) << 8U));
  put16(frame, static_cast<std::uint32_t>(header + payload_bytes));
  put32(frame, 0x1234'4000);  // An identifier; do not fragment.
  put16(frame, static_cast<std::uint32_t>((around.ttl << 8U) | protocol));
  put16(frame, 0);
  put_address(frame, address(ends.src));
  put_address(frame, address(ends.dst));
  put(frame, around.ipv4_options);
  const auto sum = dataplane::checksum_add(0, {&frame[start], header});
  wire::store16(&frame[start + wire::kIpv4Checksum], dataplane::checksum_finish(sum));
}

void put_ipv6(Bytes& frame,
              const Ends& ends,
              std::uint8_t protocol,
              std::size_t payload_bytes,
              const Around& around) {
  std::size_t length = payload_bytes;
  for (const auto& extension : around.extensions) {
    length += extension.second.size();
  }
  const auto next_of = [&](std::size_t i) {
    return i < around.extensions.size() ? around.extensions[i].first : protocol;
  };
  put32(frame, 0x6000'0000);
  put16(frame, static_cast<std::uint32_t>(length));
  put16(frame, static_cast<std::uint32_t>((next_of(0) << 8U) | around.ttl));
  put_address(frame, address(ends.src));
  put_address(frame, address(ends.dst));
  for (std::size_t i = 0; i < around.extensions.size(); ++i) {
    Bytes bytes = around.extensions[i].second;
    bytes.at(0) = next_of(i + 1);
    put(frame, bytes);
  }
}

}  // namespace

Bytes ip_frame(const Ends& ends,
               std::uint8_t protocol,
               const Bytes& payload,
               const Around& around) {
  const bool is_v4 = address(ends.src).family == Family::v4;
  Bytes frame;
  put_ethernet(frame, is_v4 ? wire::kTypeIpv4 : wire::kTypeIpv6, around.vlan_types);
  (is_v4 ? put_ipv4 : put_ipv6)(frame, ends, protocol, payload.size(), around);
  put(frame, payload);
  return frame;
}

Bytes tcp_frame(const Ends& ends, const Tcp& tcp, const Around& around) {
  Bytes bytes;
  put16(bytes, ends.src_port);
  put16(bytes, ends.dst_port);
  put32(bytes, tcp.seq);
  put32(bytes, tcp.ack);
  const std::size_t header = wire::kTcpBytes + tcp.options.size();
  put16(bytes, static_cast<std::uint32_t>((header / 4 << 12U) | tcp.flags));
  put16(bytes, tcp.window);
  put32(bytes, 0);
  put(bytes, tcp.options);
  bytes.resize(header + tcp.payload_bytes, 0x61);
  seal(bytes, 16, pseudo_sum(ends, classifier::kProtocolTcp, bytes.size()));
  return ip_frame(ends, classifier::kProtocolTcp, bytes, around);
}

Bytes tcp_frame(const Ends& ends, std::uint8_t flags, const Around& around) {
  constexpr std::uint32_t kFirst = 1000;
  return tcp_frame(ends,
                   Tcp{.seq = kFirst + ((flags & kSyn) != 0 ? 0 : 1),
                       .ack = (flags & kAck) != 0 ? kFirst + 1 : 0,
                       .flags = flags},
                   around);
}

Bytes udp_frame(const Ends& ends, const Bytes& payload, const Around& around) {
  Bytes udp;
  put16(udp, ends.src_port);
  put16(udp, ends.dst_port);
  put16(udp, static_cast<std::uint32_t>(wire::kUdpBytes + payload.size()));
  put16(udp, 0);
  put(udp, payload);
  seal(udp, 6, pseudo_sum(ends, classifier::kProtocolUdp, udp.size()));
  return ip_frame(ends, classifier::kProtocolUdp, udp, around);
}

Bytes sctp_frame(const Ends& ends, std::uint8_t chunk_type, const Around& around) {
  Bytes sctp;
  put16(sctp, ends.src_port);
  put16(sctp, ends.dst_port);
  put32(sctp, chunk_type == wire::kSctpInit ? 0 : 77);
  put32(sctp, 0);
  put16(sctp, static_cast<std::uint32_t>(chunk_type << 8U));
  put16(sctp, wire::kSctpChunkBytes);
  return ip_frame(ends, classifier::kProtocolSctp, sctp, around);
}

Bytes icmp_frame(const Ends& ends, const Icmp& icmp, const Around& around) {
  const bool is_v4 = address(ends.src).family == Family::v4;
  const std::uint8_t protocol = is_v4 ? classifier::kProtocolIcmp : classifier::kProtocolIcmpv6;
  Bytes message{icmp.type, icmp.code, 0, 0};
  put32(message, icmp.rest);
  put(message, icmp.body);
  seal(message, 2, is_v4 ? 0 : pseudo_sum(ends, protocol, message.size()));
  return ip_frame(ends, protocol, message, around);
}

Bytes ping_frame(const Ends& ends, bool reply, std::uint16_t identifier) {
  const bool is_v4 = address(ends.src).family == Family::v4;
  const std::uint8_t request = is_v4 ? wire::kIcmpEcho : wire::kIcmpv6Echo;
  const std::uint8_t answer = is_v4 ? wire::kIcmpEchoReply : wire::kIcmpv6EchoReply;
  return icmp_frame(
      ends, {.type = reply ? answer : request, .rest = (std::uint32_t{identifier} << 16U) | 1U});
}

Bytes unreachable_frame(const Ends& ends, const Bytes& about, std::size_t quoted_bytes) {
  const bool is_v4 = address(ends.src).family == Family::v4;
  const auto quote = about.begin() + wire::kEthernetBytes;
  const auto length = std::min<std::size_t>(quoted_bytes, about.size() - wire::kEthernetBytes);
  return icmp_frame(ends,
                    {.type = is_v4 ? wire::kIcmpUnreachable : wire::kIcmpv6Unreachable,
                     .code = static_cast<std::uint8_t>(is_v4 ? 3 : 4),
                     .body = Bytes(quote, quote + static_cast<std::ptrdiff_t>(length))});
}

Bytes arp_frame(std::uint16_t operation, std::string_view sender, std::string_view target) {
  Bytes frame;
  put_ethernet(frame, wire::kTypeArp, {});
  put(frame, {0, 1, 8, 0, 6, 4});
  put16(frame, operation);
  frame.insert(frame.end(), std::begin(kSenderMac), std::end(kSenderMac));
  put_address(frame, address(sender));
  put(frame, Bytes(wire::kMacBytes, 0));
  put_address(frame, address(target));
  return frame;
}

Bytes nd_frame(std::uint8_t type,
               std::string_view src,
               std::string_view dst,
               std::string_view target) {
  Bytes body;
  put_address(body, address(target));
  const bool solicits = type == wire::kNdNeighbourSolicitation;
  body.push_back(solicits ? wire::kNdSourceMac : wire::kNdTargetMac);
  body.push_back(1);
  body.insert(body.end(), std::begin(kSenderMac), std::end(kSenderMac));
  return icmp_frame({src, dst},
                    {.type = type, .rest = solicits ? 0 : 0x6000'0000U, .body = body},
                    {.ttl = wire::kNdHopLimit});
}

std::vector<Bytes> cut(const Bytes& frame, std::size_t bytes, std::uint32_t id) {
  std::size_t l3 = wire::kEthernetBytes;
  while (wire::load16(&frame[l3 - 2]) == wire::kTypeVlan ||
         wire::load16(&frame[l3 - 2]) == wire::kTypeQinq) {
    l3 += wire::kVlanTagBytes;
  }
  const bool is_v4 = frame[l3] >> 4U == 4;
  const std::size_t header = is_v4 ? (frame[l3] & 0xfU) * std::size_t{4} : wire::kIpv6Bytes;
  const std::size_t begin = l3 + header;
  std::vector<Bytes> fragments;
  for (std::size_t offset = 0; begin + offset < frame.size(); offset += bytes) {
    const std::size_t length = std::min(bytes, frame.size() - begin - offset);
    const bool more = begin + offset + length < frame.size();
    Bytes fragment(frame.begin(), frame.begin() + static_cast<std::ptrdiff_t>(begin));
    if (is_v4) {
      wire::store16(&fragment[l3 + wire::kIpv4Total], static_cast<std::uint32_t>(header + length));
      wire::store16(&fragment[l3 + wire::kIpv4Id], id);
      wire::store16(
          &fragment[l3 + wire::kIpv4Fragment],
          static_cast<std::uint32_t>(offset / 8 | (more ? wire::kIpv4MoreFragments : 0U)));
      wire::store16(&fragment[l3 + wire::kIpv4Checksum], 0);
      wire::store16(
          &fragment[l3 + wire::kIpv4Checksum],
          dataplane::checksum_finish(dataplane::checksum_add(0, {&fragment[l3], header})));
    } else {
      put16(fragment, static_cast<std::uint32_t>(fragment[l3 + wire::kIpv6Next] << 8U));
      put16(fragment, static_cast<std::uint32_t>(offset | (more ? 1U : 0U)));
      put32(fragment, id);
      fragment[l3 + wire::kIpv6Next] = wire::kNextFragment;
      wire::store16(&fragment[l3 + wire::kIpv6Payload],
                    static_cast<std::uint32_t>(wire::kFragmentBytes + length));
    }
    const auto from = frame.begin() + static_cast<std::ptrdiff_t>(begin + offset);
    fragment.insert(fragment.end(), from, from + static_cast<std::ptrdiff_t>(length));
    fragments.push_back(std::move(fragment));
  }
  return fragments;
}

void mend_ipv4(Bytes& frame) {
  std::uint8_t* ip = &frame.at(wire::kEthernetBytes);
  const std::size_t header = (ip[0] & 0xfU) * std::size_t{4};
  wire::store16(ip + wire::kIpv4Checksum, 0);
  wire::store16(ip + wire::kIpv4Checksum,
                dataplane::checksum_finish(dataplane::checksum_add(0, {ip, header})));
}

}  // namespace portcullis::test
