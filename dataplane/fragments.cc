// SPDX-License-Identifier: MIT
#include "dataplane/fragments.h"

#include <algorithm>

#include "base/check.h"
#include "dataplane/keyed_hash.h"

namespace portcullis::dataplane {
namespace {

Outcome dropped(DropReason reason) {
  return {.action = Outcome::Action::drop, .reason = reason};
}

/// The same fate for another fragment, which was not judged itself.
Outcome shared(Outcome outcome, std::uint16_t l3_offset) {
  outcome.judged = false;
  outcome.l3_offset = l3_offset;
  return outcome;
}

std::uint64_t life_ns(Family family) {
  return family == Family::v4 ? kDatagramLifeNs4 : kDatagramLifeNs6;
}

}  // namespace

Fragments::Fragments(std::uint64_t seed, std::size_t held_max) : held_max_(held_max) {
  static_assert(limits::kDatagramsMax < kNone && kHeldSlots < kNone);
  PORTCULLIS_CHECK(held_max > 0 && held_max <= limits::kFragmentsHeldMax);
  for (std::uint64_t& key : seeds_) {
    key = next_seed(seed);
  }
  datagrams_.resize(limits::kDatagramsMax);
  slots_.resize(kHeldSlots);
  released_.resize(kHeldSlots);
  buckets_.assign(kBuckets, kNone);
  for (std::size_t i = datagrams_.size(); i > 0; --i) {
    free_.push_back(static_cast<Index>(i - 1));
  }
  for (std::size_t i = slots_.size(); i > 0; --i) {
    free_slots_.push_back(static_cast<HeldSlot>(i - 1));
  }
}

void Fragments::begin() noexcept {
  for (const Released& one : released()) {
    free_slots_.push_back(one.slot);
  }
  released_count_ = 0;
}

Fragments::Seen Fragments::see(const DatagramKey& key,
                               PortIndex port,
                               const Fragment& fragment,
                               std::uint16_t l3_offset,
                               std::uint64_t now_ns) noexcept {
  Index index = find(key, port);
  if (index != kNone && datagrams_[index].deadline_ns <= now_ns) {
    end(index, DropReason::first_fragment_missing);
    index = kNone;
  }
  if (index == kNone) {
    index = open(key, port, now_ns);
  }
  Datagram& datagram = datagrams_[index];
  if (datagram.stage != Stage::broken) {
    const DropReason wrong = note(datagram, fragment);
    if (wrong != DropReason::none) {
      break_off(index, wrong, now_ns);
    }
  }
  if (datagram.stage == Stage::waiting) {
    return fragment.is_first() ? Seen{.next = Next::judge, .datagram = index}
                               : hold(index, l3_offset);
  }
  if (datagram.fate.action == Outcome::Action::forward) {
    return {.next = Next::follow, .datagram = index};
  }
  const Seen seen{.outcome = shared(datagram.fate, l3_offset)};
  follow(index, seen.outcome);
  return seen;
}

void Fragments::decide(Index index,
                       const Packet& first,
                       const Outcome& outcome,
                       std::uint64_t now_ns) noexcept {
  Datagram& datagram = datagrams_[index];
  datagram.first = first;
  datagram.fate = outcome;
  release(datagram, outcome);
  leave_waiting(index, Stage::decided, now_ns);
  follow(index, outcome);
}

void Fragments::follow(Index index, const Outcome& outcome) noexcept {
  Datagram& datagram = datagrams_[index];
  if (outcome.action == Outcome::Action::drop) {
    datagram.fate = outcome;
  }
  if (is_complete(datagram)) {
    end(index, DropReason::none);  // Nothing waits any more. Its identification may come again.
  }
}

/// Notes what a fragment holds. Returns what is wrong with the datagram now, or none.
DropReason Fragments::note(Datagram& datagram, const Fragment& fragment) noexcept {
  const auto begin = static_cast<std::uint16_t>(fragment.begin);
  const auto end = static_cast<std::uint16_t>(fragment.end);
  Stretch* const all = datagram.stretches.data();
  const std::size_t count = datagram.stretches_count;
  std::size_t at = 0;  // Of the first stretch that begins behind this fragment's beginning.
  while (at < count && all[at].begin < begin) {
    ++at;
  }
  const bool overlaps = (at > 0 && all[at - 1].end > begin) || (at < count && all[at].begin < end);
  // A second last fragment, one behind the last one, or a last one ahead of others.
  const bool contradicts =
      fragment.more ? datagram.end != 0 && end > datagram.end : datagram.end != 0 || at < count;
  if (overlaps || contradicts) {
    return DropReason::fragment_overlap;
  }
  const bool joins_before = at > 0 && all[at - 1].end == begin;
  const bool joins_behind = at < count && all[at].begin == end;
  if (joins_before && joins_behind) {
    all[at - 1].end = all[at].end;
    std::copy(all + at + 1, all + count, all + at);
    --datagram.stretches_count;
  } else if (joins_before) {
    all[at - 1].end = end;
  } else if (joins_behind) {
    all[at].begin = begin;
  } else if (count == datagram.stretches.size()) {
    return DropReason::fragments_full;
  } else {
    std::copy_backward(all + at, all + count, all + count + 1);
    all[at] = {.begin = begin, .end = end};
    ++datagram.stretches_count;
  }
  datagram.end = fragment.more ? datagram.end : end;
  return DropReason::none;
}

bool Fragments::is_complete(const Datagram& datagram) noexcept {
  const Stretch& whole = datagram.stretches[0];
  return datagram.stage == Stage::decided && datagram.stretches_count == 1 && whole.begin == 0 &&
         whole.end == datagram.end;
}

/// The datagram that waits the longest makes room, for else a handful of strays a second could
/// keep all others from waiting.
Fragments::Seen Fragments::hold(Index index, std::uint16_t l3_offset) noexcept {
  if (held_ == held_max_) {
    const Index oldest = waiting_.front;
    end(oldest, DropReason::fragments_full);
    if (oldest == index) {
      return {.outcome = shared(dropped(DropReason::fragments_full), l3_offset)};
    }
  }
  const HeldSlot slot = free_slots_.back();
  free_slots_.pop_back();
  slots_[slot] = {.l3_offset = l3_offset};
  Datagram& datagram = datagrams_[index];
  if (datagram.held_first == kNone) {
    datagram.held_first = slot;
  } else {
    slots_[datagram.held_last].next = slot;
  }
  datagram.held_last = slot;
  ++held_;
  return {.outcome = {.action = Outcome::Action::hold,
                      .reason = DropReason::none,
                      .l3_offset = l3_offset,
                      .held_slot = slot}};
}

void Fragments::break_off(Index index, DropReason reason, std::uint64_t now_ns) noexcept {
  Datagram& datagram = datagrams_[index];
  datagram.fate = dropped(reason);
  release(datagram, datagram.fate);
  if (datagram.stage == Stage::waiting) {
    leave_waiting(index, Stage::broken, now_ns);
  }
  datagram.stage = Stage::broken;
}

/// What is left of a datagram's life begins, so that queues stay in order of their deadlines.
void Fragments::leave_waiting(Index index, Stage stage, std::uint64_t now_ns) noexcept {
  Datagram& datagram = datagrams_[index];
  unlink(waiting_, index);
  datagram.stage = stage;
  datagram.deadline_ns = now_ns + life_ns(datagram.key.family) - kFragmentWaitNs;
  append(queue_of(datagram), index);
}

void Fragments::release(Datagram& datagram, const Outcome& outcome) noexcept {
  for (HeldSlot slot = datagram.held_first; slot != kNone; slot = slots_[slot].next) {
    released_[released_count_++] = {slot, shared(outcome, slots_[slot].l3_offset)};
    --held_;
  }
  datagram.held_first = datagram.held_last = kNone;
}

void Fragments::expire(std::uint64_t now_ns) noexcept {
  for (Queue* queue : {&waiting_, &decided4_, &decided6_}) {
    for (std::size_t i = 0; i < kExpireMax && queue->front != kNone; ++i) {
      if (datagrams_[queue->front].deadline_ns > now_ns) {
        break;
      }
      end(queue->front, DropReason::first_fragment_missing);
    }
  }
}

void Fragments::release_all() noexcept {
  while (waiting_.front != kNone) {
    end(waiting_.front, DropReason::first_fragment_missing);
  }
}

// --- Which datagram --------------------------------------------------------------------------

std::size_t Fragments::bucket_of(const DatagramKey& key, PortIndex port) const noexcept {
  const std::uint64_t src =
      mix(load64(key.src.data()) ^ seeds_[0], load64(key.src.data() + 8) ^ seeds_[1]);
  const std::uint64_t dst =
      mix(load64(key.dst.data()) ^ seeds_[1], load64(key.dst.data() + 8) ^ seeds_[2]);
  const std::uint64_t rest = std::uint64_t{key.id} << 32U | std::uint64_t{port} << 16U |
                             std::uint64_t{key.protocol} << 8U |
                             static_cast<std::uint64_t>(key.family);
  return mix(mix(src, dst ^ seeds_[2]) ^ seeds_[3], rest ^ seeds_[0]) % kBuckets;
}

Fragments::Index Fragments::find(const DatagramKey& key, PortIndex port) const noexcept {
  Index index = buckets_[bucket_of(key, port)];
  while (index != kNone && (datagrams_[index].key != key || datagrams_[index].port != port)) {
    index = datagrams_[index].chained;
  }
  return index;
}

Fragments::Index Fragments::open(const DatagramKey& key,
                                 PortIndex port,
                                 std::uint64_t now_ns) noexcept {
  if (free_.empty()) {
    make_room();
  }
  const Index index = free_.back();
  free_.pop_back();
  Index& bucket = buckets_[bucket_of(key, port)];
  Datagram& datagram = datagrams_[index];
  datagram.key = key;
  datagram.port = port;
  datagram.stage = Stage::waiting;
  datagram.stretches_count = 0;
  datagram.end = 0;
  datagram.chained = bucket;
  datagram.deadline_ns = now_ns + kFragmentWaitNs;
  bucket = index;
  append(waiting_, index);
  return index;
}

void Fragments::end(Index index, DropReason reason) noexcept {
  Datagram& datagram = datagrams_[index];
  release(datagram, dropped(reason));
  unlink(queue_of(datagram), index);
  Index* link = &buckets_[bucket_of(datagram.key, datagram.port)];
  while (*link != index) {
    link = &datagrams_[*link].chained;
  }
  *link = datagram.chained;
  free_.push_back(index);
}

/// Whoever floods us with datagrams of one sort pushes out that sort: the longest queue gives.
void Fragments::make_room() noexcept {
  const Queue& longer = decided4_.count > decided6_.count ? decided4_ : decided6_;
  end((waiting_.count > longer.count ? waiting_ : longer).front, DropReason::fragments_full);
}

Fragments::Queue& Fragments::queue_of(const Datagram& datagram) noexcept {
  if (datagram.stage == Stage::waiting) {
    return waiting_;
  }
  return datagram.key.family == Family::v4 ? decided4_ : decided6_;
}

void Fragments::append(Queue& queue, Index index) noexcept {
  Datagram& datagram = datagrams_[index];
  datagram.before = queue.back;
  datagram.behind = kNone;
  (queue.back == kNone ? queue.front : datagrams_[queue.back].behind) = index;
  queue.back = index;
  ++queue.count;
}

void Fragments::unlink(Queue& queue, Index index) noexcept {
  const Datagram& datagram = datagrams_[index];
  (datagram.before == kNone ? queue.front : datagrams_[datagram.before].behind) = datagram.behind;
  (datagram.behind == kNone ? queue.back : datagrams_[datagram.behind].before) = datagram.before;
  --queue.count;
}

}  // namespace portcullis::dataplane
