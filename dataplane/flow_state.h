// SPDX-License-Identifier: MIT
// How a connection lives: one small state machine for TCP and SCTP, a smaller one for the rest.
// Thread: any; pure functions.
//
//            begin                accept (reply)            any but begin (original)
//   (none) ---------> opening ------------------> accepted -------------------------> established
//                        |  any reply, of datagrams and queries                          ^   |
//                        +--------------------------------------------------------------+   |
//   any state --- abort from either, or finish from both ---> closing <---------------------+
//
// A connection that one side has finished is still established: the other may speak for hours.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

#include "config/config.h"
#include "dataplane/packet/parse.h"

namespace portcullis::dataplane {

enum class FlowState : std::uint8_t { none, opening, accepted, established, closing };
inline constexpr std::size_t kFlowStates = 5;
/// As its enumerator.
std::string_view to_string(FlowState state) noexcept;

struct FlowProgress {
  FlowState state = FlowState::none;
  bool finished_original = false;  // The side that began the flow has said its last.
  bool finished_reply = false;
};

/// TCP and SCTP: both ends agree before they talk.
constexpr bool is_connected(std::uint8_t protocol) {
  return protocol == classifier::kProtocolTcp || protocol == classifier::kProtocolSctp;
}

/// The progress after one more packet of a flow. A begin against the flow's direction is the other
/// half of a simultaneous opening; it counts as acceptance.
FlowProgress advance(FlowProgress progress,
                     std::uint8_t protocol,
                     Packet::Event event,
                     bool is_reply) noexcept;

/// The progress of a flow that this packet begins.
FlowProgress begin(std::uint8_t protocol, Packet::Event event) noexcept;

/// True when a packet may begin a flow. `loose`: TCP also in mid-connection.
bool may_begin(const Packet& packet, bool loose) noexcept;

/// A flow that no two-way traffic has proved, or that is over: the first to go when room is short.
constexpr bool is_evictable(FlowState state) {
  return state == FlowState::opening || state == FlowState::accepted || state == FlowState::closing;
}

/// How long a flow may be silent.
class FlowTimeouts {
 public:
  explicit FlowTimeouts(const config::Conntrack& config);
  /// Units: nanoseconds.
  [[nodiscard]] std::uint64_t of(std::uint8_t protocol, FlowState state) const noexcept {
    return ns_[static_cast<std::size_t>(row_of(protocol))][static_cast<std::size_t>(state)];
  }

 private:
  enum class Row : std::uint8_t { tcp, sctp, icmp, datagram };
  static constexpr Row row_of(std::uint8_t protocol) noexcept {
    if (protocol == classifier::kProtocolTcp) {
      return Row::tcp;
    }
    if (protocol == classifier::kProtocolSctp) {
      return Row::sctp;
    }
    return is_icmp(protocol) ? Row::icmp : Row::datagram;
  }

  std::array<std::array<std::uint64_t, kFlowStates>, 4> ns_{};
};

}  // namespace portcullis::dataplane
