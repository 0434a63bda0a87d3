// SPDX-License-Identifier: MIT
// The kernel for any processor: lanes of one.
#include <bit>

#include "classifier/kernel.h"
#include "classifier/kernels.h"

namespace portcullis::classifier {
namespace {

struct Scalar {
  using Lanes = std::uint32_t;
  using Mask = std::uint32_t;  // All ones or zero.
  static constexpr std::size_t kLanes = 1;

  static Lanes load(const std::uint32_t* words) { return *words; }
  static void store(std::uint32_t* words, Lanes lanes) { *words = lanes; }
  static Lanes splat(std::uint32_t word) { return word; }
  static Lanes lane_numbers() { return 0; }
  static Lanes add(Lanes a, Lanes b) { return a + b; }
  static Lanes bit_and(Lanes a, Lanes b) { return a & b; }
  static Lanes shift_left(Lanes lanes, unsigned bits) { return lanes << bits; }
  static Lanes shift_right(Lanes lanes, unsigned bits) { return lanes >> bits; }
  static Lanes bit(Lanes lanes) { return 1U << (lanes % 32); }
  static Lanes popcount(Lanes lanes) { return static_cast<Lanes>(std::popcount(lanes)); }
  static Mask any(Lanes a, Lanes b) { return 0U - static_cast<Mask>((a & b) != 0); }
  static Mask less(Lanes a, Lanes b) { return 0U - static_cast<Mask>(a < b); }
  static Mask mask_not(Mask mask) { return ~mask; }
  // By arithmetic: which way a key goes is random to the processor, and compilers turn ?: of loads
  // back into branches.
  static Lanes select(Mask mask, Lanes a, Lanes b) { return b ^ ((a ^ b) & mask); }
  static Lanes gather(const std::uint32_t* words, Lanes index) { return words[index]; }
  static Lanes gather_where(Mask mask, const std::uint32_t* words, Lanes index, Lanes otherwise) {
    return select(mask, words[index & mask], otherwise);
  }
  static Lanes gather_bytes(const std::uint8_t* bytes, Lanes offset) {
    std::uint32_t word = 0;
    std::memcpy(&word, bytes + offset, sizeof(word));
    return word;
  }
  static std::size_t append(std::uint32_t* words, Mask mask, Lanes lanes) {
    *words = lanes;
    return mask & 1U;
  }
  static Lanes follow_lines(const PortLine* lines, Lanes outcome, Lanes key) {
    Lanes decision = one_line(lines, outcome, key);
    while ((decision & kReference) != 0) {
      decision = one_line(lines, decision, key);
    }
    return decision;
  }

 private:
  /// A decision stays what it is, though line 0 is read for it.
  static Lanes one_line(const PortLine* lines, Lanes outcome, Lanes key) {
    const Mask refers = any(outcome, kReference);
    const PortLine& line = lines[outcome & kReferenceIndex & refers];
    std::int32_t reached = 0;
    for (std::size_t i = 0; i < PortLine::kWays; ++i) {  // Signed, for SSE2; all are below 2^31.
      reached +=
          static_cast<std::int32_t>(line.limits[i]) <= static_cast<std::int32_t>(key) ? 1 : 0;
    }
    return select(refers, line.outcomes[static_cast<std::size_t>(reached)], outcome);
  }
};

void lookup_v4(const TableView& table,
               const Key4* keys,
               std::size_t n,
               Verdict* verdicts) noexcept {
  Walk<Scalar>::run(table, keys, n, verdicts);
}
void lookup_v6(const TableView& table,
               const Key6* keys,
               std::size_t n,
               Verdict* verdicts) noexcept {
  Walk<Scalar>::run(table, keys, n, verdicts);
}

}  // namespace

const KernelEntry kScalarKernel{.isa = Isa::scalar, .lookup_v4 = lookup_v4, .lookup_v6 = lookup_v6};

}  // namespace portcullis::classifier
