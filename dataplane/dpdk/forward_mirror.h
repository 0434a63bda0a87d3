// SPDX-License-Identifier: MIT
// Mode mirror: copies of other hosts' packets, as a switch's SPAN port gives them. They are judged
// and counted as on a wire, and end here: nothing is ever sent, not even in answer. Thread: one
// worker.
#pragma once

#include "dataplane/dpdk/forward.h"

namespace portcullis::dataplane {

class ForwardMirror {
 public:
  static constexpr bool kOverhears = false;

  static bool accepts(std::span<const std::uint8_t> /*frame*/, PortIndex /*port*/) noexcept {
    return true;
  }
  static void forward(const Parcel& parcel, std::uint64_t /*now_ns*/, Transmit& /*out*/) noexcept {
    Transmit::consume(parcel.packet);  // The pipeline has counted it.
  }
  static void link(const Parcel& parcel, std::uint64_t /*now_ns*/, Transmit& /*out*/) noexcept {
    Transmit::consume(parcel.packet);
  }
  static void tick(std::uint64_t /*now_ns*/, Transmit& /*out*/) noexcept {}
};

static_assert(Forwarder<ForwardMirror>);

}  // namespace portcullis::dataplane
