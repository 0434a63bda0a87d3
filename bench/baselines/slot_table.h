// SPDX-License-Identifier: MIT
// A hash table with linear probing, at most half full, as the rivals use it.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <utility>

#include "base/huge_pages.h"

namespace portcullis::bench {

/// Spreads 64 bits over the upper ones, which choose the slot.
constexpr std::uint64_t spread(std::uint64_t bits) {
  bits ^= bits >> 32U;
  bits *= 0x9e37'79b9'7f4a'7c15U;
  bits ^= bits >> 29U;
  return bits * 0xbf58'476d'1ce4'e5b9U;
}

/// Slot: used(), hash(), same_key(const Slot&); a default one is unused.
template <typename Slot>
class SlotTable {
 public:
  SlotTable() : slots_(2) {}

  /// The slot of this key, put in as given if it was not there. Valid until the next insert.
  Slot& insert(const Slot& slot) {
    if ((count_ + 1) * 2 > slots_.size()) {
      grow();
    }
    Slot& place = slots_[place_of(slot)];
    if (!place.used()) {
      place = slot;
      ++count_;
    }
    return place;
  }
  /// Null: no such key.
  [[nodiscard]] const Slot* find(const Slot& key) const {
    const Slot& place = slots_[place_of(key)];
    return place.used() ? &place : nullptr;
  }
  [[nodiscard]] std::size_t size() const { return count_; }
  [[nodiscard]] std::size_t bytes() const { return slots_.size() * sizeof(Slot); }

 private:
  [[nodiscard]] std::size_t place_of(const Slot& key) const {
    const std::size_t mask = slots_.size() - 1;
    std::size_t place = key.hash() >> (64U - static_cast<unsigned>(std::countr_zero(mask + 1)));
    while (slots_[place].used() && !slots_[place].same_key(key)) {
      place = (place + 1) & mask;
    }
    return place;
  }
  void grow() {
    HugeVector<Slot> old(slots_.size() * 2);
    std::swap(old, slots_);
    for (const Slot& slot : old) {
      if (slot.used()) {
        slots_[place_of(slot)] = slot;
      }
    }
  }

  HugeVector<Slot> slots_;  // A power of two.
  std::size_t count_ = 0;
};

}  // namespace portcullis::bench
