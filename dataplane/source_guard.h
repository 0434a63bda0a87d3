// SPDX-License-Identifier: MIT
// Which source addresses a port may use: a pod's port speaks for that pod's addresses only.
// Thread: that of its pipeline.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/ip.h"
#include "dataplane/packet/parse.h"

namespace portcullis::dataplane {

class SourceGuard {
 public:
  /// Per port the addresses it may use; an empty list, and a port beyond the lists, allows any.
  /// Takes memory for `ports_max` of them.
  explicit SourceGuard(std::span<const std::vector<IpAddress>> sources, std::size_t ports_max = 0);

  /// From now on the port may use these; they come back as those that it could use before.
  /// REQUIRES: port < ports_max. Cost: no allocation.
  void exchange(std::size_t port, std::vector<IpAddress>& addresses) noexcept;

  /// True when the port may send this packet. Beyond the port's addresses these pass: a DHCP
  /// request from 0.0.0.0, and link packets (neighbour discovery, group membership, ARP) from the
  /// unspecified or a link-local address. An advertisement must speak for an address of the port,
  /// or a link-local one: else a pod could take another's traffic by claiming its address.
  /// REQUIRES: packet.kind != drop; `frame` is what was parsed.
  [[nodiscard]] bool allows(std::size_t port,
                            const Packet& packet,
                            std::span<const std::uint8_t> frame) const noexcept {
    return port >= guarded_.size() || guarded_[port] == 0 || owns(port, packet, frame);
  }

 private:
  [[nodiscard]] bool owns(std::size_t port,
                          const Packet& packet,
                          std::span<const std::uint8_t> frame) const noexcept;
  [[nodiscard]] bool holds(std::size_t port, const IpAddress& address) const noexcept;
  [[nodiscard]] bool allows_link(std::size_t port,
                                 const Packet& packet,
                                 std::span<const std::uint8_t> frame) const noexcept;

  std::vector<std::vector<IpAddress>> sources_;
  std::vector<std::uint8_t> guarded_;  // By port: it has sources. All that most packets ask.
};

}  // namespace portcullis::dataplane
