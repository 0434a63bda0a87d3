// SPDX-License-Identifier: MIT
#include "bench/throughput/attack.h"

#include "dataplane/packet/checksum.h"
#include "dataplane/packet/headers.h"

namespace portcullis::bench {
namespace {

namespace wire = dataplane::wire;

using Step = Traffic::Step;

constexpr std::size_t kBytes = 64;
constexpr std::size_t kIpAt = wire::kEthernetBytes;
constexpr std::size_t kTcpAt = kIpAt + wire::kIpv4Bytes;
constexpr std::size_t kMalformedFlows = 10'000;
/// Fragments are of flows that no other traffic uses.
constexpr std::size_t kFragmentFlowFirst = 100'000;
constexpr std::size_t kFragmentFlows = 1'000;
/// Bytes of the first fragment behind its IP header: a TCP header, to a whole unit.
constexpr std::size_t kFirstBytes = 24;
/// Datagrams that never get a first fragment.
constexpr std::uint32_t kOrphanId = 0x8000;

/// Makes the checksum of a changed header right, so that it is not what is found wrong.
void seal(std::span<std::uint8_t> frame) {
  const std::span ip = frame.subspan(kIpAt, wire::kIpv4Bytes);
  wire::store16(&ip[wire::kIpv4Checksum], 0);
  wire::store16(&ip[wire::kIpv4Checksum],
                dataplane::checksum_finish(dataplane::checksum_add(0, ip)));
}

}  // namespace

Attack::Attack(const World& world, const classifier::Table& table, const Traffic& victims)
    : victims_(victims), denied_(make_trace(world, table, TraceKind::denied)) {}

std::size_t Attack::write(Kind kind, std::size_t number, std::span<std::uint8_t> out) const {
  switch (kind) {
    case Kind::malformed:
      return write_malformed(number, out);
    case Kind::fragments:
      return write_fragment(number, out);
    case Kind::scan:
    case Kind::none:
      break;
  }
  return Traffic::write_key(denied_[number % denied_.size()], Step::open, kBytes, out);
}

std::size_t Attack::write_malformed(std::size_t number, std::span<std::uint8_t> out) const {
  const std::size_t length = victims_.write(number % kMalformedFlows, Step::data, kBytes, out);
  const std::span<std::uint8_t> frame = out.first(length);
  switch (number / kMalformedFlows % 8) {
    case 0:  // A header shorter than headers are.
      frame[kIpAt] = 0x44;
      break;
    case 1:  // More bytes than there are.
      wire::store16(&frame[kIpAt + wire::kIpv4Total], kBytes);
      seal(frame);
      break;
    case 2:
      frame[kIpAt + wire::kIpv4Checksum] ^= 0xffU;
      break;
    case 3:  // No flags, as a null scan.
      frame[kTcpAt + wire::kTcpFlags] = 0;
      break;
    case 4:
      frame[kTcpAt + wire::kTcpFlags] = wire::kTcpSyn | wire::kTcpFin;
      break;
    case 5:  // A TCP header that is longer than the packet.
      frame[kTcpAt + wire::kTcpOffset] = 0xf0;
      break;
    case 6:  // From the loopback network.
      frame[kIpAt + wire::kIpv4Src] = 127;
      seal(frame);
      break;
    default:  // Half a TCP header.
      wire::store16(&frame[kIpAt + wire::kIpv4Total], wire::kIpv4Bytes + wire::kTcpBytes / 2);
      seal(frame);
      return kTcpAt + wire::kTcpBytes / 2;
  }
  return length;
}

/// Four in a row: a first fragment, one that overlaps it, the last one, and one of another datagram
/// that waits in vain for its first.
std::size_t Attack::write_fragment(std::size_t number, std::span<std::uint8_t> out) const {
  const std::size_t datagram = number / 4;
  const std::size_t flow = kFragmentFlowFirst + datagram % kFragmentFlows;
  victims_.write(flow, Step::open, kTcpAt + kFirstBytes, out);
  const std::span<std::uint8_t> frame = out.first(kTcpAt + kFirstBytes);
  const auto id = static_cast<std::uint32_t>(datagram) & (kOrphanId - 1);
  constexpr std::uint32_t kBehind = kFirstBytes / wire::kFragmentUnit;
  std::uint32_t place = wire::kIpv4MoreFragments;
  switch (number % 4) {
    case 1:
      place = wire::kIpv4MoreFragments | (kBehind - 1);
      break;
    case 2:
      place = kBehind + kBehind - 1;
      break;
    case 3:
      place = wire::kIpv4MoreFragments | kBehind;
      break;
    default:
      break;
  }
  wire::store16(&frame[kIpAt + wire::kIpv4Id], number % 4 == 3 ? kOrphanId | id : id);
  wire::store16(&frame[kIpAt + wire::kIpv4Fragment], place);
  seal(frame);
  return frame.size();
}

}  // namespace portcullis::bench
