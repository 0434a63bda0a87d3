// SPDX-License-Identifier: MIT
#include "bench/throughput/traffic.h"

#include <algorithm>
#include <array>
#include <unordered_set>
#include <utility>

#include "base/check.h"
#include "classifier/lookup.h"
#include "dataplane/packet/checksum.h"
#include "dataplane/packet/headers.h"
#include "dataplane/packet/parse.h"

namespace portcullis::bench {
namespace {

using namespace classifier;
namespace wire = dataplane::wire;

constexpr std::array<std::uint8_t, 6> kLeftMac{0x02, 0, 0, 0, 0, 0x01};
constexpr std::array<std::uint8_t, 6> kRightMac{0x02, 0, 0, 0, 0, 0x02};
constexpr std::size_t kSourcePortFirst = 32'768;
constexpr std::size_t kSourcePorts = 28'000;
constexpr std::uint8_t kTtl = 64;
constexpr std::size_t kIpv6Every = 4;  // One flow in so many.

/// fd00::, then the IPv4 address of the same pod.
IpAddress ipv6_of(std::uint32_t v4) {
  IpAddress address{.family = Family::v6};
  address.bytes[0] = 0xfd;
  wire::store32(&address.bytes[12], v4);
  return address;
}

Key6 key6_like(const Key4& key) {
  return {.src = ipv6_of(key.src).bytes,
          .dst = ipv6_of(key.dst).bytes,
          .src_port = key.src_port,
          .dst_port = key.dst_port,
          .protocol = key.protocol};
}

template <typename Key>
bool is_allowed(const Table& table, const Key& key) {
  Verdict verdict;
  lookup(table, std::span(&key, 1), std::span(&verdict, 1));
  return verdict.allowed();
}

/// One number for two pods, whoever talks first.
std::uint64_t pair_of(const Key4& key) {
  const auto [low, high] = std::minmax(key.src, key.dst);
  return (std::uint64_t{low} << 32U) | high;
}

/// What a frame says of its flow, in its own direction.
struct Ends {
  std::span<const std::uint8_t> src;
  std::span<const std::uint8_t> dst;
  std::uint16_t src_port = 0;
  std::uint16_t dst_port = 0;
};

void put_ip(std::span<std::uint8_t> ip, const Ends& ends, std::uint8_t protocol) {
  if (ends.src.size() == 4) {
    ip[0] = 0x45;
    wire::store16(&ip[wire::kIpv4Total], static_cast<std::uint32_t>(ip.size()));
    ip[wire::kIpv4Ttl] = kTtl;
    ip[wire::kIpv4Protocol] = protocol;
    std::ranges::copy(ends.src, &ip[wire::kIpv4Src]);
    std::ranges::copy(ends.dst, &ip[wire::kIpv4Dst]);
    const std::uint64_t sum = dataplane::checksum_add(0, ip.first(wire::kIpv4Bytes));
    wire::store16(&ip[wire::kIpv4Checksum], dataplane::checksum_finish(sum));
    return;
  }
  ip[0] = 0x60;
  wire::store16(&ip[wire::kIpv6Payload], static_cast<std::uint32_t>(ip.size() - wire::kIpv6Bytes));
  ip[wire::kIpv6Next] = protocol;
  ip[wire::kIpv6HopLimit] = kTtl;
  std::ranges::copy(ends.src, &ip[wire::kIpv6Src]);
  std::ranges::copy(ends.dst, &ip[wire::kIpv6Dst]);
}

void put_transport(std::span<std::uint8_t> payload,
                   const Ends& ends,
                   std::uint8_t protocol,
                   std::uint8_t tcp_flags) {
  constexpr std::size_t kTcpChecksum = 16;
  constexpr std::size_t kUdpChecksum = 6;
  wire::store16(&payload[0], ends.src_port);
  wire::store16(&payload[2], ends.dst_port);
  std::size_t checksum = kUdpChecksum;
  if (protocol == kProtocolTcp) {
    payload[wire::kTcpOffset] = wire::kTcpBytes / 4 << 4U;
    payload[wire::kTcpFlags] = tcp_flags;
    // Both ends count from 0 on, and say the same again and again.
    wire::store32(&payload[wire::kTcpSequence], (tcp_flags & wire::kTcpSyn) != 0 ? 0 : 1);
    wire::store32(&payload[wire::kTcpAcknowledgement], (tcp_flags & wire::kTcpAck) != 0 ? 1 : 0);
    wire::store16(&payload[wire::kTcpWindow], 0xffff);
    checksum = kTcpChecksum;
  } else {
    wire::store16(&payload[wire::kUdpLength], static_cast<std::uint32_t>(payload.size()));
  }
  std::uint64_t sum = dataplane::checksum_add(payload.size() + protocol, ends.src);
  sum = dataplane::checksum_add(dataplane::checksum_add(sum, ends.dst), payload);
  const std::uint16_t sealed = dataplane::checksum_finish(sum);
  // A UDP checksum of zero would say that there is none.
  wire::store16(&payload[checksum], sealed == 0 && protocol == kProtocolUdp ? 0xffffU : sealed);
}

std::uint8_t tcp_flags_of(Traffic::Step step) {
  using enum Traffic::Step;
  if (step == reset) {
    return wire::kTcpRst;
  }
  const std::uint8_t syn = step == open || step == accept ? wire::kTcpSyn : 0;
  return static_cast<std::uint8_t>(syn | (step == open ? 0 : wire::kTcpAck));
}

/// `ends` are those of the flow, whatever the direction of the frame.
std::size_t put_frame(Ends ends,
                      std::uint8_t protocol,
                      Traffic::Step step,
                      std::size_t bytes,
                      std::span<std::uint8_t> out) {
  const bool replies = step == Traffic::Step::accept || step == Traffic::Step::data_reply;
  if (replies) {
    std::swap(ends.src, ends.dst);
    std::swap(ends.src_port, ends.dst_port);
  }
  const bool v4 = ends.src.size() == 4;
  const std::size_t ip_bytes = v4 ? wire::kIpv4Bytes : wire::kIpv6Bytes;
  const std::size_t transport_at = wire::kEthernetBytes + ip_bytes;
  const std::size_t least =
      transport_at + (protocol == kProtocolTcp ? wire::kTcpBytes : wire::kUdpBytes);
  const std::span<std::uint8_t> frame = out.first(std::max(bytes, least));
  std::ranges::fill(frame, std::uint8_t{0});
  std::ranges::copy(replies ? kLeftMac : kRightMac, frame.begin());
  std::ranges::copy(replies ? kRightMac : kLeftMac, frame.begin() + wire::kMacBytes);
  wire::store16(&frame[2 * wire::kMacBytes], v4 ? wire::kTypeIpv4 : wire::kTypeIpv6);
  put_ip(frame.subspan(wire::kEthernetBytes), ends, protocol);
  put_transport(frame.subspan(transport_at), ends, protocol, tcp_flags_of(step));
  return frame.size();
}

bool is_wanted(Traffic::Kind kind, std::uint8_t protocol) {
  switch (kind) {
    case Traffic::Kind::udp4:
      return protocol == kProtocolUdp;
    case Traffic::Kind::tcp4:
      return protocol == kProtocolTcp;
    case Traffic::Kind::mixed:
      break;
  }
  return true;
}

}  // namespace

void add_ipv6(World& world) {
  for (Endpoint& endpoint : world.rules.endpoints) {
    if (endpoint.kind == Endpoint::Kind::workload) {
      endpoint.addresses.push_back(ipv6_of(endpoint.addresses.front().v4()));
    }
  }
}

Traffic::Traffic(const World& world, const Table& table, Kind kind) {
  std::unordered_set<std::uint64_t> pairs;
  std::array<std::uint8_t, kFrameBytesMax> frame{};
  for (const Key4& key : make_trace(world, table, TraceKind::allowed)) {
    // Flows of one pair of pods would have to be told apart by more than their source port.
    if (!is_wanted(kind, key.protocol) || key.src == key.dst ||
        !pairs.insert(pair_of(key)).second) {
      continue;
    }
    const Key6 key6 = key6_like(key);
    const bool v6 =
        kind == Kind::mixed && paths_.size() % kIpv6Every == 0 && is_allowed(table, key6);
    paths_.push_back({.family = v6 ? Family::v6 : Family::v4, .key4 = key, .key6 = key6});
    // A block outside of the cluster may hold addresses that no wire may carry.
    const std::size_t length = write(paths_.size() - 1, Step::open, 0, frame);
    if (dataplane::parse(std::span(frame).first(length)).kind != dataplane::Packet::Kind::flow) {
      paths_.pop_back();
    }
  }
  PORTCULLIS_CHECK(!paths_.empty());
}

std::size_t Traffic::flows_max() const {
  return paths_.size() * kSourcePorts;
}

std::size_t Traffic::write(std::size_t flow,
                           Step step,
                           std::size_t bytes,
                           std::span<std::uint8_t> out) const {
  const Path& path = paths_[flow % paths_.size()];
  Key4 key = path.key4;
  key.src_port = static_cast<std::uint16_t>(kSourcePortFirst + flow / paths_.size());
  if (path.family == Family::v4) {
    return write_key(key, step, bytes, out);
  }
  const Ends ends{.src = path.key6.src,
                  .dst = path.key6.dst,
                  .src_port = key.src_port,
                  .dst_port = key.dst_port};
  return put_frame(ends, key.protocol, step, bytes, out);
}

std::size_t Traffic::write_key(const Key4& key,
                               Step step,
                               std::size_t bytes,
                               std::span<std::uint8_t> out) {
  std::array<std::uint8_t, 8> addresses{};
  wire::store32(addresses.data(), key.src);
  wire::store32(&addresses[4], key.dst);
  const std::span<const std::uint8_t> both(addresses);
  const Ends ends{.src = both.first(4),
                  .dst = both.last(4),
                  .src_port = key.src_port,
                  .dst_port = key.dst_port};
  return put_frame(ends, key.protocol, step, bytes, out);
}

std::size_t imix_bytes(std::size_t flow) {
  constexpr std::array<std::size_t, 12> kMix{64, 594, 64, 64, 594, 64, 64, 594, 64, 1518, 594, 64};
  return kMix[flow % kMix.size()];
}

}  // namespace portcullis::bench
