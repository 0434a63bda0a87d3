// SPDX-License-Identifier: MIT
// The first stage of a lookup: a burst of keys to the classes of both ends.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "classifier/kernel/kernel.h"

namespace portcullis::classifier {

/// What a burst carries from stage to stage. Lanes past its end, up to a whole vector, hold some
/// class. A type of each kernel, so that its functions are that kernel's own.
template <Kernel K>
struct KeyBurst {
  static constexpr std::size_t kMax = limits::kBurstMax;
  alignas(64) std::uint32_t src_class[kMax];
  alignas(64) std::uint32_t dst_class[kMax];
  alignas(64) std::uint32_t port_key[kMax];  // protocol << 16 | destination port.
  /// Equal where both ends have the same address. IPv4: the addresses themselves.
  alignas(64) std::uint32_t src_mark[kMax];
  alignas(64) std::uint32_t dst_mark[kMax];

  static_assert(kMax <= 64, "a question to each flow of a burst is a word of bits");
  /// The bits of n flows.
  static std::uint64_t bits(std::size_t n) {
    return n == kMax ? ~std::uint64_t{0} : (std::uint64_t{1} << n) - 1;
  }
};

/// Hands a burst's keys over in lanes, those past its end as zeros:
/// take(number of the first, sources, destinations, ports, the rest).
template <Kernel K, typename Take>
[[gnu::always_inline]] inline void load_burst(const Key4* keys, std::size_t n, Take take) {
  const auto load = [&take](const Key4* some, std::size_t at) {
    typename K::Lanes src;
    typename K::Lanes dst;
    typename K::Lanes ports;
    typename K::Lanes rest;
    K::load_keys(some, src, dst, ports, rest);
    take(at, src, dst, ports, rest);
  };
  std::size_t i = 0;
  for (; i + K::kLanes <= n; i += K::kLanes) {
    load(keys + i, i);
  }
  if (i < n) {
    alignas(64) unsigned char room[K::kLanes * sizeof(Key4)] = {};
    std::memcpy(room, keys + i, (n - i) * sizeof(Key4));
    load(reinterpret_cast<const Key4*>(room), i);
  }
}

template <Kernel K>
class ClassStage {
 public:
  /// Shapes: keys[n]; n <= kBurstMax.
  static void run(const TableView& table, const Key4* keys, std::size_t n, KeyBurst<K>& burst) {
    const auto take = [&burst](std::size_t at, Lanes src, Lanes dst, Lanes ports, Lanes rest) {
      K::store(burst.src_mark + at, src);
      K::store(burst.dst_mark + at, dst);
      const Lanes protocol = K::bit_and(rest, K::splat(0xff'0000));
      K::store(burst.port_key + at, K::add(K::shift_right(ports, 16), protocol));
    };
    load_burst<K>(keys, n, take);
    classes_v4(table, burst.src_mark, n, burst.src_class);
    classes_v4(table, burst.dst_mark, n, burst.dst_class);
  }

  static void run(const TableView& table, const Key6* keys, std::size_t n, KeyBurst<K>& burst) {
    for (std::size_t i = 0; i < n; ++i) {
      const Key6& key = keys[i];
      burst.port_key[i] = (std::uint32_t{key.protocol} << 16U) | key.dst_port;
      burst.src_class[i] = class_v6(table, bytes_of(key.src));
      burst.dst_class[i] = class_v6(table, bytes_of(key.dst));
      burst.src_mark[i] = std::memcmp(&key.src, &key.dst, sizeof(key.src)) == 0 ? 0 : 1;
      burst.dst_mark[i] = 0;
    }
    for (std::size_t i = n; i % K::kLanes != 0; ++i) {
      burst.src_class[i] = 0;
      burst.dst_class[i] = 0;
      burst.port_key[i] = 0;
      burst.src_mark[i] = 1;
      burst.dst_mark[i] = 0;
    }
  }

  /// The endpoint index of the node that an address is of or on, or kNoClass.
  static std::uint32_t node_of(const TableView& table, std::uint32_t address) {
#if !defined(__SANITIZE_THREAD__)  // It knows no fences, and needs none: it sees atomic loads.
    // The node was stored ahead of the class that led here.
    __atomic_thread_fence(__ATOMIC_ACQUIRE);
#endif
    std::uint32_t slot = hash_v4(address) & table.owners_v4_mask;
    while (true) {
      const std::uint64_t owner = load_shared(&table.owners_v4[slot]);
      const auto node = static_cast<std::uint32_t>(owner >> 32U);
      if (node == kNoClass || static_cast<std::uint32_t>(owner) == address) {
        return node;
      }
      slot = (slot + 1) & table.owners_v4_mask;
    }
  }
  static std::uint32_t node_of(const TableView& table, const decltype(Key6::src)& address) {
    return static_cast<std::uint32_t>(host_v6(table, bytes_of(address)) >> 32U);
  }

  /// What a trie of 8 bits a level says of an address; node 0 is its root.
  static std::uint32_t leaf_v6(const std::uint32_t* nodes, const decltype(Key6::src)& address) {
    return leaf_v6(nodes, bytes_of(address));
  }

 private:
  using Lanes = typename K::Lanes;
  using Mask = typename K::Mask;
  static constexpr std::size_t kMax = limits::kBurstMax;

  /// An address in the window takes one load. The others take the trie.
  static void classes_v4(const TableView& table,
                         const std::uint32_t* addresses,
                         std::size_t n,
                         std::uint32_t* classes) {
    std::uint64_t outside = 0;
    const Lanes to_offset = K::splat(0U - table.window_first);
    const Lanes size = K::splat(table.window_size);
    for (std::size_t i = 0; i < n; i += K::kLanes) {
      const Lanes offset = K::add(K::load(addresses + i), to_offset);
      const Mask inside = K::less(offset, size);
      const Lanes byte = K::shift_left(K::select(inside, offset, K::splat(0)), table.entry_shift);
      K::store(classes + i, K::bit_and(gather_entries(table, byte), K::splat(table.entry_mask)));
      outside |= std::uint64_t{K::bits_of(K::mask_not(inside))} << i;
    }
    read_trie(table, addresses, outside, classes);
  }

  // While these parts are read, an update may store to them; see docs/table_format.md, Updates. An
  // entry is loaded by one instruction, so it is the old or the new one. ThreadSanitizer wants to
  // hear of it; where it watches, entries are loaded as what they are.

  /// Two words that are written as one.
  static std::uint64_t load_shared(const void* words) {
    return __atomic_load_n(static_cast<const std::uint64_t*>(words), __ATOMIC_ACQUIRE);
  }

  static std::uint32_t load_entry(const TableView& table, const std::uint8_t* entry) {
#if defined(__SANITIZE_THREAD__)
    if (table.entry_shift == 1) {
      return __atomic_load_n(reinterpret_cast<const std::uint16_t*>(entry), __ATOMIC_ACQUIRE);
    }
    return __atomic_load_n(reinterpret_cast<const std::uint32_t*>(entry), __ATOMIC_ACQUIRE);
#else
    std::uint32_t word = 0;
    std::memcpy(&word, entry, sizeof(word));
    return word & table.entry_mask;
#endif
  }

  static Lanes gather_entries(const TableView& table, Lanes byte) {
    if constexpr (K::kLanes == 1) {
      return load_entry(table, table.window_v4 + byte);
    } else {
      return K::gather_bytes(table.window_v4, byte);
    }
  }

  /// Entry4 number `index`.
  static std::uint32_t entry4(const TableView& table,
                              const std::uint8_t* entries,
                              std::uint32_t index) {
    return load_entry(table, entries + (std::size_t{index} << table.entry_shift));
  }

  /// Classes of the addresses of the set bits. They are few, too few to fill vectors, and a
  /// processor has several of them under way at once: going on to the next level is selected by
  /// arithmetic, since a branch would be random to it.
  static void read_trie(const TableView& table,
                        const std::uint32_t* addresses,
                        std::uint64_t outside,
                        std::uint32_t* classes) {
    const std::uint32_t child = table.entry_mask ^ (table.entry_mask >> 1U);
    const std::uint32_t index_mask = ((table.entry_mask ^ child) << 8U) | 0xffU;
    for (; outside != 0; outside &= outside - 1) {
      const int i = __builtin_ctzll(outside);
      const std::uint32_t address = addresses[i];
      std::uint32_t entry = entry4(table, table.root_v4, address >> 16U);
      for (const unsigned shift : {8U, 0U}) {
        const std::uint32_t goes_on = 0U - static_cast<std::uint32_t>((entry & child) != 0);
        const std::uint32_t index = ((entry << 8U) + ((address >> shift) & 0xffU)) & index_mask;
        const std::uint32_t next = entry4(table, table.nodes_v4, index & goes_on);
        entry ^= (entry ^ next) & goes_on;
      }
      classes[i] = entry;
    }
  }

  // No std::array member functions: they are shared inline functions of the kind that kernel.h
  // forbids.
  static const std::uint8_t* bytes_of(const decltype(Key6::src)& address) {
    return reinterpret_cast<const std::uint8_t*>(&address);
  }

  static std::uint64_t read_word(const std::uint8_t* bytes) {
    std::uint64_t word = 0;
    std::memcpy(&word, bytes, sizeof(word));
    return word;
  }

  /// Class and node, | node 32 | class 32 |, of the slot that holds the address, or of an empty
  /// one.
  static std::uint64_t host_v6(const TableView& table, const std::uint8_t* address) {
    const std::uint64_t high = read_word(address);
    const std::uint64_t low = read_word(address + 8);
    std::uint32_t slot = hash_v6(high, low) & table.hosts_v6_mask;
    while (true) {
      const Host6& host = table.hosts_v6[slot];
      const std::uint64_t found = load_shared(&host.address_class);
      const std::uint8_t* bytes = bytes_of(host.address);
      if (static_cast<std::uint32_t>(found) == kNoClass ||
          (load_shared(bytes) == high && load_shared(bytes + 8) == low)) {
        return found;
      }
      slot = (slot + 1) & table.hosts_v6_mask;
    }
  }

  static std::uint32_t class_v6(const TableView& table, const std::uint8_t* address) {
    const auto found = static_cast<std::uint32_t>(host_v6(table, address));
    if (found != kNoClass) {
      return found;
    }
    return leaf_v6(table.nodes_v6, address);
  }

  static std::uint32_t leaf_v6(const std::uint32_t* nodes, const std::uint8_t* address) {
    std::uint32_t entry = nodes[address[0]];
    for (std::size_t i = 1; (entry & kChild) != 0; ++i) {
      entry = nodes[(entry << 8U) + address[i]];
    }
    return entry;
  }
};

}  // namespace portcullis::classifier
