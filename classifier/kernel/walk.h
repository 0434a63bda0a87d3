// SPDX-License-Identifier: MIT
// From classes to verdicts: each direction's row and column to a cell, its outcome, and the rule it
// names.
#pragma once

#include <cstddef>
#include <cstdint>

#include "classifier/kernel/classes.h"
#include "classifier/verdict.h"

namespace portcullis::classifier {

template <Kernel K>
class WalkStage {
 public:
  /// Shapes: keys[n], verdicts[n]; n <= kBurstMax; `burst` holds the classes of keys.
  template <typename Key>
  static void run(const TableView& table,
                  const KeyBurst<K>& burst,
                  const Key* keys,
                  std::size_t n,
                  Verdict* verdicts) {
    alignas(64) std::uint32_t egress[kMax];
    alignas(64) std::uint32_t ingress[kMax];
    // As subject a class gives words 0 and 1 of its record, as peer word 2.
    const Role src{reinterpret_cast<const std::uint32_t*>(table.sources), burst.src_class};
    const Role dst{reinterpret_cast<const std::uint32_t*>(table.destinations), burst.dst_class};
    half(table, src, dst, n, egress);
    half(table, dst, src, n, ingress);
    for (std::size_t i = 0; i < n; ++i) {
      if (is_fork(egress[i])) {
        egress[i] = resolve_fork(table, egress[i], keys[i]);
      }
      if (is_fork(ingress[i])) {
        ingress[i] = resolve_fork(table, ingress[i], keys[i]);
      }
    }
    follow_lines(table, burst, n, egress);
    follow_lines(table, burst, n, ingress);
    for (std::size_t i = 0; i < n; ++i) {
      // Either: while the address comes or goes, one end may have been looked up before that.
      const bool is_self = burst.src_mark[i] == burst.dst_mark[i] &&
                           (table.sources[burst.src_class[i]].is_workload |
                            table.sources[burst.dst_class[i]].is_workload) != 0;
      verdicts[i].egress.bits = is_self ? kSelf : egress[i];
      verdicts[i].ingress.bits = is_self ? kSelf : ingress[i];
    }
  }

 private:
  using Lanes = typename K::Lanes;
  static constexpr std::size_t kMax = limits::kBurstMax;

  /// One end of the burst's flows: the records of that end and each flow's class.
  struct Role {
    const std::uint32_t* records;
    const std::uint32_t* classes;
  };

  /// One direction: row of the subject's class x column of the peer's class -> outcome.
  static void half(const TableView& table,
                   const Role& subjects,
                   const Role& peers,
                   std::size_t n,
                   std::uint32_t* outcomes) {
    const auto* spans = reinterpret_cast<const std::uint32_t*>(table.spans);
    for (std::size_t i = 0; i < n; i += K::kLanes) {
      const Lanes subject = K::shift_left(K::load(subjects.classes + i), 2);
      const Lanes peer = K::shift_left(K::load(peers.classes + i), 2);
      const Lanes row_spans = K::gather(subjects.records, subject);
      const Lanes row_outcomes = K::gather(subjects.records + 1, subject);
      const Lanes column = K::gather(peers.records + 2, peer);

      const Lanes span = K::shift_left(K::add(row_spans, K::shift_right(column, kSpanBits)), 1);
      const Lanes present = K::gather(spans, span);
      const Lanes first_tile = K::gather(spans + 1, span);
      const Lanes bit = K::bit(K::shift_right(column, kTileBits));
      const Lanes below = K::bit_and(present, K::add(bit, K::splat(0xffff'ffffU)));
      const Lanes tile = K::add(first_tile, K::popcount(below));
      const Lanes lane = K::bit_and(column, K::splat(kTileColumns - 1));
      const Lanes cell = K::select(
          K::any(present, bit), K::add(K::shift_left(tile, kTileBits), lane), K::splat(0));
      const Lanes number =
          K::bit_and(K::gather_bytes(table.tiles, K::shift_left(cell, table.cell_shift)),
                     K::splat(table.cell_mask));
      K::store(outcomes + i, K::gather(table.outcomes, K::add(row_outcomes, number)));
    }
  }

  /// Follows outcomes that depend on the port through port lines to their decisions.
  static void follow_lines(const TableView& table,
                           const KeyBurst<K>& burst,
                           std::size_t n,
                           std::uint32_t* outcomes) {
    std::uint64_t refers = 0;
    for (std::size_t i = 0; i < n; i += K::kLanes) {
      const Lanes outcome = K::load(outcomes + i);
      refers |= std::uint64_t{K::bits_of(K::any(outcome, K::splat(kReference)))} << i;
    }
    // Not the lanes past the end: their forks are not resolved.
    for (refers &= KeyBurst<K>::bits(n); refers != 0; refers &= refers - 1) {
      const int i = __builtin_ctzll(refers);
      std::uint32_t word = outcomes[i];
      do {
        // A line is its eight limits, then its eight outcomes.
        const PortLine* line = table.lines + (word & kReferenceIndex);
        const auto* words = reinterpret_cast<const std::uint32_t*>(line);
        word = words[PortLine::kWays + K::reached(words, burst.port_key[i])];
      } while ((word & kReference) != 0);
      outcomes[i] = word;
    }
  }

  static constexpr std::uint32_t kSelf =
      Decision::kAllowed | static_cast<std::uint32_t>(Builtin::self);

  static bool is_fork(std::uint32_t outcome) {
    return (outcome & (kFork | kReference)) == (kFork | kReference);
  }

  /// Only flows between a workload and some node come here, so a slow exact answer will do.
  template <typename Key>
  static std::uint32_t resolve_fork(const TableView& table, std::uint32_t outcome, const Key& key) {
    const Fork& fork = table.forks[outcome & kReferenceIndex];
    const std::uint32_t node = ClassStage<K>::node_of(table, key.src);
    return node != kNoClass && node == ClassStage<K>::node_of(table, key.dst) ? fork.own_node
                                                                              : fork.ordinary;
  }
};

}  // namespace portcullis::classifier
