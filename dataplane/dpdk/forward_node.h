// SPDX-License-Identifier: MIT
// Mode node: a router with one port per pod and one uplink. To a pod it is the whole world: it
// answers for any address there; on the uplink it answers for the pods and for itself.
// Thread: one worker. Where there are several, each has a table of neighbours of its own: it asks
// for itself, one of them answers, and all of them learn from what any neighbour says.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "config/config.h"
#include "dataplane/dpdk/forward.h"
#include "dataplane/dpdk/neighbour_table.h"
#include "dataplane/dpdk/token_bucket.h"
#include "dataplane/packet/neighbour.h"
#include "dataplane/respond.h"

namespace portcullis::dataplane {

struct PortChange;

class ForwardNode {
 public:
  static constexpr bool kOverhears = true;

  /// macs[i] is the MAC of port i. REQUIRES: config was validated.
  ForwardNode(const config::Config& config, std::span<const MacAddress> macs);

  /// Frames to the port's MAC or to a group: a switch may flood others, which are not ours.
  [[nodiscard]] bool accepts(std::span<const std::uint8_t> frame, PortIndex port) const noexcept;
  void forward(const Parcel& parcel, std::uint64_t now_ns, Transmit& out) noexcept;
  void link(const Parcel& parcel, std::uint64_t now_ns, Transmit& out) noexcept;
  void overhear(std::span<const std::uint8_t> frame,
                PortIndex port,
                std::uint64_t now_ns,
                Transmit& out) noexcept;
  void tick(std::uint64_t now_ns, Transmit& out) noexcept;

  /// A pod has come: asks for its addresses. REQUIRES: out knows the port.
  void plug(const PortChange& change, std::uint64_t now_ns, Transmit& out) noexcept;
  /// It has gone: its addresses have no route, and what waits for it ends so.
  void unplug(PortIndex port, std::uint64_t now_ns, Transmit& out) noexcept;

 private:
  /// What is fixed about a port.
  struct Side {
    MacAddress mac{};
    IpAddress link_local;  // Derived from the MAC; speaks neighbour discovery.
    bool uplink = false;
    TokenBucket errors;  // ICMP errors sent out of it.
  };

  /// How a packet ends that cannot go on, and what its sender is told.
  struct Refusal {
    DropReason reason = DropReason::no_route;
    IcmpError error = IcmpError::network_unreachable;
    std::uint16_t mtu = 0;  // For packet_too_big only.
  };

  static Side side_of(const MacAddress& mac, bool uplink);
  [[nodiscard]] bool is_own(const IpAddress& address) const noexcept;
  [[nodiscard]] NeighbourIndex next_hop(const IpAddress& destination,
                                        std::uint64_t now_ns) noexcept;
  void route(const Parcel& parcel,
             const IpAddress& destination,
             std::uint64_t now_ns,
             Transmit& out) noexcept;
  void route_narrow(NeighbourIndex hop,
                    const Parcel& parcel,
                    std::uint64_t now_ns,
                    Transmit& out) noexcept;
  [[nodiscard]] bool resolved_or_taken(NeighbourIndex hop,
                                       const Parcel& parcel,
                                       std::uint64_t now_ns,
                                       Transmit& out) noexcept;
  void send_to(NeighbourIndex hop, const Parcel& parcel, Transmit& out) noexcept;
  void send_in_fragments_to(NeighbourIndex hop, const Parcel& parcel, Transmit& out) noexcept;

  [[nodiscard]] bool answers_for(const NeighbourMessage& message, PortIndex port) const noexcept;
  void learn(const NeighbourMessage& message,
             PortIndex port,
             std::uint64_t now_ns,
             Transmit& out) noexcept;
  void attend(NeighbourIndex index, std::uint64_t now_ns, Transmit& out) noexcept;
  void solicit(NeighbourIndex index, Transmit& out) noexcept;
  void refuse_held(NeighbourIndex index,
                   const Refusal& refusal,
                   std::uint64_t now_ns,
                   Transmit& out) noexcept;
  void refuse(const Parcel& parcel,
              const Refusal& refusal,
              std::uint64_t now_ns,
              Transmit& out) noexcept;

  std::vector<Side> sides_;  // By port.
  PortIndex uplink_ = 0;
  std::vector<IpAddress> own_;
  std::vector<Prefix> uplink_networks_;
  NeighbourIndex gateway_v4_ = kNoNeighbour;
  NeighbourIndex gateway_v6_ = kNoNeighbour;
  NeighbourTable neighbours_;
  std::uint64_t next_round_ns_ = 0;
  std::array<std::uint8_t, kResponseBytesMax> response_{};
};

static_assert(Forwarder<ForwardNode>);

}  // namespace portcullis::dataplane
