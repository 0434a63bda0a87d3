// SPDX-License-Identifier: MIT
// The flow table of one worker: fixed memory, both families, one entry per connection that is found
// from both directions. It knows nothing of policies: it keeps the verdict it is given.
// Owner: one worker, which alone calls it. Time is an argument, in nanoseconds, never decreasing.
//
// A flow lies in one of two buckets that its keyed hash names: in the first unless that is nearly
// full and the second emptier. As each bucket counts the flows that it sent on, the second is
// rarely read. With at most half of all slots in use, both being full is a rarity that counts as a
// full table.
//
//   Bucket, one cache line: | tag 2 x 8 | entry index 4 x 8 | sent on 4 | unused 12 | tag 0: free
//   Entry,  one cache line: | tuple 38 | state 1 | finished 1 | verdict 8 | epoch 8 | deadline 8 |
//
// Invariants:
//   1. An entry with state none is in no bucket and on the free stack; any other is in exactly one
//      slot and not on the stack.
//   2. No two entries have the same tuple, nor a tuple and its reverse (ICMP aside, whose tuples
//      have no reverse).
//   3. version() changes whenever an entry is added or removed, so that a Found made before may be
//      used while it stays the same.
//   4. A bucket has sent on as many flows as name it first and lie in their second bucket.
//   5. Entries are timed by groups of 32 in a row. A group's timer is set to the first deadline of
//      its flows at the latest. Deadlines that move away, as nearly all do, leave the timer as it
//      is: it comes early, and is set anew.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>
#include <memory>
#include <vector>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#include "base/huge_pages.h"
#include "classifier/verdict.h"
#include "config/config.h"
#include "dataplane/flow_state.h"
#include "dataplane/flows/timer_wheel.h"
#include "dataplane/keyed_hash.h"
#include "dataplane/packet/flow_tuple.h"
#include "dataplane/quota/flow_quotas.h"

namespace portcullis::dataplane {

struct alignas(64) FlowEntry {
  FlowTuple tuple;  // In the direction of the packet that began the flow.
  FlowState state = FlowState::none;
  std::uint8_t finished = 0;  // Bit 0: the original side has finished; bit 1: the other.
  classifier::Verdict verdict;
  std::uint64_t epoch = 0;        // Of the generation that gave the verdict.
  std::uint64_t deadline_ns = 0;  // 0: free.
};
static_assert(sizeof(FlowEntry) == 64);

class Conntrack {
 public:
  static constexpr std::uint32_t kNoEntry = ~std::uint32_t{0};
  static constexpr std::uint32_t kOverQuota = kNoEntry - 1;

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
    NamespaceQuota quota{};  // That it counts against until it ends, whatever becomes of the pod.
  };

  /// Takes memory for config.flows_max flows and touches it all. `seed` keys the hash: unknown to
  /// whoever sends packets, or they could aim all their flows at one bucket.
  Conntrack(const config::Conntrack& config, std::uint64_t seed);

  /// Equal for both directions of a flow.
  [[nodiscard]] std::uint64_t hash(const FlowTuple& tuple) const noexcept;
  /// Two steps of warming the cache for a later find(): the first bucket, then what its tags name.
  /// The second says which entry is likely, or kNoEntry.
  void prefetch_bucket(std::uint64_t hash) const noexcept;
  [[nodiscard]] std::uint32_t prefetch_entries(std::uint64_t hash) const noexcept;

  /// What is asked for. `answer` as in Packet.
  struct Sought {
    const FlowTuple& tuple;
    bool answer = false;
    std::uint64_t hash = 0;
  };
  /// The live flow of a tuple. One that has timed out is ended here.
  Found find(const Sought& sought, std::uint64_t now_ns) noexcept;
  /// True where `likely`, which may be any entry or none, is the live flow of a tuple, as find()
  /// would say; it then has its direction. Nearly always, of what prefetch_entries() said.
  bool confirm(Found& likely,
               const FlowTuple& tuple,
               bool answer,
               std::uint64_t now_ns) const noexcept;

  /// Adds a flow. REQUIRES: find() has just not found it.
  /// Errors: kNoEntry when there is no room, even after ending flows that timed out or are
  /// evictable, where such are found in a bounded search; kOverQuota when there is none of its
  /// quota's namespace, whose own flows alone are ended for it.
  std::uint32_t insert(const NewFlow& flow, std::uint64_t hash, std::uint64_t now_ns) noexcept;
  void remove(std::uint32_t index) noexcept;

  /// Notes one more packet of a flow: its state moves on, its deadline too. True: it is over by
  /// that, since one of its ends reset it.
  bool touch(Found found, Packet::Event event, std::uint64_t now_ns) noexcept;

  /// Ends flows within two seconds of when they time out; later where more are due than it looks
  /// at: kExpireMax entries a call, 4 million a second. find() knows at once that one is over.
  void expire(std::uint64_t now_ns) noexcept;

  [[nodiscard]] FlowEntry& entry(std::uint32_t index) noexcept { return entries_[index]; }
  /// entry() takes indexes below this.
  [[nodiscard]] std::size_t capacity() const noexcept { return entries_.size(); }
  [[nodiscard]] std::size_t size() const noexcept { return entries_.size() - free_.size(); }
  [[nodiscard]] std::uint64_t version() const noexcept { return version_; }
  /// Flows that timed out, and that made room for others, since construction.
  [[nodiscard]] std::uint64_t expired() const noexcept { return expired_; }
  [[nodiscard]] std::uint64_t evicted() const noexcept { return evicted_; }
  /// Null: no namespace has a quota. Lives as long as this.
  [[nodiscard]] const FlowQuotas* quotas() const noexcept { return quotas_.get(); }

  static constexpr std::size_t kExpireMax = 256;

 private:
  static constexpr std::uint32_t kGroup = 32;  // Entries with a timer in common.
  static constexpr std::size_t kSlots = 8;
  static constexpr std::size_t kEvictSearchMax = 64;
  static constexpr std::size_t kQuotaSearchMax = 16;
  /// Entries between one that is ended and the one that is made ready for it.
  static constexpr std::size_t kEvictAhead = 4;
  struct alignas(64) Bucket {
    std::array<std::uint16_t, kSlots> tags{};
    std::array<std::uint32_t, kSlots> entries{};
    std::uint32_t sent_on = 0;
  };
  static_assert(sizeof(Bucket) == 64);

  /// A free place in a bucket; none: null.
  struct Slot {
    Bucket* bucket = nullptr;
    std::size_t slot = 0;
  };

  static std::uint16_t tag_of(std::uint64_t hash) noexcept;
  static unsigned slots_with(const Bucket& bucket, std::uint16_t tag) noexcept;
  [[nodiscard]] std::size_t first_bucket(std::uint64_t hash) const noexcept;
  [[nodiscard]] std::size_t second_bucket(std::uint64_t hash) const noexcept;
  /// Whether a tuple is of that entry's flow, and if so whether against its direction.
  [[nodiscard]] bool is_of(std::uint32_t index,
                           const FlowTuple& tuple,
                           bool answer,
                           bool& is_reply) const noexcept;
  [[nodiscard]] Found find_in(const Bucket& bucket, const Sought& sought) const noexcept;
  [[nodiscard]] Slot free_slot(std::uint64_t hash) noexcept;
  bool evict_from_buckets(std::uint64_t hash, std::uint64_t now_ns) noexcept;
  bool evict_anywhere(std::uint64_t now_ns) noexcept;
  bool evict_of(std::uint16_t name_space, std::uint64_t now_ns) noexcept;
  void prefetch_evictable(std::size_t index) const noexcept;
  bool move_on(Found found, Packet::Event event, std::uint64_t now_ns) noexcept;
  void end_timed_out(std::uint32_t group, std::uint64_t now_ns) noexcept;
  void end_early(std::uint32_t index, std::uint64_t now_ns) noexcept;

  // Immutable after construction.
  FlowTimeouts timeouts_;
  std::array<std::uint64_t, 4> seeds_{};
  std::size_t bucket_mask_ = 0;

  HugeVector<Bucket> buckets_;
  HugeVector<FlowEntry> entries_;
  std::vector<std::uint32_t> free_;  // A stack; its capacity never changes.
  std::uint64_t version_ = 0;
  std::uint64_t expired_ = 0;
  std::uint64_t evicted_ = 0;
  std::uint64_t looked_until_ns_ = 0;
  std::size_t evict_cursor_ = 0;
  TimerWheel wheel_;
  std::unique_ptr<FlowQuotas> quotas_;  // Last: the rest lies where it would lie without.
};

// What every packet needs, here to be inlined.

namespace conntrack_detail {
/// How a tuple differs from a flow in either direction; 0: not at all.
struct Difference {
  std::uint64_t along = 0;
  std::uint64_t against = 0;
};

/// Both at once and without a branch: which way the next packet goes is random to the processor.
inline Difference difference(const FlowTuple& flow, const FlowTuple& tuple) noexcept {
  const TupleWords a = words_of(flow);
  const TupleWords b = words_of(tuple);
  const auto differs = [](TupleWords::Address x) { return x[0] | x[1]; };
  const std::uint64_t kind = a.kind ^ b.kind;
  const std::uint64_t along = a.ports ^ b.ports;
  const std::uint64_t against = a.ports ^ std::rotl(b.ports, 16);
  return {.along = differs((a.src ^ b.src) | (a.dst ^ b.dst)) | along | kind,
          .against = differs((a.src ^ b.dst) | (a.dst ^ b.src)) | against | kind};
}

}  // namespace conntrack_detail

inline std::uint64_t Conntrack::hash(const FlowTuple& tuple) const noexcept {
  const auto end = [this](const AddressBytes& address, std::uint16_t port) {
    return mix(load64(address.data()) ^ seeds_[0], load64(address.data() + 8) ^ seeds_[1] ^ port);
  };
  const std::uint64_t a = end(tuple.src, tuple.src_port);
  const std::uint64_t b = end(tuple.dst, tuple.dst_port);
  // Both directions must meet. To sort the ends would be a branch that is random to the processor.
  return mix((a ^ b) ^ seeds_[2], (a + b) ^ seeds_[3] ^ tuple.protocol);
}

inline std::uint16_t Conntrack::tag_of(std::uint64_t hash) noexcept {
  const auto tag = static_cast<std::uint16_t>(hash >> 48U);
  return tag == 0 ? std::uint16_t{1} : tag;
}

inline std::size_t Conntrack::first_bucket(std::uint64_t hash) const noexcept {
  return hash & bucket_mask_;
}

inline std::size_t Conntrack::second_bucket(std::uint64_t hash) const noexcept {
  return (hash ^ (tag_of(hash) * std::uint64_t{0x5bd1'e995'97f4'a7c5})) & bucket_mask_;
}

inline unsigned Conntrack::slots_with(const Bucket& bucket, std::uint16_t tag) noexcept {
#if defined(__SSE2__)
  const __m128i tags = _mm_load_si128(reinterpret_cast<const __m128i*>(bucket.tags.data()));
  const __m128i equal = _mm_cmpeq_epi16(tags, _mm_set1_epi16(static_cast<std::int16_t>(tag)));
  return static_cast<unsigned>(_mm_movemask_epi8(_mm_packs_epi16(equal, _mm_setzero_si128())));
#else
  unsigned mask = 0;
  for (unsigned slot = 0; slot < kSlots; ++slot) {
    mask |= unsigned{bucket.tags[slot] == tag} << slot;
  }
  return mask;
#endif
}

// Inlined by force: gcc takes a function that only prefetches for one without effect, and drops it.
[[gnu::always_inline]] inline void Conntrack::prefetch_bucket(std::uint64_t hash) const noexcept {
  __builtin_prefetch(&buckets_[first_bucket(hash)]);
}

[[gnu::always_inline]] inline std::uint32_t Conntrack::prefetch_entries(
    std::uint64_t hash) const noexcept {
  const Bucket& bucket = buckets_[first_bucket(hash)];
  unsigned left = slots_with(bucket, tag_of(hash));
  if (left == 0) {
    if (bucket.sent_on != 0) {
      __builtin_prefetch(&buckets_[second_bucket(hash)]);
    }
    return kNoEntry;
  }
  const std::uint32_t likely = bucket.entries[__builtin_ctz(left)];
  for (; left != 0; left &= left - 1) {
    __builtin_prefetch(&entries_[bucket.entries[__builtin_ctz(left)]], 1);
  }
  return likely;
}

inline bool Conntrack::is_of(std::uint32_t index,
                             const FlowTuple& tuple,
                             bool answer,
                             bool& is_reply) const noexcept {
  const auto [along, against] = conntrack_detail::difference(entries_[index].tuple, tuple);
  // Only queries have answers, and theirs all run along.
  is_reply = (along != 0) | answer;
  return std::min(along, against | std::uint64_t{is_icmp(tuple.protocol)}) == 0;
}

inline bool Conntrack::confirm(Found& likely,
                               const FlowTuple& tuple,
                               bool answer,
                               std::uint64_t now_ns) const noexcept {
  return likely && entries_[likely.index].deadline_ns > now_ns &&
         is_of(likely.index, tuple, answer, likely.is_reply);
}

inline bool Conntrack::touch(Found found, Packet::Event event, std::uint64_t now_ns) noexcept {
  FlowEntry& entry = entries_[found.index];
  // Nearly every packet is one more of an established flow, which it leaves as it is.
  if (entry.state != FlowState::established || event != Packet::Event::data) [[unlikely]] {
    return move_on(found, event, now_ns);
  }
  entry.deadline_ns = now_ns + timeouts_.of(entry.tuple.protocol, FlowState::established);
  return false;
}

}  // namespace portcullis::dataplane
