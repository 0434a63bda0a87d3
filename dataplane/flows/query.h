// SPDX-License-Identifier: MIT
// FlowQuery: one question to one worker about its flow table, with the memory for the answer; and
// FlowMailbox: the slot in which the worker finds it.
// Thread: a worker and one asker, as each function says.
//
// Invariants:
//   1. The asker fills an empty slot (release), the worker empties it (release), each after it has
//      seen the other's store (acquire). While the slot is full the query is the worker's, but for
//      its mark of cancellation; afterwards it is the asker's.
//   2. The mailbox owns its query until the next one comes, and that waits for an empty slot. So a
//      worker never writes into freed memory, even for an asker who has given up and gone.
//   3. A query looks at each entry of the table once, in their order, a bounded number a step. What
//      is added or removed between steps is seen or not; no entry is reported twice.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>

#include "dataplane/conntrack.h"
#include "dataplane/flows/groups.h"
#include "dataplane/flows/record.h"

namespace portcullis::dataplane {

/// All of the filter but `denied_by`. Cost: no allocation, no lock, no system call.
bool matches(const FlowFilter& filter, const FlowEntry& flow) noexcept;

class FlowQuery {
 public:
  /// Entries looked at in one step, as many as Conntrack::expire() looks at in one poll.
  static constexpr std::size_t kStepMax = 256;
  /// Where flows are grouped: each may be a few cache misses more.
  static constexpr std::size_t kGroupingStepMax = 128;
  /// Groups that a worker has room for; less than a megabyte.
  static constexpr std::size_t kGroupsMax = 16'384;

  /// Takes memory for request.records_max records, and for groups where they are asked for, and
  /// touches it all.
  explicit FlowQuery(FlowRequest request);

  /// Looks at the next entries; true when this was the last step. Time: as Conntrack's.
  /// Thread: the worker.
  bool step(Conntrack& conntrack, std::uint64_t now_ns) noexcept;

  /// The next step will be the last, and do nothing. Thread: the asker.
  void cancel() noexcept { cancelled_.store(true, std::memory_order_relaxed); }
  /// REQUIRES: the worker has let go, and its table is still there. Thread: the asker.
  [[nodiscard]] FlowAnswer take();

 private:
  [[nodiscard]] std::size_t keep_denied(Conntrack& conntrack,
                                        std::span<std::uint32_t> chosen) const noexcept;
  void note(const FlowEntry& flow, std::uint64_t now_ns) noexcept;

  const FlowRequest request_;
  FlowAnswer answer_;
  std::optional<FlowGroups> groups_;
  const FlowQuotas* quotas_ = nullptr;  // Of `count`: counted all the time, so the asker may read.
  std::size_t recorded_ = 0;
  std::size_t cursor_ = 0;
  std::atomic<bool> cancelled_{false};
};

class FlowMailbox {
 public:
  /// True when the worker has let go of all that was asked. Thread: the asker.
  [[nodiscard]] bool empty() const noexcept {
    return asked_.load(std::memory_order_acquire) == nullptr;
  }
  /// REQUIRES: empty(). Thread: the asker.
  void post(std::shared_ptr<FlowQuery> query);
  /// Frees what was asked last. REQUIRES: empty(). Thread: the asker.
  void clear();

  /// What is asked; null: nothing. Cost: one relaxed load where nothing is. Thread: the worker.
  [[nodiscard]] FlowQuery* asked() const noexcept {
    if (asked_.load(std::memory_order_relaxed) == nullptr) {
      return nullptr;
    }
    return asked_.load(std::memory_order_acquire);
  }
  /// The worker will not touch the query again. Thread: the worker.
  void let_go() noexcept { asked_.store(nullptr, std::memory_order_release); }

 private:
  std::shared_ptr<FlowQuery> held_;  // The asker's; what asked_ points to.
  std::atomic<FlowQuery*> asked_{nullptr};
};

}  // namespace portcullis::dataplane
