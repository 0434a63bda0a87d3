// SPDX-License-Identifier: MIT
// What an instruction set supplies so that a lookup can use it: primitives on lanes of 32 bits. The
// stages beside this file (filter.h, classes.h, walk.h, permit.h) are written on them once.
// Thread: any number; a table is never written. No allocation, lock, system call or exception.
//
// Stages are templates over the kernel, and a kernel's type lives in an anonymous namespace: code
// made for a wide instruction set can never be linked in where a narrower runs. For the same reason
// nothing here calls a shared inline function, of std::array or of our own, that is not always
// inlined.
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>

#include "base/limits.h"
#include "classifier/key.h"
#include "classifier/layout.h"

namespace portcullis::classifier {

// clang-format off
template <typename K>
concept Kernel = requires(typename K::Lanes lanes, typename K::Mask mask, std::uint32_t* out,
                          const std::uint32_t* words, const std::uint8_t* bytes,
                          const Key4* keys, typename K::Lanes& room) {
  requires limits::kBurstMax % K::kLanes == 0;
  { K::load(words) } -> std::same_as<typename K::Lanes>;
  K::store(out, lanes);
  // keys[kLanes] by word: source, destination, ports, the rest.
  K::load_keys(keys, room, room, room, room);
  // a0 b0 a1 b1 ...
  K::store_pairs(out, lanes, lanes);
  { K::splat(0U) } -> std::same_as<typename K::Lanes>;
  { K::add(lanes, lanes) } -> std::same_as<typename K::Lanes>;
  { K::bit_and(lanes, lanes) } -> std::same_as<typename K::Lanes>;
  { K::shift_left(lanes, 0U) } -> std::same_as<typename K::Lanes>;
  { K::shift_right(lanes, 0U) } -> std::same_as<typename K::Lanes>;
  // 1 << lane; only the low five bits of each lane count.
  { K::bit(lanes) } -> std::same_as<typename K::Lanes>;
  { K::popcount(lanes) } -> std::same_as<typename K::Lanes>;
  // By lane: (a & b) != 0; a < b, unsigned; a == b.
  { K::any(lanes, lanes) } -> std::same_as<typename K::Mask>;
  { K::less(lanes, lanes) } -> std::same_as<typename K::Mask>;
  { K::equal(lanes, lanes) } -> std::same_as<typename K::Mask>;
  { K::mask_not(mask) } -> std::same_as<typename K::Mask>;
  { K::mask_and(mask, mask) } -> std::same_as<typename K::Mask>;
  { K::mask_or(mask, mask) } -> std::same_as<typename K::Mask>;
  // The lowest kLanes bits.
  { K::mask_of(0U) } -> std::same_as<typename K::Mask>;
  { K::bits_of(mask) } -> std::same_as<std::uint32_t>;
  // By lane: mask ? a : b.
  { K::select(mask, lanes, lanes) } -> std::same_as<typename K::Lanes>;
  // By lane: words[index].
  { K::gather(words, lanes) } -> std::same_as<typename K::Lanes>;
  // By lane: words[index] and words[index + 1].
  K::gather_pairs(words, lanes, room, room);
  // By lane: four bytes, little-endian, from bytes + offset.
  { K::gather_bytes(bytes, lanes) } -> std::same_as<typename K::Lanes>;
  // How many of words[0..7] are at or below a key; words ascend, all below 2^31.
  { K::reached(words, 0U) } -> std::same_as<std::uint32_t>;
  // How many of words[0..15], which ascend, are below a key, as signed numbers.
  { K::passed_of_16(words, 0U) } -> std::same_as<std::uint32_t>;
  // The same by lane, of words[0..n-1]; n is a multiple of 16.
  { K::passed(words, std::size_t{}, lanes) } -> std::same_as<typename K::Lanes>;
};
// clang-format on

}  // namespace portcullis::classifier
