// SPDX-License-Identifier: MIT
// The kernel for processors with AVX-512 (F, BW, DQ, VL): sixteen lanes.
#include <immintrin.h>

#include "classifier/kernel.h"
#include "classifier/kernels.h"

namespace portcullis::classifier {
namespace {

struct Avx512 {
  using Lanes = __m512i;
  using Mask = __mmask16;
  static constexpr std::size_t kLanes = 16;

  static Lanes load(const std::uint32_t* words) { return _mm512_loadu_si512(words); }
  static void store(std::uint32_t* words, Lanes lanes) { _mm512_storeu_si512(words, lanes); }
  static Lanes splat(std::uint32_t word) { return _mm512_set1_epi32(static_cast<int>(word)); }
  static Lanes lane_numbers() {
    return _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
  }
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
  static Mask mask_not(Mask mask) { return static_cast<Mask>(~mask); }
  static Lanes select(Mask mask, Lanes a, Lanes b) { return _mm512_mask_blend_epi32(mask, b, a); }
  static Lanes gather(const std::uint32_t* words, Lanes index) {
    return _mm512_i32gather_epi32(index, words, 4);
  }
  static Lanes gather_where(Mask mask, const std::uint32_t* words, Lanes index, Lanes otherwise) {
    // No lane left is common, and a gather of no lanes costs as much as one of all.
    return mask == 0 ? otherwise : _mm512_mask_i32gather_epi32(otherwise, mask, index, words, 4);
  }
  static Lanes gather_bytes(const std::uint8_t* bytes, Lanes offset) {
    return _mm512_i32gather_epi32(offset, bytes, 1);
  }
  /// In a register first: Zen 4 takes a hundred cycles to compress into memory.
  static std::size_t append(std::uint32_t* words, Mask mask, Lanes lanes) {
    store(words, _mm512_maskz_compress_epi32(mask, lanes));
    return static_cast<std::size_t>(__builtin_popcount(mask));
  }

  static Lanes follow_lines(const PortLine* lines, Lanes outcome, Lanes key) {
    Mask refers = any(outcome, splat(kReference));
    if (refers == 0) {
      return outcome;
    }
    alignas(64) std::uint32_t words[kLanes];
    alignas(64) std::uint32_t keys[kLanes];
    store(words, outcome);
    store(keys, key);
    for (; refers != 0; refers = static_cast<Mask>(refers & (refers - 1))) {
      const auto lane = static_cast<unsigned>(__builtin_ctz(refers));
      words[lane] = decision_of(lines, words[lane], keys[lane]);
    }
    return load(words);
  }

 private:
  static std::uint32_t decision_of(const PortLine* lines, std::uint32_t word, std::uint32_t key) {
    const __m256i keys = _mm256_set1_epi32(static_cast<int>(key));
    while ((word & kReference) != 0) {
      // A line is its eight limits, then its eight outcomes.
      const auto* line = reinterpret_cast<const std::uint32_t*>(lines + (word & kReferenceIndex));
      const __m256i limits = _mm256_load_si256(reinterpret_cast<const __m256i*>(line));
      const auto reached = static_cast<unsigned>(_mm256_cmple_epi32_mask(limits, keys));
      word = line[PortLine::kWays + static_cast<unsigned>(__builtin_popcount(reached))];
    }
    return word;
  }
};

void lookup_v4(const TableView& table,
               const Key4* keys,
               std::size_t n,
               Verdict* verdicts) noexcept {
  Walk<Avx512>::run(table, keys, n, verdicts);
}
void lookup_v6(const TableView& table,
               const Key6* keys,
               std::size_t n,
               Verdict* verdicts) noexcept {
  Walk<Avx512>::run(table, keys, n, verdicts);
}

}  // namespace

const KernelEntry kAvx512Kernel{.isa = Isa::avx512, .lookup_v4 = lookup_v4, .lookup_v6 = lookup_v6};

}  // namespace portcullis::classifier
