// SPDX-License-Identifier: MIT
// Counts flows by what they have in common (a source, a destination, ...) in memory that is taken
// beforehand, whatever the number of groups: Space-Saving, by buckets.
// Owner: one thread at a time.
//
// A group lies in the bucket that its keyed hash names. Where that is full, the smallest group in
// it makes room, and the new one begins with its count, which is then as much too high at most:
// that much is its `error`. So no count is too low, a group that is left out had no more flows than
// missed_max(), and where groups fit, as they mostly do, all is exact.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "dataplane/packet/flow_tuple.h"

namespace portcullis::dataplane {

/// What the flows of one group have in common.
enum class GroupedBy : std::uint8_t {
  source,       // The address of the end that began them,
  destination,  // of the other one,
  pair,         // both,
  port,         // the source, and the protocol and port that it calls,
  call,         // all of these: both addresses, and protocol and port, or ICMP's type and code.
};

struct FlowGroup {
  FlowTuple key;  // What the group does not go by is zero; src_port always is.
  std::uint64_t flows = 0;
  std::uint64_t error = 0;  // By so much `flows` may be too high.
};

class FlowGroups {
 public:
  /// Takes memory for at least so many groups and touches it all. `seed` keys the hash: unknown to
  /// whoever sends packets, or they could crowd one bucket.
  FlowGroups(GroupedBy by, std::size_t groups, std::uint64_t seed);

  /// Cost: a bucket of kWays groups; no allocation.
  void count(const FlowTuple& flow) noexcept;

  /// Flows that a group may have which is in none of the groups.
  [[nodiscard]] std::uint64_t missed_max() const noexcept;
  /// In no order.
  [[nodiscard]] std::vector<FlowGroup> groups() const;

 private:
  static constexpr std::size_t kWays = 8;
  const GroupedBy by_;
  const std::uint64_t seed_;
  std::size_t buckets_;  // A power of two.
  std::vector<FlowGroup> slots_;
};

/// What several have counted, together: a group's counts and errors are summed, and one that a
/// counter has left out may have as many flows there as its missed_max() says.
/// Shapes: result in descending order of flows.
std::vector<FlowGroup> merge(const std::vector<std::vector<FlowGroup>>& counted);

}  // namespace portcullis::dataplane
