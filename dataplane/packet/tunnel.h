// SPDX-License-Identifier: MIT
// Tunnels: finds the packet of a pod inside of one that nodes exchange, so that policy judges that.
// VXLAN (RFC 7348), Geneve (RFC 8926), GRE version 0 (RFC 2784, RFC 2890) and IP in IP (RFC 2003,
// RFC 2473, RFC 4213), one of them deep.
//
//   | Ethernet | IP of the nodes | UDP | VXLAN | Ethernet | IP of the pods | ...
//              ^ the outer packet                        ^ the inner one
//
// Fail closed: what is a configured tunnel's and cannot be opened is dropped for a reason of its
// own, never judged by the outer header. The number of a virtual network (VNI, key) is not looked
// at: pods of a cluster have addresses of their own, whatever network carries them.
// Thread: immutable after construction.
#pragma once

#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "base/ip.h"
#include "base/limits.h"
#include "config/config.h"
#include "dataplane/packet/headers.h"
#include "dataplane/packet/packet.h"

namespace portcullis::dataplane {

/// Behind so many bytes lies a frame's own IP header, at most; one further in is a tunnel's inner.
inline constexpr std::size_t kOuterL3OffsetMax =
    wire::kEthernetBytes + limits::kVlanTagsMax * wire::kVlanTagBytes;

struct Payload;

enum class Encapsulation : std::uint8_t { none, vxlan, geneve, gre, ip };

class Tunnels {
 public:
  explicit Tunnels(const config::Tunnels& config);

  /// Whether any is configured: else look_inside() changes nothing.
  [[nodiscard]] bool any() const noexcept { return any_; }

  /// `packet` is what parse() said of `frame`. Where that is a packet of a configured tunnel from
  /// one endpoint to another, it becomes what parse() would say of the packet inside, its offsets
  /// counted from the frame's beginning; or a drop, as tunnel_invalid_header,
  /// tunnel_unknown_payload, tunnel_nested or tunnel_fragmented. The reason for dropping a
  /// malformed inner packet is that packet's own. An ICMP error about a tunnel's packet becomes one
  /// about the flow inside, if so much is quoted.
  void look_inside(std::span<const std::uint8_t> frame, Packet& packet) const noexcept;

 private:
  /// By protocol and destination port.
  [[nodiscard]] Encapsulation encapsulation_of(const FlowTuple& tuple) const noexcept;
  [[nodiscard]] bool joins_endpoints(const FlowTuple& tuple) const noexcept;
  [[nodiscard]] bool is_endpoint(const IpAddress& address) const noexcept;
  /// `payload` is what the outer IP packet carries.
  void open(const std::uint8_t* frame,
            Payload payload,
            Encapsulation encapsulation,
            Packet& packet) const noexcept;

  bool any_ = false;
  bool gre_ = false;
  bool ip_ = false;
  std::vector<std::pair<std::uint16_t, Encapsulation>> udp_ports_;
  std::vector<Prefix> endpoints_;
};

/// A datagram whose first fragment was dropped for what it is: so are the others, which do not show
/// it. REQUIRES: packet.fragmented.
constexpr bool drops_datagram(const Packet& packet) {
  return packet.reason == DropReason::tunnel_fragmented ||
         packet.reason == DropReason::tunnel_nested;
}

}  // namespace portcullis::dataplane
