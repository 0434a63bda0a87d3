// SPDX-License-Identifier: MIT
#include "dataplane/conntrack.h"

#include <algorithm>
#include <bit>

#include "base/check.h"
#include "dataplane/keyed_hash.h"

namespace portcullis::dataplane {
namespace {

/// 4 million entries a second: what looking for flows that timed out may take of a worker's time.
constexpr std::uint64_t kNsAnEntry = 250;
constexpr std::uint8_t kFinishedOriginal = 1;
constexpr std::uint8_t kFinishedReply = 2;

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

/// A flow that makes room for another. REQUIRES: it is one.
bool may_go(const FlowEntry& entry, std::uint64_t now_ns) {
  return is_evictable(entry.state) || entry.deadline_ns <= now_ns;
}

/// A first bucket with three free slots of eight takes a flow whatever the second has: at half load
/// one flow in twenty is sent on, and none in millions finds both buckets full. Bits are not
/// counted: without an instruction for it that is a call.
bool has_room(unsigned free) {
  const unsigned but_one = free & (free - 1);
  return (but_one & (but_one - 1)) != 0;
}

}  // namespace

Conntrack::Conntrack(const config::Conntrack& config, std::uint64_t seed)
    : timeouts_(config), wheel_((config.flows_max + kGroup - 1) / kGroup) {
  PORTCULLIS_CHECK(config.flows_max > 0 && config.flows_max < kOverQuota);
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
  if (has_quotas(config)) {
    quotas_ = std::make_unique<FlowQuotas>(entries_.size());
  }
}

Conntrack::Found Conntrack::find_in(const Bucket& bucket, const Sought& sought) const noexcept {
  for (unsigned left = slots_with(bucket, tag_of(sought.hash)); left != 0; left &= left - 1) {
    Found found{.index = bucket.entries[__builtin_ctz(left)]};
    if (is_of(found.index, sought.tuple, sought.answer, found.is_reply)) {
      return found;
    }
  }
  return {};
}

Conntrack::Found Conntrack::find(const Sought& sought, std::uint64_t now_ns) noexcept {
  const Bucket& first = buckets_[first_bucket(sought.hash)];
  Found found = find_in(first, sought);
  if (!found && first.sent_on != 0) {
    found = find_in(buckets_[second_bucket(sought.hash)], sought);
  }
  if (found && entries_[found.index].deadline_ns <= now_ns) {
    ++expired_;
    remove(found.index);
    return {};
  }
  return found;
}

Conntrack::Slot Conntrack::free_slot(std::uint64_t hash) noexcept {
  Bucket* bucket = &buckets_[first_bucket(hash)];
  unsigned free = slots_with(*bucket, 0);
  if (!has_room(free)) {
    Bucket& second = buckets_[second_bucket(hash)];
    const unsigned free_second = slots_with(second, 0);
    if (std::popcount(free_second) > std::popcount(free)) {
      bucket = &second;
      free = free_second;
    }
  }
  if (free == 0) {
    return {};
  }
  return {.bucket = bucket, .slot = static_cast<std::size_t>(std::countr_zero(free))};
}

std::uint32_t Conntrack::insert(const NewFlow& flow,
                                std::uint64_t hash,
                                std::uint64_t now_ns) noexcept {
  if (quotas_ != nullptr && quotas_->is_reached(flow.quota) &&
      !evict_of(flow.quota.name_space, now_ns)) {
    quotas_->count_refused(flow.quota.name_space);
    return kOverQuota;
  }
  Slot slot = free_slot(hash);
  if (slot.bucket == nullptr || free_.empty()) {
    // The entries of a bucket are all over memory, so it is searched only where there is no other
    // way: where it is what is full, or entries in a row are all established.
    const bool made_room = slot.bucket == nullptr
                               ? evict_from_buckets(hash, now_ns)
                               : evict_anywhere(now_ns) || evict_from_buckets(hash, now_ns);
    if (!made_room) {
      return kNoEntry;
    }
    slot = free_slot(hash);
    PORTCULLIS_CHECK(slot.bucket != nullptr);
  }
  const std::uint32_t index = free_.back();
  free_.pop_back();
  wheel_.prefetch(index / kGroup);
  ++version_;
  slot.bucket->tags[slot.slot] = tag_of(hash);
  slot.bucket->entries[slot.slot] = index;
  Bucket& first = buckets_[first_bucket(hash)];
  first.sent_on += slot.bucket == &first ? 0 : 1;
  FlowEntry& entry = entries_[index];
  entry.tuple = flow.tuple;
  entry.verdict = flow.verdict;
  entry.epoch = flow.epoch;
  store_progress(entry, begin(flow.tuple.protocol, flow.event));
  entry.deadline_ns = now_ns + timeouts_.of(flow.tuple.protocol, entry.state);
  wheel_.set(index / kGroup, entry.deadline_ns);
  if (quotas_ != nullptr) {
    quotas_->charge(index, flow.quota);
  }
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
        Bucket& first = buckets_[first_bucket(h)];
        first.sent_on -= &bucket == &first ? 0 : 1;
        entry.state = FlowState::none;
        entry.deadline_ns = 0;  // So that find() never takes it for a live one.
        free_.push_back(index);
        ++version_;
        if (quotas_ != nullptr) {
          quotas_->release(index);
        }
        return;
      }
    }
  }
  PORTCULLIS_CHECK(false && "an entry is in one of its buckets");
}

/// As touch(). Only a new state may bring the deadline nearer.
bool Conntrack::move_on(Found found, Packet::Event event, std::uint64_t now_ns) noexcept {
  FlowEntry& entry = entries_[found.index];
  const std::uint8_t protocol = entry.tuple.protocol;
  const bool is_reset =
      event == Packet::Event::abort && is_connected(protocol) && entry.state != FlowState::closing;
  store_progress(entry, advance(load_progress(entry), protocol, event, found.is_reply));
  entry.deadline_ns = now_ns + timeouts_.of(protocol, entry.state);
  wheel_.set(found.index / kGroup, entry.deadline_ns);
  return is_reset;
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
      if (may_go(entry, now_ns) &&
          (oldest == kNoEntry || entry.deadline_ns < entries_[oldest].deadline_ns)) {
        oldest = index;
      }
    }
  }
  if (oldest != kNoEntry) {
    end_early(oldest, now_ns);
  }
  return oldest != kNoEntry;
}

/// Where nearly all are established the search finds nothing, and goes on there the next time.
bool Conntrack::evict_of(std::uint16_t name_space, std::uint64_t now_ns) noexcept {
  const std::size_t steps = std::min(kQuotaSearchMax, quotas_->flows(name_space));
  for (std::size_t step = 0; step < steps; ++step) {
    const std::uint32_t index = quotas_->head(name_space);
    if (may_go(entries_[index], now_ns)) {
      end_early(index, now_ns);
      return true;
    }
    quotas_->turn(name_space);
  }
  return false;
}

/// What ending this entry will touch, and the entries behind it: under a flood each new flow ends
/// one, and its bucket may be anywhere.
[[gnu::always_inline]] inline void Conntrack::prefetch_evictable(std::size_t index) const noexcept {
  if (index + kEvictAhead >= entries_.size()) {
    return;
  }
  __builtin_prefetch(&entries_[index + kEvictAhead], 1);
  if (is_evictable(entries_[index].state)) {
    prefetch_bucket(hash(entries_[index].tuple));
  }
}

bool Conntrack::evict_anywhere(std::uint64_t now_ns) noexcept {
  const std::size_t steps = std::min(kEvictSearchMax, entries_.size());
  for (std::size_t step = 0; step < steps; ++step) {
    prefetch_evictable(evict_cursor_ + kEvictAhead);
    const auto index = static_cast<std::uint32_t>(evict_cursor_);
    evict_cursor_ = evict_cursor_ + 1 == entries_.size() ? 0 : evict_cursor_ + 1;
    const FlowEntry& entry = entries_[index];
    if (entry.state != FlowState::none && may_go(entry, now_ns)) {
      end_early(index, now_ns);
      return true;
    }
  }
  return false;
}

void Conntrack::end_timed_out(std::uint32_t group, std::uint64_t now_ns) noexcept {
  const std::size_t begin = std::size_t{group} * kGroup;
  const std::size_t end = std::min(begin + kGroup, entries_.size());
  std::uint64_t first_deadline_ns = 0;  // Of those that are left; 0: none is.
  for (std::size_t index = begin; index < end; ++index) {
    const FlowEntry& entry = entries_[index];
    if (entry.state == FlowState::none) {
      continue;
    }
    if (entry.deadline_ns <= now_ns) {
      ++expired_;
      remove(static_cast<std::uint32_t>(index));
    } else if (first_deadline_ns == 0 || entry.deadline_ns < first_deadline_ns) {
      first_deadline_ns = entry.deadline_ns;
    }
  }
  if (first_deadline_ns != 0) {
    wheel_.set(group, first_deadline_ns);
  }
}

void Conntrack::expire(std::uint64_t now_ns) noexcept {
  const std::uint64_t elapsed = now_ns - std::min(now_ns, looked_until_ns_);
  std::uint64_t groups = std::min(elapsed / (kNsAnEntry * kGroup), kExpireMax / kGroup);
  if (groups == 0) {
    return;  // The time not used adds up for the next call.
  }
  looked_until_ns_ = now_ns;
  for (; groups > 0; --groups) {
    const std::uint32_t group = wheel_.take_due(now_ns);
    if (group == TimerWheel::kNone) {
      return;
    }
    end_timed_out(group, now_ns);
  }
}

}  // namespace portcullis::dataplane
