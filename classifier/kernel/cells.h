// SPDX-License-Identifier: MIT
// The two forms of permit rows, cells and defaults, as lanes find them; layout.h draws them.
#pragma once

#include <cstddef>
#include <cstdint>

#include "classifier/kernel/kernel.h"

namespace portcullis::classifier {

/// What cells say of a vector of flows: who has one, and what line() wants to hear of it.
template <Kernel K>
struct FoundCells {
  typename K::Mask hit;
  typename K::Lanes at;
};

template <Kernel K>
struct NarrowCells {
  using Lanes = typename K::Lanes;
  static constexpr std::uint32_t kWalk = kLineWalk & kCellLine;

  static Lanes rows(const TableView& table, Lanes src) { return K::gather(table.permit_rows, src); }
  static std::uint32_t row(const TableView& table, std::uint32_t src) {
    return table.permit_rows[src];
  }
  static FoundCells<K> find(const TableView& table, Lanes row, Lanes, Lanes dst) {
    const Lanes place = K::add(K::bit_and(row, K::splat(kPermitBase)), dst);
    const Lanes cell = K::gather(table.permit_cells, place);
    return {K::equal(K::shift_right(cell, kCellClassShift), dst),
            K::bit_and(cell, K::splat(kCellLine))};
  }
  static std::uint32_t line(const TableView&, std::uint32_t at) { return at; }
  static std::uint32_t source_default(const TableView& table, std::uint32_t src) {
    return table.permit_defaults[src] & 0xffffU;
  }
  static std::uint32_t destination_default(const TableView& table, std::uint32_t dst) {
    return table.permit_defaults[dst] >> 16U;
  }
};

/// Lanes look at the first word of a cell only; few flows want the second. A cell that a filter
/// rules out is not read: place 0 is instead, which stays in the cache.
template <Kernel K>
struct WideCells {
  using Lanes = typename K::Lanes;
  using Mask = typename K::Mask;
  static constexpr std::uint32_t kWalk = kLineWalk;

  static Lanes rows(const TableView& table, Lanes src) {
    return K::gather(table.permit_rows, K::shift_left(src, kWideRowShift));
  }
  static std::uint32_t row(const TableView& table, std::uint32_t src) {
    return table.permit_rows[std::size_t{src} << kWideRowShift];
  }
  static FoundCells<K> find(const TableView& table, Lanes row, Lanes src, Lanes dst) {
    const Lanes record = K::shift_left(src, kWideRowShift);
    const Lanes shared = K::gather(table.permit_rows + 1, record);
    const Lanes bit = K::bit(K::shift_right(dst, kFilterShift));
    const Mask may_own = K::any(K::gather(table.permit_rows + 2, record), bit);
    const Mask may_share = K::any(K::gather(table.permit_rows + 3, record), bit);
    const Lanes own_at = word_of(may_own, K::bit_and(row, K::splat(kPermitBase)), dst);
    const Lanes shared_at = word_of(may_share, shared, dst);
    const Lanes own_word = K::gather(table.permit_cells, own_at);
    const Mask own =
        K::mask_and(may_own, K::equal(K::bit_and(own_word, K::splat(kCellDefault - 1)), dst));
    const Mask by_default = K::mask_and(own, K::any(own_word, K::splat(kCellDefault)));
    const Mask by_shared =
        K::mask_and(may_share, K::equal(K::gather(table.permit_cells, shared_at), dst));
    return {K::mask_and(K::mask_or(own, by_shared), K::mask_not(by_default)),
            K::select(own, own_at, shared_at)};
  }
  static std::uint32_t line(const TableView& table, std::uint32_t at) {
    return table.permit_cells[std::size_t{at} + 1];
  }
  static std::uint32_t source_default(const TableView& table, std::uint32_t src) {
    return table.permit_defaults[std::size_t{src} * 2];
  }
  static std::uint32_t destination_default(const TableView& table, std::uint32_t dst) {
    return table.permit_defaults[std::size_t{dst} * 2 + 1];
  }

 private:
  static Lanes word_of(Mask asked, Lanes base, Lanes dst) {
    return K::select(asked, K::shift_left(K::add(base, dst), 1), K::splat(0));
  }
};

}  // namespace portcullis::classifier
