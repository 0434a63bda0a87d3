// SPDX-License-Identifier: MIT
// TableSlot: the one published generation, and who may free the last one (rte_rcu_qsbr as a type).
// Thread: one writer calls publish() and counts(); each reader uses a Reader of its own.
//
// Invariants:
//  1. A reader dereferences what current() gave only until its next quiescent() or offline().
//  2. publish() swaps the pointer first, then waits until each reader that is online has been
//     quiescent since: when it returns, every reader runs the new generation, and nobody the old.
//  3. Readers never wait: no lock, no loop, whatever the writer does.
// QSBR needs no EAL. TSan does not see its fences, hence the annotations.
#pragma once

#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <thread>
#include <utility>
#include <vector>

#include <rte_rcu_qsbr.h>

#include "base/check.h"
#include "dataplane/counters.h"
#include "dataplane/dpdk/tsan.h"
#include "dataplane/generation.h"

namespace portcullis::dataplane {

class TableSlot {
 public:
  class Reader;

  /// Readers are numbered from 0 to readers_max - 1.
  explicit TableSlot(std::size_t readers_max) : readers_max_(readers_max) {
    const auto readers = static_cast<std::uint32_t>(readers_max);
    const std::size_t bytes = rte_rcu_qsbr_get_memsize(readers);
    qsbr_.reset(static_cast<rte_rcu_qsbr*>(std::aligned_alloc(RTE_CACHE_LINE_SIZE, bytes)));
    PORTCULLIS_CHECK(qsbr_ != nullptr && rte_rcu_qsbr_init(qsbr_.get(), readers) == 0);
  }
  TableSlot(const TableSlot&) = delete;
  TableSlot& operator=(const TableSlot&) = delete;
  /// REQUIRES: no Reader is left.
  ~TableSlot() { delete published_.load(std::memory_order_relaxed); }

  /// Swaps `next` in and frees the last generation when no reader can see it any more. Waits for
  /// one burst of the slowest reader; a reader that is offline is not waited for.
  /// Returns what the last generation's rules had counted at its end, by reader; nothing at the
  /// first publication.
  std::vector<RuleCounters> publish(std::unique_ptr<const Generation> next) {
    auto fresh = std::make_unique<Published>(std::move(next), readers_max_);
    const std::unique_ptr<Published> old(
        published_.exchange(fresh.release(), std::memory_order_acq_rel));
    // Not rte_rcu_qsbr_synchronize: it spins, and writer and reader may share a processor.
    const std::uint64_t token = rte_rcu_qsbr_start(qsbr_.get());
    while (rte_rcu_qsbr_check(qsbr_.get(), token, false) == 0) {
      std::this_thread::yield();
    }
    tsan_acquire(qsbr_.get());
    return old == nullptr ? std::vector<RuleCounters>() : std::move(old->counters);
  }

  /// The writer's view. REQUIRES: something was published. Valid until the next publish().
  [[nodiscard]] const Generation& running() const { return *published()->generation; }
  /// What reader `index` counted of the running generation's rules; it writes on meanwhile, so read
  /// with std::atomic_ref.
  [[nodiscard]] RuleCounts counts(std::size_t index) const {
    return published()->counters[index].counts();
  }

 private:
  /// A generation and, beside it, the counters of its rules, by reader.
  struct Published {
    Published(std::unique_ptr<const Generation> next, std::size_t readers)
        : generation(std::move(next)), counters(readers, RuleCounters(generation->rule_ids)) {}
    const std::unique_ptr<const Generation> generation;
    std::vector<RuleCounters> counters;
  };
  struct Free {
    void operator()(rte_rcu_qsbr* qsbr) const { std::free(qsbr); }
  };

  [[nodiscard]] Published* published() const {
    Published* const now = published_.load(std::memory_order_acquire);
    PORTCULLIS_CHECK(now != nullptr);
    return now;
  }

  const std::size_t readers_max_;
  std::unique_ptr<rte_rcu_qsbr, Free> qsbr_;
  alignas(64) std::atomic<Published*> published_{nullptr};
};

/// One worker's way to the running generation. It begins offline.
/// Thread: the worker that made it.
class TableSlot::Reader {
 public:
  /// REQUIRES: index < readers_max, used by no other living Reader; something was published.
  Reader(TableSlot& slot, std::size_t index)
      : slot_(slot), index_(static_cast<std::uint32_t>(index)) {
    PORTCULLIS_CHECK(index < slot.readers_max_);
    PORTCULLIS_CHECK(rte_rcu_qsbr_thread_register(slot_.qsbr_.get(), index_) == 0);
  }
  Reader(const Reader&) = delete;
  Reader& operator=(const Reader&) = delete;
  ~Reader() {
    offline();
    rte_rcu_qsbr_thread_unregister(slot_.qsbr_.get(), index_);
  }

  /// The running generation, the same until quiescent(). REQUIRES: online.
  const Generation& current() noexcept {
    now_ = slot_.published_.load(std::memory_order_acquire);
    return *now_->generation;
  }
  /// This reader's counters of what current() gave last.
  [[nodiscard]] RuleCounts counts() const noexcept { return now_->counters[index_].counts(); }

  /// "I hold nothing": once per poll.
  void quiescent() noexcept {
    release();
    rte_rcu_qsbr_quiescent(slot_.qsbr_.get(), index_);
  }
  /// Around a sleep: publish() does not wait for this reader meanwhile.
  void offline() noexcept {
    release();
    rte_rcu_qsbr_thread_offline(slot_.qsbr_.get(), index_);
  }
  void online() noexcept { rte_rcu_qsbr_thread_online(slot_.qsbr_.get(), index_); }

 private:
  void release() noexcept {
    now_ = nullptr;
    tsan_release(slot_.qsbr_.get());
  }

  TableSlot& slot_;
  const std::uint32_t index_;
  Published* now_ = nullptr;
};

}  // namespace portcullis::dataplane
