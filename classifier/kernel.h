// SPDX-License-Identifier: MIT
// The walk from keys to verdicts, once for every instruction set: a kernel adds only primitives on
// lanes of 32 bits.
// Thread: any number; a table is never written. No allocation, lock, system call or exception.
//
// Everything here is a template over the kernel, and a kernel's type lives in an anonymous
// namespace: code made for a wide instruction set can never be linked in where a narrower runs.
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "base/limits.h"
#include "classifier/key.h"
#include "classifier/layout.h"
#include "classifier/verdict.h"

namespace portcullis::classifier {

// clang-format off
template <typename K>
concept Kernel = requires(typename K::Lanes lanes, typename K::Mask mask, std::uint32_t* out,
                          const std::uint32_t* words, const std::uint8_t* bytes,
                          const PortLine* lines) {
  requires limits::kBurstMax % K::kLanes == 0;
  { K::load(words) } -> std::same_as<typename K::Lanes>;
  K::store(out, lanes);
  { K::splat(0U) } -> std::same_as<typename K::Lanes>;
  { K::add(lanes, lanes) } -> std::same_as<typename K::Lanes>;
  { K::bit_and(lanes, lanes) } -> std::same_as<typename K::Lanes>;
  { K::lane_numbers() } -> std::same_as<typename K::Lanes>;
  { K::shift_left(lanes, 0U) } -> std::same_as<typename K::Lanes>;
  { K::shift_right(lanes, 0U) } -> std::same_as<typename K::Lanes>;
  // 1 << lane; only the low five bits of each lane count.
  { K::bit(lanes) } -> std::same_as<typename K::Lanes>;
  { K::popcount(lanes) } -> std::same_as<typename K::Lanes>;
  // By lane: (a & b) != 0.
  { K::any(lanes, lanes) } -> std::same_as<typename K::Mask>;
  // By lane: a < b, unsigned.
  { K::less(lanes, lanes) } -> std::same_as<typename K::Mask>;
  { K::mask_not(mask) } -> std::same_as<typename K::Mask>;
  // By lane: mask ? a : b.
  { K::select(mask, lanes, lanes) } -> std::same_as<typename K::Lanes>;
  // By lane: words[index].
  { K::gather(words, lanes) } -> std::same_as<typename K::Lanes>;
  // By lane: mask ? words[index] : otherwise. Where the mask is clear, words[0] may be read.
  { K::gather_where(mask, words, lanes, lanes) } -> std::same_as<typename K::Lanes>;
  // By lane: four bytes, little-endian, from bytes + offset.
  { K::gather_bytes(bytes, lanes) } -> std::same_as<typename K::Lanes>;
  // Writes the lanes of the mask one after another, and anything in the rest of a vector's room.
  // Returns how many there are.
  { K::append(out, mask, lanes) } -> std::same_as<std::size_t>;
  // By lane: an outcome followed through port lines to its decision.
  { K::follow_lines(lines, lanes, lanes) } -> std::same_as<typename K::Lanes>;
};
// clang-format on

template <Kernel K>
class Walk {
 public:
  /// Shapes: keys[n], verdicts[n]; n <= kBurstMax.
  static void run(const TableView& table, const Key4* keys, std::size_t n, Verdict* verdicts) {
    Burst burst;
    alignas(64) std::uint32_t src[kMax];
    alignas(64) std::uint32_t dst[kMax];
    for (std::size_t i = 0; i < n; ++i) {
      src[i] = keys[i].src;
      dst[i] = keys[i].dst;
      burst.port_key[i] = port_key(keys[i]);
    }
    pad(src, n);
    pad(dst, n);
    classes_v4(table, src, n, burst.src_class);
    classes_v4(table, dst, n, burst.dst_class);
    finish(table, burst, keys, n, verdicts);
  }

  static void run(const TableView& table, const Key6* keys, std::size_t n, Verdict* verdicts) {
    Burst burst;
    for (std::size_t i = 0; i < n; ++i) {
      burst.port_key[i] = port_key(keys[i]);
      burst.src_class[i] = class_v6(table, bytes_of(keys[i].src));
      burst.dst_class[i] = class_v6(table, bytes_of(keys[i].dst));
    }
    finish(table, burst, keys, n, verdicts);
  }

 private:
  using Lanes = typename K::Lanes;
  using Mask = typename K::Mask;
  static constexpr std::size_t kMax = limits::kBurstMax;

  /// What a burst carries from stage to stage; lanes past its end hold class 0.
  struct Burst {
    alignas(64) std::uint32_t src_class[kMax];
    alignas(64) std::uint32_t dst_class[kMax];
    alignas(64) std::uint32_t port_key[kMax];
    alignas(64) std::uint32_t egress[kMax];
    alignas(64) std::uint32_t ingress[kMax];
  };

  template <typename Key>
  static std::uint32_t port_key(const Key& key) {
    return (std::uint32_t{key.protocol} << 16U) | key.dst_port;
  }

  /// Makes the lanes up to a whole vector readable.
  static void pad(std::uint32_t* words, std::size_t n) {
    for (; n % K::kLanes != 0; ++n) {
      words[n] = 0;
    }
  }

  /// An address in the window takes one load. The others are gathered up and take the trie.
  static void classes_v4(const TableView& table,
                         const std::uint32_t* addresses,
                         std::size_t n,
                         std::uint32_t* classes) {
    alignas(64) std::uint32_t outside[kMax + K::kLanes];
    alignas(64) std::uint32_t places[kMax + K::kLanes];
    alignas(64) std::uint32_t found[kMax];
    std::size_t count = 0;
    const Lanes to_offset = K::splat(0U - table.window_first);
    const Lanes size = K::splat(table.window_size);
    for (std::size_t i = 0; i < n; i += K::kLanes) {
      const Lanes address = K::load(addresses + i);
      const Lanes offset = K::add(address, to_offset);
      const Mask inside = K::less(offset, size);
      const Lanes byte = K::shift_left(K::select(inside, offset, K::splat(0)), table.window_shift);
      K::store(classes + i,
               K::bit_and(K::gather_bytes(table.window_v4, byte), K::splat(table.window_mask)));
      const Mask others = K::mask_not(inside);
      const Lanes place = K::add(K::lane_numbers(), K::splat(static_cast<std::uint32_t>(i)));
      K::append(places + count, others, place);
      count += K::append(outside + count, others, address);
    }
    pad(outside, count);
    trie_classes_v4(table, outside, count, found);
    for (std::size_t i = 0; i < count; ++i) {
      classes[places[i]] = found[i];
    }
  }

  /// One loop a level, so that the loads of a whole burst are under way together.
  static void trie_classes_v4(const TableView& table,
                              const std::uint32_t* addresses,
                              std::size_t n,
                              std::uint32_t* classes) {
    for (std::size_t i = 0; i < n; i += K::kLanes) {
      K::store(classes + i, K::gather(table.root_v4, K::shift_right(K::load(addresses + i), 16)));
    }
    for (const unsigned shift : {8U, 0U}) {
      for (std::size_t i = 0; i < n; i += K::kLanes) {
        const Lanes entry = K::load(classes + i);
        const Lanes byte =
            K::bit_and(K::shift_right(K::load(addresses + i), shift), K::splat(0xff));
        // The shift drops kChild and leaves the node's first entry.
        const Lanes index = K::add(K::shift_left(entry, 8), byte);
        K::store(classes + i,
                 K::gather_where(K::any(entry, K::splat(kChild)), table.nodes_v4, index, entry));
      }
    }
  }

  // No std::array member functions: they are shared inline functions of the kind that the head of
  // this file forbids.
  static const std::uint8_t* bytes_of(const decltype(Key6::src)& address) {
    return reinterpret_cast<const std::uint8_t*>(&address);
  }

  static std::uint64_t read_word(const std::uint8_t* bytes) {
    std::uint64_t word = 0;
    std::memcpy(&word, bytes, sizeof(word));
    return word;
  }

  /// The slot that holds the address, or an empty one.
  static const Host6& host_v6(const TableView& table, const std::uint8_t* address) {
    const std::uint64_t high = read_word(address);
    const std::uint64_t low = read_word(address + 8);
    std::uint32_t slot = hash_v6(high, low) & table.hosts_v6_mask;
    while (true) {
      const Host6& host = table.hosts_v6[slot];
      const std::uint8_t* bytes = bytes_of(host.address);
      if (host.address_class == kNoClass ||
          (read_word(bytes) == high && read_word(bytes + 8) == low)) {
        return host;
      }
      slot = (slot + 1) & table.hosts_v6_mask;
    }
  }

  static std::uint32_t class_v6(const TableView& table, const std::uint8_t* address) {
    const Host6& host = host_v6(table, address);
    if (host.address_class != kNoClass) {
      return host.address_class;
    }
    std::uint32_t entry = table.nodes_v6[address[0]];
    for (std::size_t i = 1; (entry & kChild) != 0; ++i) {
      entry = table.nodes_v6[(entry << 8U) + address[i]];
    }
    return entry;
  }

  template <typename Key>
  static void finish(
      const TableView& table, Burst& burst, const Key* keys, std::size_t n, Verdict* verdicts) {
    pad(burst.src_class, n);
    pad(burst.dst_class, n);
    pad(burst.port_key, n);
    const auto* sources = reinterpret_cast<const std::uint32_t*>(table.sources);
    const auto* destinations = reinterpret_cast<const std::uint32_t*>(table.destinations);
    // As subject a class gives words 0 and 1 of its record, as peer word 2.
    const Role src{sources, burst.src_class};
    const Role dst{destinations, burst.dst_class};
    half(table, src, dst, n, burst.egress);
    half(table, dst, src, n, burst.ingress);
    for (std::size_t i = 0; i < n; ++i) {
      if (is_fork(burst.egress[i])) {
        burst.egress[i] = resolve_fork(table, burst.egress[i], keys[i]);
      }
      if (is_fork(burst.ingress[i])) {
        burst.ingress[i] = resolve_fork(table, burst.ingress[i], keys[i]);
      }
    }
    for (std::size_t i = 0; i < n; i += K::kLanes) {
      const Lanes key = K::load(burst.port_key + i);
      K::store(burst.egress + i, K::follow_lines(table.lines, K::load(burst.egress + i), key));
      K::store(burst.ingress + i, K::follow_lines(table.lines, K::load(burst.ingress + i), key));
    }
    for (std::size_t i = 0; i < n; ++i) {
      verdicts[i].egress.bits = burst.egress[i];
      verdicts[i].ingress.bits = burst.ingress[i];
      if (same_address(keys[i]) && table.sources[burst.src_class[i]].is_workload != 0) {
        verdicts[i].egress.bits = kSelf;
        verdicts[i].ingress.bits = kSelf;
      }
    }
  }

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

  static constexpr std::uint32_t kSelf =
      Decision::kAllowed | static_cast<std::uint32_t>(Builtin::self);

  static bool is_fork(std::uint32_t outcome) {
    return (outcome & (kFork | kReference)) == (kFork | kReference);
  }

  /// Only flows between a workload and some node come here, so a slow exact answer will do.
  template <typename Key>
  static std::uint32_t resolve_fork(const TableView& table, std::uint32_t outcome, const Key& key) {
    const Fork& fork = table.forks[outcome & kReferenceIndex];
    const std::uint32_t node = node_of(table, key.src);
    return node != kNoClass && node == node_of(table, key.dst) ? fork.own_node : fork.ordinary;
  }

  static std::uint32_t node_of(const TableView& table, std::uint32_t address) {
    std::uint32_t slot = hash_v4(address) & table.owners_v4_mask;
    while (table.owners_v4[slot].node != kNoClass && table.owners_v4[slot].address != address) {
      slot = (slot + 1) & table.owners_v4_mask;
    }
    return table.owners_v4[slot].node;
  }
  static std::uint32_t node_of(const TableView& table, const decltype(Key6::src)& address) {
    return host_v6(table, bytes_of(address)).node;
  }

  static bool same_address(const Key4& key) { return key.src == key.dst; }
  static bool same_address(const Key6& key) {
    return std::memcmp(&key.src, &key.dst, sizeof(key.src)) == 0;
  }
};

}  // namespace portcullis::classifier
