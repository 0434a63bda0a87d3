// SPDX-License-Identifier: MIT
// The kernel for any processor: lanes of one.
#include <bit>

#include "classifier/kernel.h"
#include "classifier/kernels.h"

namespace portcullis::classifier {
namespace {

struct Scalar {
  using Lanes = std::uint32_t;
  using Mask = bool;
  static constexpr std::size_t kLanes = 1;

  static Lanes load(const std::uint32_t* words) { return *words; }
  static void store(std::uint32_t* words, Lanes lanes) { *words = lanes; }
  static Lanes splat(std::uint32_t word) { return word; }
  static Lanes add(Lanes a, Lanes b) { return a + b; }
  static Lanes bit_and(Lanes a, Lanes b) { return a & b; }
  static Lanes shift_left(Lanes lanes, unsigned bits) { return lanes << bits; }
  static Lanes shift_right(Lanes lanes, unsigned bits) { return lanes >> bits; }
  static Lanes bit(Lanes lanes) { return 1U << (lanes % 32); }
  static Lanes popcount(Lanes lanes) { return static_cast<Lanes>(std::popcount(lanes)); }
  static Mask any(Lanes a, Lanes b) { return (a & b) != 0; }
  static Lanes select(Mask mask, Lanes a, Lanes b) { return mask ? a : b; }
  static Lanes gather(const std::uint32_t* words, Lanes index) { return words[index]; }
  static Lanes gather_where(Mask mask, const std::uint32_t* words, Lanes index, Lanes otherwise) {
    return mask ? words[index] : otherwise;
  }
  static Lanes gather_bytes(const std::uint8_t* bytes, Lanes offset) {
    std::uint32_t word = 0;
    std::memcpy(&word, bytes + offset, sizeof(word));
    return word;
  }
  static Lanes follow_lines(const PortLine* lines, Lanes outcome, Lanes key) {
    while ((outcome & kReference) != 0) {
      const PortLine& line = lines[outcome & kReferenceIndex];
      std::uint32_t reached = 0;
      for (std::size_t i = 0; i < PortLine::kWays; ++i) {
        reached += line.limits[i] <= key ? 1 : 0;
      }
      outcome = line.outcomes[reached];
    }
    return outcome;
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
