// SPDX-License-Identifier: MIT
#include "dataplane/dpdk/neighbour_table.h"

#include <algorithm>
#include <bit>
#include <functional>
#include <utility>

#include "base/check.h"

namespace portcullis::dataplane {

using State = NeighbourTable::Neighbour::State;

NeighbourTable::NeighbourTable(std::size_t permanent_max)
    : neighbours_(permanent_max + limits::kNeighboursMax),
      buckets_(std::bit_ceil(neighbours_.size()), kNoNeighbour),
      held_(limits::kHeldMax) {
  PORTCULLIS_CHECK(neighbours_.size() < kNoNeighbour);
  free_held_.reserve(held_.size());
  for (std::size_t i = 0; i < held_.size(); ++i) {
    free_held_.push_back(static_cast<std::uint16_t>(i));
  }
}

std::size_t NeighbourTable::bucket(const IpAddress& address) const noexcept {
  return std::hash<IpAddress>{}(address) & (buckets_.size() - 1);
}

NeighbourIndex NeighbourTable::find(const IpAddress& address) const noexcept {
  NeighbourIndex index = buckets_[bucket(address)];
  while (index != kNoNeighbour && neighbours_[index].address != address) {
    index = neighbours_[index].next;
  }
  return index;
}

void NeighbourTable::add_permanent(const IpAddress& address, PortIndex port) {
  PORTCULLIS_CHECK(find(address) == kNoNeighbour);
  const NeighbourIndex index = add(address, port, 0);
  PORTCULLIS_CHECK(index != kNoNeighbour);
  neighbours_[index].permanent = true;
  neighbours_[index].state = State::asking;  // Due at once.
}

NeighbourIndex NeighbourTable::add(const IpAddress& address,
                                   PortIndex port,
                                   std::uint64_t now_ns) noexcept {
  const NeighbourIndex index = take_slot();
  if (index == kNoNeighbour) {
    return kNoNeighbour;
  }
  NeighbourIndex& head = buckets_[bucket(address)];
  neighbours_[index] = {
      .state = State::absent, .port = port, .address = address, .next = head, .used_ns = now_ns};
  head = index;
  return index;
}

NeighbourIndex NeighbourTable::take_slot() noexcept {
  NeighbourIndex oldest = kNoNeighbour;
  for (NeighbourIndex i = 0; i < neighbours_.size(); ++i) {
    const Neighbour& candidate = neighbours_[i];
    if (candidate.state == State::unused) {
      size_ = std::max(size_, static_cast<NeighbourIndex>(i + 1));
      return i;
    }
    if (candidate.permanent || candidate.held > 0) {
      continue;
    }
    const auto worth = [](const Neighbour& n) { return std::pair(n.resolved(), n.used_ns); };
    if (oldest == kNoNeighbour || worth(candidate) < worth(neighbours_[oldest])) {
      oldest = i;
    }
  }
  if (oldest != kNoNeighbour) {
    forget(oldest);
  }
  return oldest;
}

void NeighbourTable::forget(NeighbourIndex index) noexcept {
  NeighbourIndex* link = &buckets_[bucket(neighbours_[index].address)];
  while (*link != index) {
    link = &neighbours_[*link].next;
  }
  *link = neighbours_[index].next;
  neighbours_[index] = {};
}

void NeighbourTable::withdraw(NeighbourIndex index, PortIndex port, std::uint64_t now_ns) noexcept {
  Neighbour& neighbour = neighbours_[index];
  neighbour.state = State::withdrawn;
  neighbour.permanent = false;
  neighbour.port = port;
  neighbour.due_ns = now_ns + kWithdrawnNs;
}

void NeighbourTable::learn(NeighbourIndex index,
                           const MacAddress& mac,
                           std::uint64_t now_ns) noexcept {
  Neighbour& neighbour = neighbours_[index];
  if (neighbour.state == State::withdrawn) {
    return;
  }
  neighbour.mac = mac;
  neighbour.state = State::known;
  neighbour.asked = 0;
  neighbour.due_ns = now_ns + kConfirmIntervalNs;
}

bool NeighbourTable::hold(NeighbourIndex index,
                          const Parcel& parcel,
                          std::uint64_t now_ns) noexcept {
  Neighbour& neighbour = neighbours_[index];
  if (neighbour.held == limits::kHeldPerNeighbourMax || free_held_.empty()) {
    return false;
  }
  const std::uint16_t slot = free_held_.back();
  free_held_.pop_back();
  held_[slot] = {.parcel = parcel};
  if (neighbour.held == 0) {
    neighbour.held_first = slot;
    neighbour.asked = 0;  // The first packet to wait gets the whole patience.
  } else {
    held_[neighbour.held_last].next = slot;
  }
  neighbour.held_last = slot;
  ++neighbour.held;
  neighbour.used_ns = now_ns;
  if (neighbour.state == State::absent) {
    neighbour.state = State::asking;
    neighbour.due_ns = now_ns;
  }
  return true;
}

std::optional<Parcel> NeighbourTable::take_held(NeighbourIndex index) noexcept {
  Neighbour& neighbour = neighbours_[index];
  if (neighbour.held == 0) {
    return std::nullopt;
  }
  const std::uint16_t slot = neighbour.held_first;
  neighbour.held_first = held_[slot].next;
  --neighbour.held;
  free_held_.push_back(slot);
  return held_[slot].parcel;
}

NeighbourTable::Due NeighbourTable::ask(Neighbour& neighbour,
                                        std::uint64_t now_ns,
                                        std::uint64_t interval_ns) noexcept {
  ++neighbour.asked;
  neighbour.due_ns = now_ns + interval_ns;
  return Due::solicit;
}

NeighbourTable::Due NeighbourTable::advance(NeighbourIndex index, std::uint64_t now_ns) noexcept {
  Neighbour& neighbour = neighbours_[index];
  if (neighbour.due_ns > now_ns) {
    return Due::nothing;
  }
  switch (neighbour.state) {
    case State::unused:
      return Due::nothing;
    case State::absent:
      if (!neighbour.permanent) {
        return Due::nothing;
      }
      return ask(neighbour, now_ns, kAbsentIntervalNs);
    case State::asking:
      if (neighbour.asked < kSolicitationsMax) {
        return ask(neighbour, now_ns, kSolicitationIntervalNs);
      }
      neighbour.state = State::absent;
      neighbour.asked = 0;
      neighbour.due_ns = now_ns + kAbsentIntervalNs;
      return Due::give_up;
    case State::known:
      if (!neighbour.permanent && neighbour.used_ns + kConfirmIntervalNs < now_ns) {
        forget(index);  // Nobody wants it any more.
        return Due::nothing;
      }
      neighbour.state = State::confirming;
      return ask(neighbour, now_ns, kSolicitationIntervalNs);
    case State::confirming:
      if (neighbour.asked < kSolicitationsMax) {
        return ask(neighbour, now_ns, kSolicitationIntervalNs);
      }
      neighbour.state = State::absent;
      neighbour.asked = 0;
      return Due::nothing;
    case State::withdrawn:
      forget(index);
      return Due::nothing;
  }
  return Due::nothing;
}

}  // namespace portcullis::dataplane
