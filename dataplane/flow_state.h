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
    return ns_[kRows[protocol]][static_cast<std::size_t>(state)];
  }

 private:
  enum Row : std::uint8_t { kTcp, kSctp, kIcmp, kDatagram };
  /// By protocol. Which one comes next is random to the processor, so it is not to branch on it.
  static constexpr std::array<Row, 256> kRows = [] {
    std::array<Row, 256> rows{};
    rows.fill(kDatagram);
    rows[classifier::kProtocolTcp] = kTcp;
    rows[classifier::kProtocolSctp] = kSctp;
    rows[classifier::kProtocolIcmp] = kIcmp;
    rows[classifier::kProtocolIcmpv6] = kIcmp;
    return rows;
  }();

  std::array<std::array<std::uint64_t, kFlowStates>, 4> ns_{};
};

}  // namespace portcullis::dataplane
