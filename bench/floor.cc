// SPDX-License-Identifier: MIT
#include "bench/floor.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <numeric>
#include <random>
#include <unordered_set>
#include <vector>

#include "base/cpu.h"
#include "classifier/layout.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace portcullis::bench {
namespace {

using namespace classifier;

constexpr std::size_t kLine = 64;
constexpr std::size_t kBurst = 64;

/// The cache lines of a table that were read.
class Lines {
 public:
  template <typename Record>
  const Record& read(const Record* records, std::size_t index) {
    lines_.insert(reinterpret_cast<std::uintptr_t>(records + index) / kLine);
    return records[index];
  }
  /// An Entry4 of the window or the trie.
  std::uint32_t entry(const TableView& view, const std::uint8_t* entries, std::size_t index) {
    if (view.entry_shift == 1) {
      return read(reinterpret_cast<const std::uint16_t*>(entries), index);
    }
    return read(reinterpret_cast<const std::uint32_t*>(entries), index);
  }
  [[nodiscard]] std::size_t bytes() const { return lines_.size() * kLine; }

 private:
  std::unordered_set<std::uintptr_t> lines_;
};

std::uint32_t class_of(Lines& lines, const TableView& view, std::uint32_t address) {
  if (address - view.window_first < view.window_size) {
    return lines.entry(view, view.window_v4, address - view.window_first);
  }
  const std::uint32_t child = view.entry_mask ^ (view.entry_mask >> 1U);
  std::uint32_t entry = lines.entry(view, view.root_v4, address >> 16U);
  for (const unsigned shift : {8U, 0U}) {
    if ((entry & child) != 0) {
      const std::size_t node = entry & ~child;
      entry = lines.entry(view, view.nodes_v4, node * 256 + ((address >> shift) & 0xffU));
    }
  }
  return entry;
}

using Chains = std::array<std::uint32_t, kBurst>;

void follow_scalar(const std::vector<std::uint32_t>& words, Chains& chains) {
  for (std::uint32_t& at : chains) {
    at = words[at];
  }
}

#if defined(__x86_64__)
__attribute__((target("avx512f"))) void follow_avx512(const std::vector<std::uint32_t>& words,
                                                      Chains& chains) {
  for (std::size_t i = 0; i < kBurst; i += 16) {
    const __m512i at = _mm512_loadu_si512(chains.data() + i);
    _mm512_storeu_si512(
        chains.data() + i,
        _mm512_mask_i32gather_epi32(_mm512_setzero_si512(), 0xffff, at, words.data(), 4));
  }
}
#endif

/// The best rate of several passes over starting points that are random anew each time.
template <typename Follow>
double best_mlps(unsigned loads, const std::vector<std::uint32_t>& words, Follow follow) {
  constexpr std::size_t kLookups = 262'144;
  constexpr int kPasses = 15;
  using Clock = std::chrono::steady_clock;
  std::mt19937 random(1);
  std::vector<Chains> starts(kLookups / kBurst);
  for (Chains& chains : starts) {
    std::ranges::generate(chains,
                          [&] { return static_cast<std::uint32_t>(random() % words.size()); });
  }
  double best = 0;
  for (int pass = 0; pass < kPasses; ++pass) {
    const auto begin = Clock::now();
    for (Chains& chains : starts) {
      for (unsigned load = 0; load < loads; ++load) {
        follow(words, chains);
      }
    }
    const std::chrono::duration<double, std::micro> took = Clock::now() - begin;
    best = std::max(best, static_cast<double>(kLookups) / took.count());
  }
  return best;
}

/// What permit() reads between the classes of both ends and its line. Returns the line, or
/// kLineWalk if it reads none.
std::uint32_t permit_line(Lines& lines,
                          const TableView& view,
                          std::uint32_t src,
                          std::uint32_t dst) {
  if (!view.permits_wide) {
    const std::uint32_t row = lines.read(view.permit_rows, src);
    const std::uint32_t cell = lines.read(view.permit_cells, (row & kPermitBase) + dst);
    const std::uint32_t line = cell & kCellLine;
    return cell >> kCellClassShift == dst && line != kCellLine ? line : kLineWalk;
  }
  const std::uint32_t* row = view.permit_rows + (std::size_t{src} << kWideRowShift);
  lines.read(row, 0);
  const std::uint32_t bit = 1U << (dst >> kFilterShift) % 32;
  const std::size_t own_at =
      (row[2] & bit) != 0 ? (std::size_t{row[0] & kPermitBase} + dst) * 2 : 0;
  const std::size_t shared_at = (row[3] & bit) != 0 ? (std::size_t{row[1]} + dst) * 2 : 0;
  const std::uint32_t own_class = lines.read(view.permit_cells, own_at);
  const std::uint32_t shared_class = lines.read(view.permit_cells, shared_at);
  if ((row[2] & bit) != 0 && (own_class & ~kCellDefault) == dst) {
    return own_class == dst ? view.permit_cells[own_at + 1] : kLineWalk;
  }
  const bool is_shared = (row[3] & bit) != 0 && shared_class == dst;
  return is_shared ? view.permit_cells[shared_at + 1] : kLineWalk;
}

}  // namespace

std::size_t touched_bytes(const Table& table, std::span<const Key4> keys) {
  const TableView& view = table.view();
  Lines lines;
  for (const Key4& key : keys) {
    const std::uint32_t src = class_of(lines, view, key.src);
    const std::uint32_t dst = class_of(lines, view, key.dst);
    const std::uint32_t line = permit_line(lines, view, src, dst);
    if (line != kLineWalk) {
      lines.read(view.permit_lines, std::size_t{line} * PermitLine::kToggles);
    }
  }
  return lines.bytes();
}

double floor_mlps(unsigned loads, std::size_t bytes) {
  std::mt19937 random(2);
  // A permutation: chains never run into each other, so every line stays in use.
  std::vector<std::uint32_t> words(std::max<std::size_t>(kLine, bytes) / sizeof(std::uint32_t));
  std::iota(words.begin(), words.end(), 0U);
  std::ranges::shuffle(words, random);
  double best = best_mlps(loads, words, follow_scalar);
#if defined(__x86_64__)
  if (supported(Isa::avx512)) {
    best = std::max(best, best_mlps(loads, words, follow_avx512));
  }
#endif
  return best;
}

}  // namespace portcullis::bench
