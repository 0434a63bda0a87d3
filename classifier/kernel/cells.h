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

/// Two words each. Lanes look at the first word of a cell only; few flows want the second.
template <Kernel K>
struct WideCells {
  using Lanes = typename K::Lanes;
  using Mask = typename K::Mask;
  static constexpr std::uint32_t kWalk = kLineWalk;

  static Lanes rows(const TableView& table, Lanes src) {
    return K::gather(table.permit_rows, K::shift_left(src, 1));
  }
  static std::uint32_t row(const TableView& table, std::uint32_t src) {
    return table.permit_rows[std::size_t{src} * 2];
  }
  static FoundCells<K> find(const TableView& table, Lanes row, Lanes src, Lanes dst) {
    const Lanes shared = K::gather(table.permit_rows + 1, K::shift_left(src, 1));
    const Lanes own_at = K::shift_left(K::add(K::bit_and(row, K::splat(kPermitBase)), dst), 1);
    const Lanes shared_at = K::shift_left(K::add(shared, dst), 1);
    const Lanes own_word = K::gather(table.permit_cells, own_at);
    const Mask own = K::equal(K::bit_and(own_word, K::splat(kCellDefault - 1)), dst);
    const Mask by_default = K::equal(own_word, K::add(dst, K::splat(kCellDefault)));
    const Mask by_shared = K::equal(K::gather(table.permit_cells, shared_at), dst);
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
};

}  // namespace portcullis::classifier
