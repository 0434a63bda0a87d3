// SPDX-License-Identifier: MIT
// What one worker counts. One writer (the worker), any readers, no locked instruction.
// Thread: add() and set() by the owning worker only; get() by anyone, relaxed.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "classifier/verdict.h"
#include "dataplane/drop_reason.h"
#include "dataplane/stage_cycles.h"

namespace portcullis::dataplane {

/// A number with a single writer: a relaxed load and store, never a read-modify-write.
class Counter {
 public:
  void add(std::uint64_t n = 1) noexcept { set(get() + n); }
  void set(std::uint64_t n) noexcept { value_.store(n, std::memory_order_relaxed); }
  [[nodiscard]] std::uint64_t get() const noexcept {
    return value_.load(std::memory_order_relaxed);
  }

 private:
  std::atomic<std::uint64_t> value_{0};
};

/// Every frame is counted in `packets` and in exactly one of forwarded, dropped, link and held; a
/// dropped one also in drops[its reason].
struct alignas(64) Counters {
  Counter packets;
  Counter bytes;
  Counter forwarded;
  Counter dropped;
  Counter link;
  Counter held;           // Later fragments that wait for their first one now,
  Counter held_ever;      // and since start; they are forwarded or dropped in the end.
  Counter replies;        // Forwarded against the direction of their flow, errors included.
  Counter judged;         // Packets whose verdict was looked up for them.
  Counter revalidated;    // Flows judged again because a generation was published.
  Counter flows_revoked;  // Of these, those that it denied.
  Counter resets;         // Connections that one of their ends reset.
  Counter flows;          // Flow table entries now.
  Counter flows_created;  // Since start; so are the next two.
  Counter flows_expired;
  Counter flows_evicted;
  std::array<Counter, kDropReasons> drops;
  [[no_unique_address]] std::array<Counter, kStages> stage_cycles;  // By Stage, since start.
};

/// Where it counts by rule of one generation: arrays of its rule_ids. A shorter one does without
/// the rules behind its end. Others read them with std::atomic_ref, relaxed.
struct RuleCounts {
  std::span<std::uint64_t> hits;    // Packets that the rule judged,
  std::span<std::uint64_t> resets;  // and connections that it allowed and one of their ends reset.

  static void add(std::span<std::uint64_t> counts, classifier::RuleId rule) noexcept {
    if (rule < counts.size()) {
      const std::atomic_ref<std::uint64_t> count(counts[rule]);
      count.store(count.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
    }
  }
};

/// The memory for it.
struct RuleCounters {
  explicit RuleCounters(std::size_t rule_ids) : hits(rule_ids), resets(rule_ids) {}
  [[nodiscard]] RuleCounts counts() { return {.hits = hits, .resets = resets}; }

  std::vector<std::uint64_t> hits;
  std::vector<std::uint64_t> resets;
};

}  // namespace portcullis::dataplane
