// SPDX-License-Identifier: MIT
#include "dataplane/source_guard.h"

#include <algorithm>

#include "base/check.h"
#include "dataplane/packet/neighbour.h"

namespace portcullis::dataplane {
namespace {

bool is_unspecified(const IpAddress& address) {
  return address.bytes == AddressBytes{};
}

bool is_link_local6(const IpAddress& address) {
  return address.family == Family::v6 && address.bytes[0] == 0xfe &&
         (address.bytes[1] & 0xc0U) == 0x80;
}

}  // namespace

SourceGuard::SourceGuard(std::span<const std::vector<IpAddress>> sources, std::size_t ports_max)
    : sources_(sources.begin(), sources.end()) {
  sources_.reserve(ports_max);
  guarded_.reserve(ports_max);
  for (const std::vector<IpAddress>& own : sources_) {
    guarded_.push_back(own.empty() ? 0 : 1);
  }
}

void SourceGuard::exchange(std::size_t port, std::vector<IpAddress>& addresses) noexcept {
  if (port >= sources_.size()) {
    PORTCULLIS_CHECK(port < sources_.capacity());
    sources_.resize(port + 1);
    guarded_.resize(port + 1);
  }
  sources_[port].swap(addresses);
  guarded_[port] = sources_[port].empty() ? 0 : 1;
}

bool SourceGuard::holds(std::size_t port, const IpAddress& address) const noexcept {
  const std::vector<IpAddress>& own = sources_[port];
  return std::find(own.begin(), own.end(), address) != own.end();
}

bool SourceGuard::allows_link(std::size_t port,
                              const Packet& packet,
                              std::span<const std::uint8_t> frame) const noexcept {
  const IpAddress source{packet.tuple.family, packet.source};
  const auto may_claim = [&](const IpAddress& address) {
    return is_link_local6(address) || holds(port, address);
  };
  if (!is_unspecified(source) && !may_claim(source)) {
    return false;
  }
  const auto message = packet.tuple.family == Family::v4 ? read_arp(frame, packet.l3_offset)
                                                         : read_nd(frame, packet.l3_offset);
  return !message || message->kind != NeighbourMessage::Kind::advertisement ||
         may_claim(message->target);
}

bool SourceGuard::owns(std::size_t port,
                       const Packet& packet,
                       std::span<const std::uint8_t> frame) const noexcept {
  if (packet.kind == Packet::Kind::link) {
    return allows_link(port, packet, frame);
  }
  const IpAddress source{packet.tuple.family, packet.source};
  // parse() lets the unspecified IPv4 source through for DHCP requests alone.
  return holds(port, source) || (source.family == Family::v4 && is_unspecified(source));
}

}  // namespace portcullis::dataplane
