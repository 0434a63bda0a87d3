// SPDX-License-Identifier: MIT
#include "dataplane/dpdk/forward_wire.h"

#include <algorithm>

#include "base/check.h"
#include "dataplane/packet/headers.h"

namespace portcullis::dataplane {
namespace {

PortIndex index_of(const config::Config& config, const std::string& name) {
  const auto found = std::ranges::find(config.ports, name, &config::Port::name);
  PORTCULLIS_CHECK(found != config.ports.end());
  return static_cast<PortIndex>(found - config.ports.begin());
}

}  // namespace

ForwardWire::ForwardWire(const config::Config& config) : partner_(config.ports.size()) {
  for (const auto& [a, b] : config.mode.pairs) {
    const PortIndex first = index_of(config, a);
    const PortIndex second = index_of(config, b);
    partner_[first] = second;
    partner_[second] = first;
  }
}

void ForwardWire::forward(const Parcel& parcel, std::uint64_t /*now_ns*/, Transmit& out) noexcept {
  const PortIndex egress = partner_[parcel.port];
  // VLAN tags ride on top of the MTU.
  const std::size_t frame_max =
      wire::kEthernetBytes + limits::kVlanTagsMax * wire::kVlanTagBytes + out.mtu(egress);
  if (parcel.bytes.size() > frame_max) {
    out.drop(parcel.packet, DropReason::packet_too_big);
    return;
  }
  out.send(egress, parcel.packet);
}

void ForwardWire::link(const Parcel& parcel, std::uint64_t now_ns, Transmit& out) noexcept {
  forward(parcel, now_ns, out);
}

}  // namespace portcullis::dataplane
