// SPDX-License-Identifier: MIT
// FlowQuotas: how many flows each namespace has in the flow table of one worker, and which.
// Owner: the Conntrack whose entries it counts. Thread: the worker; counts() is anyone's.
//
// The entries of a namespace are a ring, in which its flows stand in the order they came. Under its
// quota nobody looks at it. At the quota the search for one to end begins at the ring's head and
// turns the ring, so that it neither sees other namespaces' entries nor the same ones each time. A
// search in the table itself would hardly meet a namespace that has few of many entries.
//
// Invariants:
//   1. An entry with a namespace is in that one's ring, and counted once in its flows.
//   2. A namespace keeps its number, and its line here, for good.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/huge_pages.h"
#include "config/config.h"
#include "dataplane/counters.h"
#include "dataplane/quota/namespace_map.h"

namespace portcullis::dataplane {

/// True when any namespace has a quota.
[[nodiscard]] bool has_quotas(const config::Conntrack& config);

/// Of one namespace, at one worker.
struct NamespaceFlows {
  std::uint16_t name_space = 0;
  std::uint64_t flows = 0;
  std::uint64_t flows_max = 0;
  std::uint64_t refused = 0;  // New flows, since start.
};

class FlowQuotas {
 public:
  /// Takes memory for a table of so many entries, and touches it all.
  explicit FlowQuotas(std::size_t entries) : links_(entries), lines_(kNumbers) {}

  /// True when no flow more is to count against the quota.
  [[nodiscard]] bool is_reached(NamespaceQuota quota) const noexcept {
    return quota.name_space != 0 && lines_[quota.name_space].flows.get() >= quota.flows_max;
  }
  /// The oldest of a namespace's entries, as far as turn() has not moved it. REQUIRES: it has any.
  [[nodiscard]] std::uint32_t head(std::uint16_t name_space) const noexcept {
    return lines_[name_space].head;
  }
  [[nodiscard]] std::size_t flows(std::uint16_t name_space) const noexcept {
    return lines_[name_space].flows.get();
  }
  /// Its head becomes the newest of them. REQUIRES: it has any.
  void turn(std::uint16_t name_space) noexcept {
    lines_[name_space].head = links_[head(name_space)].next;
  }

  /// An entry counts against a quota from now on, or against none. REQUIRES: against none so far.
  void charge(std::uint32_t index, NamespaceQuota quota) noexcept;
  /// And against none any more.
  void release(std::uint32_t index) noexcept;
  void count_refused(std::uint16_t name_space) noexcept { lines_[name_space].refused.add(); }

  /// Of each namespace that has had a flow, the numbers of some moments close together.
  [[nodiscard]] std::vector<NamespaceFlows> counts() const;

 private:
  static constexpr std::size_t kNumbers = std::size_t{1} << 16U;

  struct Link {
    std::uint32_t next = 0;
    std::uint32_t before = 0;
    std::uint16_t name_space = 0;  // 0: the rest has no meaning.
  };
  struct alignas(32) Line {
    Counter flows;
    Counter flows_max;
    Counter refused;
    std::uint32_t head = 0;  // Means something where there are flows.
  };

  HugeVector<Link> links_;  // By entry.
  HugeVector<Line> lines_;  // By the namespace's number.
};

}  // namespace portcullis::dataplane
