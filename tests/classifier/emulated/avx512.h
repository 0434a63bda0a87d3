// SPDX-License-Identifier: MIT
// AVX-512 in plain loops, so that the kernel for it can be tested where no processor has it: what
// that kernel asks for, with the meaning that Intel's intrinsics guide gives it, and nothing else.
// Thread: pure functions.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#include <immintrin.h>

namespace portcullis::classifier::emulated {

struct Vector {
  std::uint32_t words[16];
};
struct Half {
  std::uint32_t words[8];
};
using Mask = std::uint16_t;

inline Vector load(const void* from) {
  Vector vector;
  std::memcpy(&vector, from, sizeof vector);
  return vector;
}
inline void store(void* to, Vector vector) {
  std::memcpy(to, &vector, sizeof vector);
}

/// Word by word, of two vectors.
template <typename Word>
Vector each(Vector a, Vector b, Word word) {
  Vector out;
  for (int i = 0; i < 16; ++i) {
    out.words[i] = word(a.words[i], b.words[i]);
  }
  return out;
}
template <typename Holds>
Mask each_mask(Vector a, Vector b, Holds holds) {
  unsigned mask = 0;
  for (int i = 0; i < 16; ++i) {
    mask |= holds(a.words[i], b.words[i]) ? 1U << i : 0U;
  }
  return static_cast<Mask>(mask);
}
/// Lane by lane of narrower types, each from the lane's own bytes.
template <typename In, typename Other, typename Out, std::size_t kOut, typename Lane>
Vector each_lane(Vector a, Vector b, Lane lane) {
  In left[64 / sizeof(In)];
  Other right[64 / sizeof(Other)];
  Out out[kOut];
  std::memcpy(left, &a, sizeof left);
  std::memcpy(right, &b, sizeof right);
  for (std::size_t i = 0; i < kOut; ++i) {
    out[i] = lane(left, right, i);
  }
  return load(out);
}

inline Vector splat(std::uint32_t word) {
  return each({}, {}, [word](std::uint32_t, std::uint32_t) { return word; });
}
template <typename... Words>
Vector of_words(Words... words) {
  const std::uint32_t list[] = {static_cast<std::uint32_t>(words)...};
  return load(list);
}
template <typename... Words>
Vector of_long_words(Words... words) {
  const std::uint64_t list[] = {static_cast<std::uint64_t>(words)...};
  return load(list);
}

/// Of each 128 bits, the pairs of one half. `unit`: words of an element.
inline Vector unpack(Vector a, Vector b, int high, int unit) {
  Vector out;
  for (int quarter = 0; quarter < 16; quarter += 4) {
    for (int i = 0; i < 4; ++i) {
      const int element = i / unit;
      const Vector& from = element % 2 == 0 ? a : b;
      out.words[quarter + i] = from.words[quarter + 2 * high + (element / 2) * unit + i % unit];
    }
  }
  return out;
}
/// Words of `a`, then of `b`, by index. `unit` as above.
inline Vector pick(Vector a, Vector index, Vector b, unsigned unit) {
  Vector out;
  for (unsigned i = 0; i < 16; ++i) {
    const unsigned element = index.words[i / unit * unit] % (32 / unit);
    const unsigned word = element * unit + i % unit;
    out.words[i] = word < 16 ? a.words[word] : b.words[word - 16];
  }
  return out;
}
inline Vector blend(Mask mask, Vector a, Vector b) {
  Vector out;
  for (unsigned i = 0; i < 16; ++i) {
    out.words[i] = (mask >> i & 1U) != 0 ? b.words[i] : a.words[i];
  }
  return out;
}

inline Vector gather(Vector index, const void* base, int scale) {
  return each(index, {}, [&](std::uint32_t at, std::uint32_t) {
    std::uint32_t word = 0;
    std::memcpy(
        &word,
        static_cast<const char*>(base) + std::ptrdiff_t{static_cast<std::int32_t>(at)} * scale,
        sizeof word);
    return word;
  });
}
inline Vector gather_long(Half index, const void* base, int scale) {
  Vector out;
  for (int i = 0; i < 8; ++i) {
    std::memcpy(&out.words[2 * i],
                static_cast<const char*>(base) +
                    std::ptrdiff_t{static_cast<std::int32_t>(index.words[i])} * scale,
                sizeof(std::uint64_t));
  }
  return out;
}
inline Half half(Vector vector, int which) {
  Half out;
  std::memcpy(&out, &vector.words[8 * which], sizeof out);
  return out;
}
inline Vector repeat(__m128i quarter) {
  char bytes[64];
  for (int i = 0; i < 64; i += 16) {
    std::memcpy(bytes + i, &quarter, sizeof quarter);
  }
  return load(bytes);
}
inline unsigned at_most(__m256i a, __m256i b) {
  std::int32_t left[8];
  std::int32_t right[8];
  std::memcpy(left, &a, sizeof left);
  std::memcpy(right, &b, sizeof right);
  unsigned mask = 0;
  for (int i = 0; i < 8; ++i) {
    mask |= left[i] <= right[i] ? 1U << i : 0U;
  }
  return mask;
}

inline std::uint32_t shift(std::uint32_t word, std::uint32_t bits) {
  return bits > 31 ? 0 : word << bits;
}
inline Vector shuffle_bytes(Vector a, Vector index) {
  return each_lane<std::uint8_t, std::uint8_t, std::uint8_t, 64>(
      a, index, [](const auto* bytes, const auto* at, std::size_t i) {
        return (at[i] & 0x80U) != 0 ? std::uint8_t{0} : bytes[i / 16 * 16 + at[i] % 16U];
      });
}
inline Vector add_bytes(Vector a, Vector b) {
  return each_lane<std::uint8_t, std::uint8_t, std::uint8_t, 64>(
      a, b, [](const auto* x, const auto* y, std::size_t i) {
        return static_cast<std::uint8_t>(x[i] + y[i]);
      });
}
/// Without saturation: the kernel's sums are small.
inline Vector add_pairs_of_bytes(Vector a, Vector b) {
  return each_lane<std::uint8_t, std::int8_t, std::int16_t, 32>(
      a, b, [](const auto* x, const auto* y, std::size_t i) {
        return static_cast<std::int16_t>(x[2 * i] * y[2 * i] + x[2 * i + 1] * y[2 * i + 1]);
      });
}
inline Vector add_pairs(Vector a, Vector b) {
  return each_lane<std::int16_t, std::int16_t, std::int32_t, 16>(
      a, b, [](const auto* x, const auto* y, std::size_t i) {
        return std::int32_t{x[2 * i]} * y[2 * i] + std::int32_t{x[2 * i + 1]} * y[2 * i + 1];
      });
}

}  // namespace portcullis::classifier::emulated

// The names that the kernel knows, for all that is included from here on.
// Those that the compiler's header has as macros, some of them only without optimisation.
#undef _mm512_extracti64x4_epi64
#undef _mm512_i32gather_epi32
#undef _mm512_i32gather_epi64
#undef _mm512_setr_epi32
#undef _mm512_setr_epi64
#undef _mm512_slli_epi32
#undef _mm512_srli_epi32

#define __m512i emulated::Vector
#define __mmask16 emulated::Mask
#define _mm512_loadu_si512(from) emulated::load(from)
#define _mm512_storeu_si512(to, a) emulated::store(to, a)
#define _mm512_set1_epi32(word) emulated::splat(static_cast<std::uint32_t>(word))
#define _mm512_set1_epi16(word) emulated::splat(std::uint32_t{word} * 0x1'0001U)
#define _mm512_set1_epi8(word) emulated::splat(std::uint32_t{word} * 0x101'0101U)
#define _mm512_setr_epi32 emulated::of_words
#define _mm512_setr_epi64 emulated::of_long_words
#define _mm512_unpacklo_epi32(a, b) emulated::unpack(a, b, 0, 1)
#define _mm512_unpackhi_epi32(a, b) emulated::unpack(a, b, 1, 1)
#define _mm512_unpacklo_epi64(a, b) emulated::unpack(a, b, 0, 2)
#define _mm512_unpackhi_epi64(a, b) emulated::unpack(a, b, 1, 2)
#define _mm512_permutexvar_epi32(index, a) emulated::pick(a, index, a, 1)
#define _mm512_permutex2var_epi32(a, index, b) emulated::pick(a, index, b, 1)
#define _mm512_permutex2var_epi64(a, index, b) emulated::pick(a, index, b, 2)
#define _mm512_and_si512(a, b) emulated::each(a, b, [](auto x, auto y) { return x & y; })
#define _mm512_add_epi32(a, b) emulated::each(a, b, [](auto x, auto y) { return x + y; })
#define _mm512_sllv_epi32(a, b) emulated::each(a, b, emulated::shift)
#define _mm512_slli_epi32(a, bits) emulated::each(a, emulated::splat(bits), emulated::shift)
#define _mm512_srli_epi32(a, bits) \
  emulated::each(a, emulated::splat(bits), [](auto x, auto y) { return x >> y; })
#define _mm512_add_epi8(a, b) emulated::add_bytes(a, b)
#define _mm512_shuffle_epi8(a, index) emulated::shuffle_bytes(a, index)
#define _mm512_maddubs_epi16(a, b) emulated::add_pairs_of_bytes(a, b)
#define _mm512_madd_epi16(a, b) emulated::add_pairs(a, b)
#define _mm512_broadcast_i32x4(quarter) emulated::repeat(quarter)
#define _mm512_test_epi32_mask(a, b) \
  emulated::each_mask(a, b, [](auto x, auto y) { return (x & y) != 0; })
#define _mm512_cmplt_epu32_mask(a, b) \
  emulated::each_mask(a, b, [](auto x, auto y) { return x < y; })
#define _mm512_cmpeq_epi32_mask(a, b) \
  emulated::each_mask(a, b, [](auto x, auto y) { return x == y; })
#define _mm512_cmplt_epi32_mask(a, b)                                   \
  emulated::each_mask(a, b, [](auto x, auto y) {                        \
    return static_cast<std::int32_t>(x) < static_cast<std::int32_t>(y); \
  })
#define _mm512_mask_blend_epi32(mask, a, b) emulated::blend(mask, a, b)
#define _mm512_mask_add_epi32(otherwise, mask, a, b) \
  emulated::blend(mask, otherwise, _mm512_add_epi32(a, b))
#define _mm512_i32gather_epi32(index, base, scale) emulated::gather(index, base, scale)
#define _mm512_i32gather_epi64(index, base, scale) emulated::gather_long(index, base, scale)
#define _mm512_castsi512_si256(a) emulated::half(a, 0)
#define _mm512_extracti64x4_epi64(a, which) emulated::half(a, which)
#define _mm256_cmple_epi32_mask(a, b) emulated::at_most(a, b)
