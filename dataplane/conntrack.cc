// SPDX-License-Identifier: MIT
#include "dataplane/conntrack.h"

#include <algorithm>
#include <bit>

#include "base/check.h"
#include "dataplane/keyed_hash.h"

namespace portcullis::dataplane {
namespace {

constexpr std::uint64_t kSweepNs = 1'000'000'000;
constexpr std::uint8_t kFinishedOriginal = 1;
constexpr std::uint8_t kFinishedReply = 2;

bool runs_against(const FlowTuple& flow, const FlowTuple& tuple) {
  return flow.src == tuple.dst && flow.dst == tuple.src && flow.src_port == tuple.dst_port &&
         flow.dst_port == tuple.src_port && flow.protocol == tuple.protocol &&
         flow.family == tuple.family && !is_icmp(tuple.protocol);
}

void store_progress(FlowEntry& entry, const FlowProgress& progress) {
  entry.state = progress.state;
  entry.finished = static_cast<std::uint8_t>((progress.finished_original ? kFinishedOriginal : 0) |
                                             (progress.finished_reply ? kFinishedReply : 0));
}

FlowProgress load_progress(const FlowEntry& entry) {
  return {.state = entry.state,
          .finished_original = (entry.finished & kFinishedOriginal) != 0,
          .finished_reply = (entry.finished & kFinishedReply) != 0};
}

}  // namespace

Conntrack::Conntrack(const config::Conntrack& config, std::uint64_t seed) : timeouts_(config) {
  PORTCULLIS_CHECK(config.flows_max > 0 && config.flows_max < kNoEntry);
  for (std::uint64_t& key : seeds_) {
    key = next_seed(seed);
  }
  entries_.resize(config.flows_max);
  // Twice as many slots as flows.
  const std::size_t buckets = std::bit_ceil((entries_.size() * 2 + kSlots - 1) / kSlots);
  buckets_.resize(buckets);
  bucket_mask_ = buckets - 1;
  free_.reserve(entries_.size());
  for (std::size_t i = entries_.size(); i > 0; --i) {
    free_.push_back(static_cast<std::uint32_t>(i - 1));
  }
}

std::uint64_t Conntrack::hash(const FlowTuple& tuple) const noexcept {
  const auto end = [this](const AddressBytes& address, std::uint16_t port) {
    return mix(load64(address.data()) ^ seeds_[0], load64(address.data() + 8) ^ seeds_[1] ^ port);
  };
  const std::uint64_t a = end(tuple.src, tuple.src_port);
  const std::uint64_t b = end(tuple.dst, tuple.dst_port);
  // Both directions must meet: the greater end is always the second.
  return mix(std::min(a, b) ^ seeds_[2], std::max(a, b) ^ seeds_[3] ^ tuple.protocol);
}

std::uint16_t Conntrack::tag_of(std::uint64_t hash) noexcept {
  const auto tag = static_cast<std::uint16_t>(hash >> 48U);
  return tag == 0 ? std::uint16_t{1} : tag;
}

std::size_t Conntrack::first_bucket(std::uint64_t hash) const noexcept {
  return hash & bucket_mask_;
}

std::size_t Conntrack::second_bucket(std::uint64_t hash) const noexcept {
  return (hash ^ (tag_of(hash) * std::uint64_t{0x5bd1'e995'97f4'a7c5})) & bucket_mask_;
}

unsigned Conntrack::slots_with(const Bucket& bucket, std::uint16_t tag) noexcept {
  unsigned mask = 0;
  for (unsigned slot = 0; slot < kSlots; ++slot) {
    mask |= unsigned{bucket.tags[slot] == tag} << slot;
  }
  return mask;
}

void Conntrack::prefetch_buckets(std::uint64_t hash) const noexcept {
  __builtin_prefetch(&buckets_[first_bucket(hash)]);
  __builtin_prefetch(&buckets_[second_bucket(hash)]);
}

void Conntrack::prefetch_entries(std::uint64_t hash) const noexcept {
  for (const std::size_t b : {first_bucket(hash), second_bucket(hash)}) {
    const Bucket& bucket = buckets_[b];
    for (unsigned left = slots_with(bucket, tag_of(hash)); left != 0; left &= left - 1) {
      __builtin_prefetch(&entries_[bucket.entries[std::countr_zero(left)]], 1);
    }
  }
}

Conntrack::Found Conntrack::find(const FlowTuple& tuple,
                                 bool answer,
                                 std::uint64_t hash,
                                 std::uint64_t now_ns) noexcept {
  for (const std::size_t b : {first_bucket(hash), second_bucket(hash)}) {
    const Bucket& bucket = buckets_[b];
    for (unsigned left = slots_with(bucket, tag_of(hash)); left != 0; left &= left - 1) {
      const std::uint32_t index = bucket.entries[std::countr_zero(left)];
      const FlowEntry& candidate = entries_[index];
      const bool along = candidate.tuple == tuple;
      if (!along && !runs_against(candidate.tuple, tuple)) {
        continue;
      }
      if (candidate.deadline_ns <= now_ns) {
        ++expired_;
        remove(index);
        return {};
      }
      return {.index = index, .is_reply = is_icmp(tuple.protocol) ? answer : !along};
    }
  }
  return {};
}

Conntrack::Slot Conntrack::free_slot(std::uint64_t hash) noexcept {
  Bucket& first = buckets_[first_bucket(hash)];
  Bucket& second = buckets_[second_bucket(hash)];
  const unsigned free_first = slots_with(first, 0);
  const unsigned free_second = slots_with(second, 0);
  const bool take_first = std::popcount(free_first) >= std::popcount(free_second);
  const unsigned free = take_first ? free_first : free_second;
  if (free == 0) {
    return {};
  }
  return {.bucket = take_first ? &first : &second,
          .slot = static_cast<std::size_t>(std::countr_zero(free))};
}

std::uint32_t Conntrack::insert(const NewFlow& flow,
                                std::uint64_t hash,
                                std::uint64_t now_ns) noexcept {
  Slot slot = free_slot(hash);
  if (slot.bucket == nullptr || free_.empty()) {
    // Room must be made in these very buckets only where they are what is full.
    if (!evict_from_buckets(hash, now_ns) && (slot.bucket == nullptr || !evict_anywhere(now_ns))) {
      return kNoEntry;
    }
    slot = free_slot(hash);
  }
  const std::uint32_t index = free_.back();
  free_.pop_back();
  ++version_;
  slot.bucket->tags[slot.slot] = tag_of(hash);
  slot.bucket->entries[slot.slot] = index;
  FlowEntry& entry = entries_[index];
  entry.tuple = flow.tuple;
  entry.verdict = flow.verdict;
  entry.epoch = flow.epoch;
  store_progress(entry, begin(flow.tuple.protocol, flow.event));
  entry.deadline_ns = now_ns + timeouts_.of(flow.tuple.protocol, entry.state);
  return index;
}

void Conntrack::remove(std::uint32_t index) noexcept {
  FlowEntry& entry = entries_[index];
  const std::uint64_t h = hash(entry.tuple);
  for (const std::size_t b : {first_bucket(h), second_bucket(h)}) {
    Bucket& bucket = buckets_[b];
    for (unsigned left = slots_with(bucket, tag_of(h)); left != 0; left &= left - 1) {
      const auto slot = static_cast<std::size_t>(std::countr_zero(left));
      if (bucket.entries[slot] == index) {
        bucket.tags[slot] = 0;
        entry.state = FlowState::none;
        free_.push_back(index);
        ++version_;
        return;
      }
    }
  }
  PORTCULLIS_CHECK(false && "an entry is in one of its buckets");
}

void Conntrack::touch(Found found, Packet::Event event, std::uint64_t now_ns) noexcept {
  FlowEntry& entry = entries_[found.index];
  const std::uint8_t protocol = entry.tuple.protocol;
  store_progress(entry, advance(load_progress(entry), protocol, event, found.is_reply));
  entry.deadline_ns = now_ns + timeouts_.of(protocol, entry.state);
}

void Conntrack::end_early(std::uint32_t index, std::uint64_t now_ns) noexcept {
  ++(entries_[index].deadline_ns <= now_ns ? expired_ : evicted_);
  remove(index);
}

bool Conntrack::evict_from_buckets(std::uint64_t hash, std::uint64_t now_ns) noexcept {
  std::uint32_t oldest = kNoEntry;
  for (const std::size_t b : {first_bucket(hash), second_bucket(hash)}) {
    const Bucket& bucket = buckets_[b];
    for (std::size_t slot = 0; slot < kSlots; ++slot) {
      if (bucket.tags[slot] == 0) {
        continue;
      }
      const std::uint32_t index = bucket.entries[slot];
      const FlowEntry& entry = entries_[index];
      const bool may_go = is_evictable(entry.state) || entry.deadline_ns <= now_ns;
      if (may_go && (oldest == kNoEntry || entry.deadline_ns < entries_[oldest].deadline_ns)) {
        oldest = index;
      }
    }
  }
  if (oldest != kNoEntry) {
    end_early(oldest, now_ns);
  }
  return oldest != kNoEntry;
}

bool Conntrack::evict_anywhere(std::uint64_t now_ns) noexcept {
  const std::size_t steps = std::min(kEvictSearchMax, entries_.size());
  for (std::size_t step = 0; step < steps; ++step) {
    const auto index = static_cast<std::uint32_t>(evict_cursor_);
    evict_cursor_ = evict_cursor_ + 1 == entries_.size() ? 0 : evict_cursor_ + 1;
    const FlowEntry& entry = entries_[index];
    if (is_evictable(entry.state) ||
        (entry.state != FlowState::none && entry.deadline_ns <= now_ns)) {
      end_early(index, now_ns);
      return true;
    }
  }
  return false;
}

void Conntrack::expire(std::uint64_t now_ns) noexcept {
  const std::uint64_t elapsed = now_ns - std::min(now_ns, expired_until_ns_);
  std::size_t due = entries_.size();
  if (elapsed < kSweepNs) {
    due = elapsed * entries_.size() / kSweepNs;
  }
  if (due == 0) {
    return;  // The time not used adds up for the next call.
  }
  expired_until_ns_ = now_ns;
  for (due = std::min(due, kExpireMax); due > 0; --due) {
    const FlowEntry& entry = entries_[expire_cursor_];
    if (entry.state != FlowState::none && entry.deadline_ns <= now_ns) {
      ++expired_;
      remove(static_cast<std::uint32_t>(expire_cursor_));
    }
    expire_cursor_ = expire_cursor_ + 1 == entries_.size() ? 0 : expire_cursor_ + 1;
  }
}

}  // namespace portcullis::dataplane
