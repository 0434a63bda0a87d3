// SPDX-License-Identifier: MIT
// The pieces of hashes that are keyed with a secret seed, so that whoever sends packets cannot aim
// them at one bucket. Thread: any; no state.
#pragma once

#include <cstdint>
#include <cstring>

#include <sys/random.h>

#include "base/check.h"

namespace portcullis::dataplane {

/// Folds a 64 x 64 bit product: every bit of the result depends on every bit of both.
inline std::uint64_t mix(std::uint64_t a, std::uint64_t b) noexcept {
  __extension__ using Wide = unsigned __int128;
  const Wide product = Wide{a} * b;
  return static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64U);
}

/// A secret of the kernel's. Takes a system call: at start only.
inline std::uint64_t random_seed() {
  std::uint64_t seed = 0;
  PORTCULLIS_CHECK(getrandom(&seed, sizeof seed, 0) == sizeof seed);
  return seed;
}

/// SplitMix64: spreads one seed into several.
inline std::uint64_t next_seed(std::uint64_t& state) noexcept {
  state += 0x9e37'79b9'7f4a'7c15;
  std::uint64_t z = state;
  z = (z ^ (z >> 30U)) * 0xbf58'476d'1ce4'e5b9;
  z = (z ^ (z >> 27U)) * 0x94d0'49bb'1331'11eb;
  return z ^ (z >> 31U);
}

inline std::uint64_t load64(const std::uint8_t* at) noexcept {
  std::uint64_t value = 0;
  std::memcpy(&value, at, sizeof value);
  return value;
}

}  // namespace portcullis::dataplane
