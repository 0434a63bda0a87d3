// SPDX-License-Identifier: MIT
// Trie: address entries by 8 bits a level below a root of 8 or 16 bits, grown by painting prefixes.
// Thread: one.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/ip.h"
#include "classifier/layout.h"

namespace portcullis::classifier {

/// Entries painted by prefixes, each of which comes after those that hold it.
class Trie {
 public:
  static constexpr std::size_t kNodeEntries = 256;
  static constexpr std::size_t kRootEntries = 65536;

  /// `root` and `nodes` may be one. REQUIRES: they outlive it; root has 2^root_bits entries.
  Trie(std::vector<std::uint32_t>& root, std::vector<std::uint32_t>& nodes, unsigned root_bits)
      : root_(root), nodes_(nodes), root_bits_(root_bits) {}

  void paint(const IpAddress& address, unsigned length, std::uint32_t address_class) {
    std::vector<std::uint32_t>* level = &root_;
    std::size_t base = 0;
    std::size_t slot = root_bits_ == 16 ? address.bytes[0] * std::size_t{256} + address.bytes[1]
                                        : address.bytes[0];
    unsigned depth = root_bits_;
    while (length > depth) {
      base = child(*level, base + slot) * kNodeEntries;
      level = &nodes_;
      slot = address.bytes[depth / 8];
      depth += 8;
    }
    const auto first = level->begin() + static_cast<std::ptrdiff_t>(base + slot);
    std::fill_n(first, std::size_t{1} << (depth - length), address_class);
  }

 private:
  /// The node below an entry, made with the entry's class throughout if there is none yet.
  std::size_t child(std::vector<std::uint32_t>& level, std::size_t index) {
    const std::uint32_t entry = level[index];
    if ((entry & kChild) != 0) {
      return entry & ~kChild;
    }
    const std::size_t node = nodes_.size() / kNodeEntries;
    level[index] = kChild | static_cast<std::uint32_t>(node);
    nodes_.resize(nodes_.size() + kNodeEntries, entry);
    return node;
  }

  std::vector<std::uint32_t>& root_;
  std::vector<std::uint32_t>& nodes_;
  unsigned root_bits_;
};

}  // namespace portcullis::classifier
