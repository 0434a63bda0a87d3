// SPDX-License-Identifier: MIT
// What may be asked of the workers' flow tables, and what they say: plain data, no DPDK.
// Thread: plain values.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <vector>

#include "base/ip.h"
#include "classifier/table.h"
#include "classifier/verdict.h"
#include "dataplane/flow_state.h"
#include "dataplane/flows/groups.h"
#include "dataplane/packet/flow_tuple.h"
#include "dataplane/quota/flow_quotas.h"

namespace portcullis::dataplane {

/// Which flows are meant: those that fit all of it. An empty part is fitted by any.
struct FlowFilter {
  static constexpr std::uint64_t kAnyEpoch = std::numeric_limits<std::uint64_t>::max();

  std::vector<Prefix> from;              // One of them holds the end that began the flow,
  std::vector<Prefix> to;                // the other end,
  std::vector<Prefix> either;            // any of the two.
  std::optional<std::uint8_t> protocol;  // kProtocolIcmp stands for ICMP of either family.
  std::optional<std::uint16_t> port;     // Of either end; ICMP has none.
  std::optional<FlowState> state;
  /// This table denies it; null: whatever a table says.
  std::shared_ptr<const classifier::Table> denied_by;
  /// Its verdict is of this epoch or a later one,
  std::uint64_t judged_since = 0;
  /// and of an earlier one than this.
  std::uint64_t judged_before = kAnyEpoch;

  /// True where every flow fits.
  [[nodiscard]] bool fits_all() const {
    return from.empty() && to.empty() && either.empty() && !protocol && !port && !state &&
           denied_by == nullptr && judged_since == 0 && judged_before == kAnyEpoch;
  }
};

struct FlowRequest {
  enum class Action : std::uint8_t {
    list,   // Records of the flows that match, the first `records_max` of each worker.
    count,  // Only the counts, and those of quotas.
    flush,  // As `count`, and the flows are ended.
    top,    // As `count`, and groups of flows.
    renew,  // As `count`, and flows that match but for `denied_by`, which allows them, take its
            // verdict as one of `renewed_epoch`.
  };
  Action action = Action::list;
  FlowFilter filter;
  std::size_t records_max = 0;
  GroupedBy grouped_by = GroupedBy::source;  // `top` only.
  std::uint64_t renewed_epoch = 0;           // `renew` only.
};

/// A flow as it was when the worker came to it.
struct FlowRecord {
  FlowTuple tuple;  // In the direction of the packet that began the flow.
  FlowState state = FlowState::none;
  classifier::Verdict verdict;
  std::uint64_t epoch = 0;    // Of the generation that gave the verdict.
  std::uint64_t left_ns = 0;  // Until it times out.
};

enum class FlowProtocol : std::uint8_t { tcp, udp, sctp, icmp, other };
inline constexpr std::size_t kFlowProtocols = 5;
FlowProtocol flow_protocol(std::uint8_t protocol) noexcept;

/// Flows by FlowProtocol and FlowState.
using FlowCounts = std::array<std::array<std::uint64_t, kFlowStates>, kFlowProtocols>;
std::uint64_t sum(const FlowCounts& counts) noexcept;

/// What one worker said. Flows that came while it looked may be missing; none is in it twice, but
/// one that ended and began anew meanwhile may be there as what it was and as what it is.
struct FlowAnswer {
  std::uint32_t cpu = 0;
  FlowCounts counts{};  // Of all that matched.
  std::vector<FlowRecord> records;
  std::vector<FlowGroup> groups;
  std::uint64_t missed_max = 0;            // Flows that a group may have which is not among these.
  std::vector<NamespaceFlows> namespaces;  // Those with a quota that have had a flow.
};

}  // namespace portcullis::dataplane
