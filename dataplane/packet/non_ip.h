// SPDX-License-Identifier: MIT
// Which frames that are not IP may pass: nothing in them is judged but what they are.
// Thread: immutable after construction.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "config/config.h"
#include "dataplane/packet/packet.h"

namespace portcullis::dataplane {

class NonIp {
 public:
  explicit NonIp(const config::NonIp& options);

  /// Makes a packet `unread` that parse() dropped as `unsupported_l3`, if its protocol is allowed.
  /// Of any other packet nothing changes, so that what is IP, or may hide it behind tags, never
  /// passes by this.
  void admit(std::span<const std::uint8_t> frame, Packet& packet) const noexcept;

  /// Whether `packet` is an ARP packet that is not allowed, in a tunnel as outside of one.
  [[nodiscard]] bool refuses_arp(const Packet& packet) const noexcept {
    return !arp_ && packet.kind == Packet::Kind::link && packet.l4_offset == 0;
  }

 private:
  std::vector<config::NumberRange> types_;
  bool arp_ = false;
};

}  // namespace portcullis::dataplane
