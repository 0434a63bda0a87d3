// SPDX-License-Identifier: MIT
// Mode wire: a transparent gateway. What comes in at one port of a pair leaves by the other.
// Thread: one worker.
#pragma once

#include <vector>

#include "base/limits.h"
#include "config/config.h"
#include "dataplane/dpdk/forward.h"
#include "dataplane/packet/headers.h"

namespace portcullis::dataplane {

class ForwardWire {
 public:
  static constexpr bool kOverhears = false;

  /// REQUIRES: validated: every port is in exactly one pair.
  explicit ForwardWire(const config::Config& config);

  static bool accepts(std::span<const std::uint8_t> /*frame*/, PortIndex /*port*/) noexcept {
    return true;
  }
  void forward(const Parcel& parcel, std::uint64_t /*now_ns*/, Transmit& out) noexcept {
    const PortIndex egress = partner_[parcel.port];
    // VLAN tags ride on top of the MTU.
    const std::size_t frame_max =
        wire::kEthernetBytes + limits::kVlanTagsMax * wire::kVlanTagBytes + out.mtu(egress);
    if (parcel.bytes.size() > frame_max) [[unlikely]] {
      out.drop(parcel.packet, DropReason::packet_too_big);
      return;
    }
    out.send(egress, parcel.packet);
  }
  /// Hosts on both sides find each other as if we were not there.
  void link(const Parcel& parcel, std::uint64_t now_ns, Transmit& out) noexcept {
    forward(parcel, now_ns, out);
  }
  static void tick(std::uint64_t /*now_ns*/, Transmit& /*out*/) noexcept {}

 private:
  std::vector<PortIndex> partner_;  // By port.
};

static_assert(Forwarder<ForwardWire>);

}  // namespace portcullis::dataplane
