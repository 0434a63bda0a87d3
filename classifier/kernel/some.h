// SPDX-License-Identifier: MIT
// Some flows of a burst asked on their own: packed together, and their answers dealt out again.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "classifier/kernel/classes.h"

namespace portcullis::classifier {

/// Asks for the flows of the set bits alone: ask(their keys, how many, room for answers), then
/// tell(number in the burst, answer) for each.
template <Kernel K, typename Answer, typename Key, typename Ask, typename Tell>
void ask_some(std::uint64_t bits, const Key* keys, Ask ask, Tell tell) {
  alignas(Key) unsigned char room[KeyBurst<K>::kMax * sizeof(Key)];
  Answer answers[KeyBurst<K>::kMax];
  std::size_t count = 0;
  for (std::uint64_t left = bits; left != 0; left &= left - 1) {
    std::memcpy(room + count++ * sizeof(Key), keys + __builtin_ctzll(left), sizeof(Key));
  }
  ask(reinterpret_cast<const Key*>(room), count, answers);
  const Answer* next = answers;
  for (std::uint64_t left = bits; left != 0; left &= left - 1) {
    tell(__builtin_ctzll(left), *next++);
  }
}

}  // namespace portcullis::classifier
