// SPDX-License-Identifier: MIT
// The kernel for processors with AVX-512 (F, BW, DQ, VL): sixteen lanes.
#if !defined(__clang__)  // gcc 12 takes undefined vectors of its own header for mistakes (105593).
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif

#include <immintrin.h>

#include "classifier/kernel/entry.h"

namespace portcullis::classifier {
namespace {

struct Avx512 {
  using Lanes = __m512i;
  using Mask = __mmask16;
  static constexpr std::size_t kLanes = 16;

  static Lanes load(const std::uint32_t* words) { return _mm512_loadu_si512(words); }
  static void store(std::uint32_t* words, Lanes lanes) { _mm512_storeu_si512(words, lanes); }
  static void load_keys(const Key4* keys, Lanes& src, Lanes& dst, Lanes& ports, Lanes& rest) {
    // Four keys a vector, four words a key: | src | dst | ports | rest |.
    const auto* words = reinterpret_cast<const std::uint32_t*>(keys);
    const Lanes a = load(words);
    const Lanes b = load(words + 16);
    const Lanes c = load(words + 32);
    const Lanes d = load(words + 48);
    const Lanes ab_low = _mm512_unpacklo_epi32(a, b);
    const Lanes cd_low = _mm512_unpacklo_epi32(c, d);
    const Lanes ab_high = _mm512_unpackhi_epi32(a, b);
    const Lanes cd_high = _mm512_unpackhi_epi32(c, d);
    // Unpacking leaves key 4v + q at lane 4q + v.
    const Lanes order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
    src = _mm512_permutexvar_epi32(order, _mm512_unpacklo_epi64(ab_low, cd_low));
    dst = _mm512_permutexvar_epi32(order, _mm512_unpackhi_epi64(ab_low, cd_low));
    ports = _mm512_permutexvar_epi32(order, _mm512_unpacklo_epi64(ab_high, cd_high));
    rest = _mm512_permutexvar_epi32(order, _mm512_unpackhi_epi64(ab_high, cd_high));
  }
  static void store_pairs(std::uint32_t* words, Lanes a, Lanes b) {
    const Lanes low = _mm512_unpacklo_epi32(a, b);
    const Lanes high = _mm512_unpackhi_epi32(a, b);
    const Lanes first = _mm512_setr_epi64(0, 1, 8, 9, 2, 3, 10, 11);
    const Lanes second = _mm512_setr_epi64(4, 5, 12, 13, 6, 7, 14, 15);
    store(words, _mm512_permutex2var_epi64(low, first, high));
    store(words + 16, _mm512_permutex2var_epi64(low, second, high));
  }
  static Lanes splat(std::uint32_t word) { return _mm512_set1_epi32(static_cast<int>(word)); }
  static Lanes add(Lanes a, Lanes b) { return _mm512_add_epi32(a, b); }
  static Lanes bit_and(Lanes a, Lanes b) { return _mm512_and_si512(a, b); }
  static Lanes shift_left(Lanes lanes, unsigned bits) { return _mm512_slli_epi32(lanes, bits); }
  static Lanes shift_right(Lanes lanes, unsigned bits) { return _mm512_srli_epi32(lanes, bits); }
  static Lanes bit(Lanes lanes) { return _mm512_sllv_epi32(splat(1), bit_and(lanes, splat(31))); }
  /// VPOPCNTDQ is no part of what this kernel asks for: counts four bits at a time, then sums.
  static Lanes popcount(Lanes lanes) {
    const Lanes counts =
        _mm512_broadcast_i32x4(_mm_setr_epi8(0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4));
    const Lanes low = _mm512_and_si512(lanes, _mm512_set1_epi8(15));
    const Lanes high = _mm512_and_si512(_mm512_srli_epi32(lanes, 4), _mm512_set1_epi8(15));
    const Lanes bytes =
        _mm512_add_epi8(_mm512_shuffle_epi8(counts, low), _mm512_shuffle_epi8(counts, high));
    return _mm512_madd_epi16(_mm512_maddubs_epi16(bytes, _mm512_set1_epi8(1)),
                             _mm512_set1_epi16(1));
  }
  static Mask any(Lanes a, Lanes b) { return _mm512_test_epi32_mask(a, b); }
  static Mask less(Lanes a, Lanes b) { return _mm512_cmplt_epu32_mask(a, b); }
  static Mask equal(Lanes a, Lanes b) { return _mm512_cmpeq_epi32_mask(a, b); }
  static Mask mask_not(Mask mask) { return static_cast<Mask>(~mask); }
  static Mask mask_and(Mask a, Mask b) { return static_cast<Mask>(a & b); }
  static Mask mask_or(Mask a, Mask b) { return static_cast<Mask>(a | b); }
  static Mask mask_of(std::uint32_t bits) { return static_cast<Mask>(bits); }
  static std::uint32_t bits_of(Mask mask) { return mask; }
  static Lanes select(Mask mask, Lanes a, Lanes b) { return _mm512_mask_blend_epi32(mask, b, a); }
  static Lanes gather(const std::uint32_t* words, Lanes index) {
    return _mm512_i32gather_epi32(index, words, 4);
  }
  static void gather_pairs(const std::uint32_t* words, Lanes index, Lanes& first, Lanes& second) {
    const Lanes low = _mm512_i32gather_epi64(_mm512_castsi512_si256(index), words, 4);
    const Lanes high = _mm512_i32gather_epi64(_mm512_extracti64x4_epi64(index, 1), words, 4);
    const Lanes even = _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
    first = _mm512_permutex2var_epi32(low, even, high);
    second = _mm512_permutex2var_epi32(low, _mm512_add_epi32(even, splat(1)), high);
  }
  static Lanes gather_bytes(const std::uint8_t* bytes, Lanes offset) {
    return _mm512_i32gather_epi32(offset, bytes, 1);
  }
  static std::uint32_t reached(const std::uint32_t* words, std::uint32_t key) {
    const __m256i eight = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(words));
    const __m256i keys = _mm256_set1_epi32(static_cast<int>(key));
    return static_cast<std::uint32_t>(
        __builtin_popcount(static_cast<unsigned>(_mm256_cmple_epi32_mask(eight, keys))));
  }
  static std::uint32_t passed_of_16(const std::uint32_t* words, std::uint32_t key) {
    return static_cast<std::uint32_t>(__builtin_popcount(
        static_cast<unsigned>(_mm512_cmplt_epi32_mask(load(words), splat(key)))));
  }
  static Lanes passed(const std::uint32_t* words, std::size_t n, Lanes keys) {
    Lanes count = splat(0);
    for (std::size_t i = 0; i < n; ++i) {
      const Mask below = _mm512_cmplt_epi32_mask(splat(words[i]), keys);
      count = _mm512_mask_add_epi32(count, below, count, splat(1));
    }
    return count;
  }
};

}  // namespace

const KernelEntry kAvx512Kernel = entry_of<Avx512>(Isa::avx512);

}  // namespace portcullis::classifier
