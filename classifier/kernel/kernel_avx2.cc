// SPDX-License-Identifier: MIT
// The kernel for processors with AVX2 and BMI2: eight lanes.
#include <immintrin.h>

#include "classifier/kernel/entry.h"

namespace portcullis::classifier {
namespace {

struct Avx2 {
  using Lanes = __m256i;
  using Mask = __m256i;  // By lane: all ones or zero.
  static constexpr std::size_t kLanes = 8;

  static Lanes load(const std::uint32_t* words) {
    return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(words));
  }
  static void store(std::uint32_t* words, Lanes lanes) {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(words), lanes);
  }
  static void load_keys(const Key4* keys, Lanes& src, Lanes& dst, Lanes& ports, Lanes& rest) {
    // Two keys a vector, four words a key: | src | dst | ports | rest |.
    const auto* words = reinterpret_cast<const std::uint32_t*>(keys);
    const Lanes a = load(words);
    const Lanes b = load(words + 8);
    const Lanes c = load(words + 16);
    const Lanes d = load(words + 24);
    const Lanes ab_low = _mm256_unpacklo_epi32(a, b);
    const Lanes cd_low = _mm256_unpacklo_epi32(c, d);
    const Lanes ab_high = _mm256_unpackhi_epi32(a, b);
    const Lanes cd_high = _mm256_unpackhi_epi32(c, d);
    // Unpacking leaves key 2v + q at lane 4q + v.
    const Lanes order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);
    src = _mm256_permutevar8x32_epi32(_mm256_unpacklo_epi64(ab_low, cd_low), order);
    dst = _mm256_permutevar8x32_epi32(_mm256_unpackhi_epi64(ab_low, cd_low), order);
    ports = _mm256_permutevar8x32_epi32(_mm256_unpacklo_epi64(ab_high, cd_high), order);
    rest = _mm256_permutevar8x32_epi32(_mm256_unpackhi_epi64(ab_high, cd_high), order);
  }
  static void store_pairs(std::uint32_t* words, Lanes a, Lanes b) {
    const Lanes low = _mm256_unpacklo_epi32(a, b);
    const Lanes high = _mm256_unpackhi_epi32(a, b);
    store(words, _mm256_permute2x128_si256(low, high, 0x20));
    store(words + 8, _mm256_permute2x128_si256(low, high, 0x31));
  }
  static Lanes splat(std::uint32_t word) { return _mm256_set1_epi32(static_cast<int>(word)); }
  static Lanes add(Lanes a, Lanes b) { return _mm256_add_epi32(a, b); }
  static Lanes bit_and(Lanes a, Lanes b) { return _mm256_and_si256(a, b); }
  static Lanes shift_left(Lanes lanes, unsigned bits) {
    return _mm256_sll_epi32(lanes, _mm_cvtsi32_si128(static_cast<int>(bits)));
  }
  static Lanes shift_right(Lanes lanes, unsigned bits) {
    return _mm256_srl_epi32(lanes, _mm_cvtsi32_si128(static_cast<int>(bits)));
  }
  static Lanes bit(Lanes lanes) { return _mm256_sllv_epi32(splat(1), bit_and(lanes, splat(31))); }
  static Lanes popcount(Lanes lanes) {
    const Lanes counts =
        _mm256_broadcastsi128_si256(_mm_setr_epi8(0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4));
    const Lanes low = _mm256_and_si256(lanes, _mm256_set1_epi8(15));
    const Lanes high = _mm256_and_si256(_mm256_srli_epi32(lanes, 4), _mm256_set1_epi8(15));
    const Lanes bytes =
        _mm256_add_epi8(_mm256_shuffle_epi8(counts, low), _mm256_shuffle_epi8(counts, high));
    return _mm256_madd_epi16(_mm256_maddubs_epi16(bytes, _mm256_set1_epi8(1)),
                             _mm256_set1_epi16(1));
  }
  static Mask any(Lanes a, Lanes b) {
    return mask_not(_mm256_cmpeq_epi32(bit_and(a, b), _mm256_setzero_si256()));
  }
  static Mask less(Lanes a, Lanes b) {
    const Lanes sign = splat(1U << 31U);  // There are only signed comparisons.
    return _mm256_cmpgt_epi32(_mm256_xor_si256(b, sign), _mm256_xor_si256(a, sign));
  }
  static Mask equal(Lanes a, Lanes b) { return _mm256_cmpeq_epi32(a, b); }
  static Mask mask_not(Mask mask) { return _mm256_xor_si256(mask, _mm256_set1_epi32(-1)); }
  static Mask mask_and(Mask a, Mask b) { return _mm256_and_si256(a, b); }
  static Mask mask_or(Mask a, Mask b) { return _mm256_or_si256(a, b); }
  static Mask mask_of(std::uint32_t bits) {
    return any(splat(bits), _mm256_setr_epi32(1, 2, 4, 8, 16, 32, 64, 128));
  }
  static std::uint32_t bits_of(Mask mask) {
    return static_cast<std::uint32_t>(_mm256_movemask_ps(_mm256_castsi256_ps(mask)));
  }
  static Lanes select(Mask mask, Lanes a, Lanes b) { return _mm256_blendv_epi8(b, a, mask); }
  static Lanes gather(const std::uint32_t* words, Lanes index) {
    return _mm256_i32gather_epi32(reinterpret_cast<const int*>(words), index, 4);
  }
  static void gather_pairs(const std::uint32_t* words, Lanes index, Lanes& first, Lanes& second) {
    const auto* pairs = reinterpret_cast<const long long*>(words);
    const __m256 low =
        _mm256_castsi256_ps(_mm256_i32gather_epi64(pairs, _mm256_castsi256_si128(index), 4));
    const __m256 high =
        _mm256_castsi256_ps(_mm256_i32gather_epi64(pairs, _mm256_extracti128_si256(index, 1), 4));
    // Shuffling takes from each half of both: pairs 0, 1, 4, 5, 2, 3, 6, 7.
    first = in_order(_mm256_shuffle_ps(low, high, 0x88));
    second = in_order(_mm256_shuffle_ps(low, high, 0xdd));
  }
  static Lanes gather_bytes(const std::uint8_t* bytes, Lanes offset) {
    return _mm256_i32gather_epi32(reinterpret_cast<const int*>(bytes), offset, 1);
  }
  static std::uint32_t reached(const std::uint32_t* words, std::uint32_t key) {
    const std::uint32_t beyond = bits_of(_mm256_cmpgt_epi32(load(words), splat(key)));
    return 8 - static_cast<std::uint32_t>(__builtin_popcount(beyond));
  }
  static std::uint32_t passed_of_16(const std::uint32_t* words, std::uint32_t key) {
    const std::uint32_t low = bits_of(_mm256_cmpgt_epi32(splat(key), load(words)));
    const std::uint32_t high = bits_of(_mm256_cmpgt_epi32(splat(key), load(words + 8)));
    return static_cast<std::uint32_t>(__builtin_popcount(low | (high << 8U)));
  }
  static Lanes passed(const std::uint32_t* words, std::size_t n, Lanes keys) {
    Lanes count = splat(0);
    for (std::size_t i = 0; i < n; ++i) {
      count = _mm256_sub_epi32(count, _mm256_cmpgt_epi32(keys, splat(words[i])));
    }
    return count;
  }

 private:
  static Lanes in_order(__m256 shuffled) {
    return _mm256_permute4x64_epi64(_mm256_castps_si256(shuffled), 0xd8);
  }
};

}  // namespace

const KernelEntry kAvx2Kernel = entry_of<Avx2>(Isa::avx2);

}  // namespace portcullis::classifier
