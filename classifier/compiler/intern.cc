// SPDX-License-Identifier: MIT
#include "classifier/compiler/intern.h"

#include <algorithm>
#include <limits>

#include "base/check.h"

namespace portcullis::classifier {
namespace {

constexpr std::size_t kSlotsAtStart = 64;

}  // namespace

Intern::Intern() : slots_(kSlotsAtStart) {}

std::uint64_t Intern::hash_of(std::span<const std::uint32_t> run) {
  std::uint64_t hash = 0x243f'6a88'85a3'08d3ULL ^ run.size();
  for (const std::uint32_t word : run) {
    hash = (hash ^ word) * 0x9e37'79b9'7f4a'7c15ULL;
    hash ^= hash >> 32U;
  }
  return hash;
}

void Intern::clear() {
  words_.clear();
  std::ranges::fill(slots_, Slot{});
  used_ = 0;
}

std::uint32_t Intern::place(std::span<const std::uint32_t> run, std::uint64_t hash) {
  if (run.empty()) {
    found_ = true;
    return 0;
  }
  std::size_t slot = hash & (slots_.size() - 1);
  while (slots_[slot].length != 0) {
    if (holds(slots_[slot], hash, run)) {
      found_ = true;
      return slots_[slot].begin;
    }
    slot = (slot + 1) & (slots_.size() - 1);
  }
  found_ = false;
  PORTCULLIS_CHECK(words_.size() + run.size() <= std::numeric_limits<std::uint32_t>::max());
  const auto begin = static_cast<std::uint32_t>(words_.size());
  slots_[slot] = {.hash = hash, .begin = begin, .length = static_cast<std::uint32_t>(run.size())};
  words_.insert(words_.end(), run.begin(), run.end());
  if (++used_ * 2 > slots_.size()) {
    grow();
  }
  return begin;
}

bool Intern::holds(const Slot& slot, std::uint64_t hash, std::span<const std::uint32_t> run) const {
  return slot.hash == hash && slot.length == run.size() &&
         std::equal(run.begin(), run.end(), words_.begin() + slot.begin);
}

void Intern::grow() {
  std::vector<Slot> wider(slots_.size() * 2);
  for (const Slot& slot : slots_) {
    if (slot.length != 0) {
      std::size_t at = slot.hash & (wider.size() - 1);
      while (wider[at].length != 0) {
        at = (at + 1) & (wider.size() - 1);
      }
      wider[at] = slot;
    }
  }
  slots_ = std::move(wider);
}

}  // namespace portcullis::classifier
