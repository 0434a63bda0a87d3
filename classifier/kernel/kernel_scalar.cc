// SPDX-License-Identifier: MIT
// The kernel for any processor: lanes of one.
#include "classifier/kernel/entry.h"

namespace portcullis::classifier {
namespace {

struct Scalar {
  using Lanes = std::uint32_t;
  using Mask = std::uint32_t;  // All ones or zero.
  static constexpr std::size_t kLanes = 1;

  static Lanes load(const std::uint32_t* words) { return *words; }
  static void store(std::uint32_t* words, Lanes lanes) { *words = lanes; }
  static void load_keys(const Key4* keys, Lanes& src, Lanes& dst, Lanes& ports, Lanes& rest) {
    src = keys->src;
    dst = keys->dst;
    std::memcpy(&ports, &keys->src_port, sizeof(ports));
    std::memcpy(&rest, &keys->icmp, sizeof(rest));
  }
  static void store_pairs(std::uint32_t* words, Lanes a, Lanes b) {
    words[0] = a;
    words[1] = b;
  }
  static Lanes splat(std::uint32_t word) { return word; }
  static Lanes add(Lanes a, Lanes b) { return a + b; }
  static Lanes bit_and(Lanes a, Lanes b) { return a & b; }
  static Lanes shift_left(Lanes lanes, unsigned bits) { return lanes << bits; }
  static Lanes shift_right(Lanes lanes, unsigned bits) { return lanes >> bits; }
  static Lanes bit(Lanes lanes) { return 1U << (lanes % 32); }
  static Lanes popcount(Lanes lanes) { return static_cast<Lanes>(__builtin_popcount(lanes)); }
  static Mask any(Lanes a, Lanes b) { return 0U - static_cast<Mask>((a & b) != 0); }
  static Mask less(Lanes a, Lanes b) { return 0U - static_cast<Mask>(a < b); }
  static Mask equal(Lanes a, Lanes b) { return 0U - static_cast<Mask>(a == b); }
  static Mask mask_not(Mask mask) { return ~mask; }
  static Mask mask_and(Mask a, Mask b) { return a & b; }
  static Mask mask_or(Mask a, Mask b) { return a | b; }
  static Mask mask_of(std::uint32_t bits) { return 0U - (bits & 1U); }
  static std::uint32_t bits_of(Mask mask) { return mask & 1U; }
  // By arithmetic: which way a key goes is random to the processor, and compilers turn ?: of loads
  // back into branches.
  static Lanes select(Mask mask, Lanes a, Lanes b) { return b ^ ((a ^ b) & mask); }
  static Lanes gather(const std::uint32_t* words, Lanes index) { return words[index]; }
  static void gather_pairs(const std::uint32_t* words, Lanes index, Lanes& first, Lanes& second) {
    first = words[index];
    second = words[index + 1];
  }
  static Lanes gather_bytes(const std::uint8_t* bytes, Lanes offset) {
    std::uint32_t word = 0;
    std::memcpy(&word, bytes + offset, sizeof(word));
    return word;
  }
  static std::uint32_t reached(const std::uint32_t* words, std::uint32_t key) {
    std::int32_t count = 0;
    for (std::size_t i = 0; i < 8; ++i) {  // Signed, for SSE2; all are below 2^31.
      count += static_cast<std::int32_t>(words[i]) <= static_cast<std::int32_t>(key) ? 1 : 0;
    }
    return static_cast<std::uint32_t>(count);
  }
  static std::uint32_t passed_of_16(const std::uint32_t* words, std::uint32_t key) {
    return passed(words, 16, key);
  }
  static Lanes passed(const std::uint32_t* words, std::size_t n, Lanes key) {
    std::int32_t count = 0;
    for (std::size_t i = 0; i < n; i += 16) {
      for (std::size_t k = 0; k < 16; ++k) {
        count += static_cast<std::int32_t>(words[i + k]) < static_cast<std::int32_t>(key) ? 1 : 0;
      }
    }
    return static_cast<std::uint32_t>(count);
  }
};

}  // namespace

const KernelEntry kScalarKernel = entry_of<Scalar>(Isa::scalar);

}  // namespace portcullis::classifier
