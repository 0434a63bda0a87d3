// SPDX-License-Identifier: MIT
// From classes to permits: one cell for both directions, and for what it leaves to the port one
// line.
#pragma once

#include <cstddef>
#include <cstdint>

#include "classifier/kernel/cells.h"
#include "classifier/kernel/some.h"
#include "classifier/kernel/walk.h"

namespace portcullis::classifier {

template <Kernel K>
class PermitStage {
 public:
  /// Shapes: keys[n], permits[n]; n <= kBurstMax; `burst` holds the classes of keys.
  template <typename Key>
  static void run(const TableView& table,
                  const KeyBurst<K>& burst,
                  const Key* keys,
                  std::size_t n,
                  Permit* permits) {
    std::uint64_t walked = KeyBurst<K>::bits(n);
    std::uint64_t allowed = 0;
    if (table.permit_rows != nullptr) {
      walked = table.permits_wide ? read<WideCells<K>>(table, burst, n, allowed)
                                  : read<NarrowCells<K>>(table, burst, n, allowed);
    }
    if (walked != 0) {
      allowed |= walk(table, burst, keys, walked);
    }
    store(burst, n, allowed, permits);
  }

 private:
  using Lanes = typename K::Lanes;
  using Mask = typename K::Mask;
  static constexpr std::size_t kMax = limits::kBurstMax;

  /// Flows by who decides them; bit i is flow i.
  struct Open {
    std::uint64_t allowed = 0;    // Nobody any more.
    std::uint64_t lined = 0;      // Their line.
    std::uint64_t defaulted = 0;  // The defaults of both ends.
    std::uint64_t walked = 0;     // The whole walk.
  };

  /// What permits say of a burst. Returns the flows whose permit says to walk. Not inlined: both
  /// forms in one function cost the narrow one 3 %.
  template <typename Cells>
  [[gnu::noinline]] static std::uint64_t read(const TableView& table,
                                              const KeyBurst<K>& burst,
                                              std::size_t n,
                                              std::uint64_t& allowed) {
    alignas(64) std::uint32_t found[kMax];
    Open open = read_cells<Cells>(table, burst, n, found);
    open.lined &= KeyBurst<K>::bits(n);
    open.defaulted &= KeyBurst<K>::bits(n);
    allowed = open.allowed | read_lines<Cells>(table, burst, found, open);
    allowed |= read_defaults<Cells>(table, burst, open);
    return open.walked;
  }

  /// Fills found[i] for flows of Open::lined.
  template <typename Cells>
  static Open read_cells(const TableView& table,
                         const KeyBurst<K>& burst,
                         std::size_t n,
                         std::uint32_t* found) {
    Open open;
    for (std::size_t i = 0; i < n; i += K::kLanes) {
      const Lanes src = K::load(burst.src_class + i);
      // An address asked for twice has one class, even if that changed between the two.
      const Mask same = K::equal(K::load(burst.src_mark + i), K::load(burst.dst_mark + i));
      const Lanes dst = K::select(same, src, K::load(burst.dst_class + i));
      const Lanes row = Cells::rows(table, src);
      const FoundCells<K> cells = Cells::find(table, row, src, dst);
      K::store(found + i, cells.at);
      const Mask missed = K::mask_not(cells.hit);

      const Mask dst_not_open = K::less(dst, K::splat(table.first_open));
      const Mask open_ends =
          K::mask_and(K::any(row, K::splat(kSourceOpen)), K::mask_not(dst_not_open));
      const Mask dst_by_port =
          K::mask_and(dst_not_open, K::mask_not(K::less(dst, K::splat(table.first_by_port))));
      const Mask special = K::mask_or(dst_by_port, K::any(row, K::splat(kSourceSpecial)));
      const Mask self = K::mask_and(same, K::any(row, K::splat(kPermitWorkload)));
      const Mask defaulted = K::mask_and(missed, special);
      const Mask decided = K::mask_and(K::mask_and(missed, open_ends), K::mask_not(special));
      open.allowed |= std::uint64_t{K::bits_of(K::mask_or(self, decided))} << i;
      open.lined |= std::uint64_t{K::bits_of(cells.hit)} << i;
      open.defaulted |= std::uint64_t{K::bits_of(defaulted)} << i;
    }
    return open;
  }

  // Opening::open and ::outside have the first bit in common, ::by_port and ::outside the second.
  static constexpr std::uint32_t kSourceOpen = 2U << kOpeningShift;
  static constexpr std::uint32_t kSourceSpecial = 1U << kOpeningShift;

  static std::uint64_t read_line(const TableView& table, std::uint32_t line, std::uint32_t key) {
    const std::uint32_t* toggles = table.permit_lines + std::size_t{line} * PermitLine::kToggles;
    std::uint32_t reached = K::reached(toggles, key);
    while (reached == PermitLine::kToggles) {
      toggles += PermitLine::kToggles;
      reached = K::reached(toggles, key);
    }
    return reached & 1U;
  }

  template <typename Cells>
  static std::uint64_t read_lines(const TableView& table,
                                  const KeyBurst<K>& burst,
                                  const std::uint32_t* found,
                                  Open& open) {
    std::uint64_t allowed = 0;
    for (std::uint64_t bits = open.lined; bits != 0; bits &= bits - 1) {
      const int i = __builtin_ctzll(bits);
      const std::uint32_t line = Cells::line(table, found[i]);
      if (line == Cells::kWalk) {
        open.walked |= bits & (0 - bits);
        continue;
      }
      allowed |= read_line(table, line, burst.port_key[i]) << i;
    }
    return allowed;
  }

  template <typename Cells>
  static std::uint64_t read_defaults(const TableView& table, const KeyBurst<K>& burst, Open& open) {
    std::uint64_t allowed = 0;
    for (std::uint64_t bits = open.defaulted; bits != 0; bits &= bits - 1) {
      const int i = __builtin_ctzll(bits);
      const std::uint32_t src = burst.src_class[i];
      // As in read_cells().
      const bool same = burst.src_mark[i] == burst.dst_mark[i];
      const std::uint32_t dst = same ? src : burst.dst_class[i];
      const bool from_outside =
          Cells::row(table, src) >> kOpeningShift == static_cast<std::uint32_t>(Opening::outside);
      if (from_outside && dst >= table.first_shut) {
        continue;
      }
      const std::uint32_t as_source = Cells::source_default(table, src);
      const std::uint32_t as_destination = Cells::destination_default(table, dst);
      if (as_source == Cells::kWalk || as_destination == Cells::kWalk) {
        open.walked |= bits & (0 - bits);
        continue;
      }
      const std::uint32_t key = burst.port_key[i];
      allowed |= (read_line(table, as_source, key) & read_line(table, as_destination, key)) << i;
    }
    return allowed;
  }

  /// The rare rest, above all pods and nodes.
  template <typename Key>
  static std::uint64_t walk(const TableView& table,
                            const KeyBurst<K>& burst,
                            const Key* keys,
                            std::uint64_t walked) {
    std::uint64_t allowed = 0;
    const auto ask = [&](const Key* some, std::size_t count, Verdict* verdicts) {
      KeyBurst<K> rest;
      pick(burst, walked, rest);
      WalkStage<K>::run(table, rest, some, count, verdicts);
    };
    ask_some<K, Verdict>(walked, keys, ask, [&allowed](int i, const Verdict& verdict) {
      const std::uint32_t both = verdict.egress.bits & verdict.ingress.bits;
      allowed |= std::uint64_t{both >> 31U} << i;
    });
    return allowed;
  }

  /// What the burst knows of the flows of the set bits.
  static void pick(const KeyBurst<K>& burst, std::uint64_t bits, KeyBurst<K>& out) {
    std::size_t count = 0;
    for (; bits != 0; bits &= bits - 1, ++count) {
      const int i = __builtin_ctzll(bits);
      out.src_class[count] = burst.src_class[i];
      out.dst_class[count] = burst.dst_class[i];
      out.port_key[count] = burst.port_key[i];
      out.src_mark[count] = burst.src_mark[i];
      out.dst_mark[count] = burst.dst_mark[i];
    }
    for (; count % K::kLanes != 0; ++count) {
      out.src_class[count] = 0;
      out.dst_class[count] = 0;
      out.port_key[count] = 0;
    }
  }

  static void store(const KeyBurst<K>& burst,
                    std::size_t n,
                    std::uint64_t allowed,
                    Permit* permits) {
    auto* words = reinterpret_cast<std::uint32_t*>(permits);
    const Lanes flag = K::splat(Permit::kAllowed);
    std::size_t i = 0;
    for (; i + K::kLanes <= n; i += K::kLanes) {
      const Mask mask = K::mask_of(static_cast<std::uint32_t>(allowed >> i));
      const Lanes src = K::load(burst.src_class + i);
      K::store_pairs(
          words + 2 * i, K::select(mask, K::add(src, flag), src), K::load(burst.dst_class + i));
    }
    for (; i < n; ++i) {
      const auto bit = static_cast<std::uint32_t>((allowed >> i) & 1U);
      words[2 * i] = burst.src_class[i] | (bit << 31U);
      words[2 * i + 1] = burst.dst_class[i];
    }
  }
};

}  // namespace portcullis::classifier
