// SPDX-License-Identifier: MIT
// What a burst asks the classifier about flows of one family: keys, and the answers to them.
// Owner: one thread at a time.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "base/limits.h"
#include "classifier/lookup.h"

namespace portcullis::dataplane {

template <typename Key>
struct Questions {
  std::array<Key, limits::kBurstMax> keys;
  std::array<classifier::Verdict, limits::kBurstMax> answers;
  std::size_t count = 0;

  /// The place of the answer. REQUIRES: there is room.
  std::uint8_t ask(const Key& key) {
    keys[count] = key;
    return static_cast<std::uint8_t>(count++);
  }
  void look_up(const classifier::Table& table) {
    if (count > 0) {
      classifier::lookup(table, std::span(keys).first(count), std::span(answers).first(count));
    }
  }
};

}  // namespace portcullis::dataplane
