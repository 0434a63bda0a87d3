// SPDX-License-Identifier: MIT
// The flow table of one worker: fixed memory, both families, one entry per connection that is found
// from both directions. It knows nothing of policies: it keeps the verdict it is given.
// Owner: one worker, which alone calls it. Time is an argument, in nanoseconds, never decreasing.
//
// A flow lies in one of two buckets that its keyed hash names; the emptier one gets a new flow.
// With at most half of all slots in use, both being full is a rarity that counts as a full table.
//
//   Bucket, one cache line: | tag 2 x 8 | entry index 4 x 8 | unused 16 |   tag 0: free slot
//   Entry,  one cache line: | tuple 38 | state 1 | finished 1 | verdict 8 | epoch 8 | deadline 8 |
//
// Invariants:
//   1. An entry with state none is in no bucket and on the free stack; any other is in exactly one
//      slot and not on the stack.
//   2. No two entries have the same tuple, nor a tuple and its reverse (ICMP aside, whose tuples
//      have no reverse).
//   3. version() changes whenever an entry is added or removed, so that a Found made before may be
//      used while it stays the same.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "classifier/verdict.h"
#include "config/config.h"
#include "dataplane/flow_state.h"
#include "dataplane/packet/flow_tuple.h"

namespace portcullis::dataplane {

struct alignas(64) FlowEntry {
  FlowTuple tuple;  // In the direction of the packet that began the flow.
  FlowState state = FlowState::none;
  std::uint8_t finished = 0;  // Bit 0: the original side has finished; bit 1: the other.
  classifier::Verdict verdict;
  std::uint64_t epoch = 0;  // Of the generation that gave the verdict.
  std::uint64_t deadline_ns = 0;
};
static_assert(sizeof(FlowEntry) == 64);

class Conntrack {
 public:
  static constexpr std::uint32_t kNoEntry = ~std::uint32_t{0};

  struct Found {
    std::uint32_t index = kNoEntry;
    bool is_reply = false;  // The tuple runs against the flow's direction.
    explicit operator bool() const { return index != kNoEntry; }
  };

  /// What a packet begins: everything of an entry that its first packet knows.
  struct NewFlow {
    const FlowTuple& tuple;
    Packet::Event event;
    classifier::Verdict verdict;
    std::uint64_t epoch;
  };

  /// Takes memory for config.flows_max flows and touches it all. `seed` keys the hash: unknown to
  /// whoever sends packets, or they could aim all their flows at one bucket.
  Conntrack(const config::Conntrack& config, std::uint64_t seed);

  /// Equal for both directions of a flow.
  [[nodiscard]] std::uint64_t hash(const FlowTuple& tuple) const noexcept;
  /// Two steps of warming the cache for a later find().
  void prefetch_buckets(std::uint64_t hash) const noexcept;
  void prefetch_entries(std::uint64_t hash) const noexcept;

  /// The live flow of a tuple. One that has timed out is ended here. `answer` as in Packet.
  Found find(const FlowTuple& tuple,
             bool answer,
             std::uint64_t hash,
             std::uint64_t now_ns) noexcept;

  /// Adds a flow. REQUIRES: find() has just not found it.
  /// Errors: kNoEntry when there is no room, even after ending flows that timed out or are
  /// evictable, where such are found in a bounded search.
  std::uint32_t insert(const NewFlow& flow, std::uint64_t hash, std::uint64_t now_ns) noexcept;
  void remove(std::uint32_t index) noexcept;

  /// Notes one more packet of a flow: its state moves on, its deadline too.
  void touch(Found found, Packet::Event event, std::uint64_t now_ns) noexcept;

  /// Ends timed-out flows, at most kExpireMax entries looked at a call; looks at every entry about
  /// once a second if called often enough.
  void expire(std::uint64_t now_ns) noexcept;

  [[nodiscard]] FlowEntry& entry(std::uint32_t index) noexcept { return entries_[index]; }
  [[nodiscard]] std::size_t size() const noexcept { return entries_.size() - free_.size(); }
  [[nodiscard]] std::uint64_t version() const noexcept { return version_; }
  /// Flows that timed out, and that made room for others, since construction.
  [[nodiscard]] std::uint64_t expired() const noexcept { return expired_; }
  [[nodiscard]] std::uint64_t evicted() const noexcept { return evicted_; }

  static constexpr std::size_t kExpireMax = 256;

 private:
  static constexpr std::size_t kSlots = 8;
  static constexpr std::size_t kEvictSearchMax = 64;
  struct alignas(64) Bucket {
    std::array<std::uint16_t, kSlots> tags{};
    std::array<std::uint32_t, kSlots> entries{};
  };
  static_assert(sizeof(Bucket) == 64);

  /// A free or to be freed place in a bucket.
  struct Slot {
    Bucket* bucket = nullptr;
    std::size_t slot = 0;
  };

  static std::uint16_t tag_of(std::uint64_t hash) noexcept;
  static unsigned slots_with(const Bucket& bucket, std::uint16_t tag) noexcept;
  [[nodiscard]] std::size_t first_bucket(std::uint64_t hash) const noexcept;
  [[nodiscard]] std::size_t second_bucket(std::uint64_t hash) const noexcept;
  [[nodiscard]] Slot free_slot(std::uint64_t hash) noexcept;
  bool evict_from_buckets(std::uint64_t hash, std::uint64_t now_ns) noexcept;
  bool evict_anywhere(std::uint64_t now_ns) noexcept;
  void end_early(std::uint32_t index, std::uint64_t now_ns) noexcept;

  // Immutable after construction.
  FlowTimeouts timeouts_;
  std::array<std::uint64_t, 4> seeds_{};
  std::size_t bucket_mask_ = 0;

  std::vector<Bucket> buckets_;
  std::vector<FlowEntry> entries_;
  std::vector<std::uint32_t> free_;  // A stack; its capacity never changes.
  std::uint64_t version_ = 0;
  std::uint64_t expired_ = 0;
  std::uint64_t evicted_ = 0;
  std::size_t expire_cursor_ = 0;
  std::uint64_t expired_until_ns_ = 0;
  std::size_t evict_cursor_ = 0;
};

}  // namespace portcullis::dataplane
