// SPDX-License-Identifier: MIT
// Address maps: address -> class, and address -> node for forks, as the table's parts.
// Thread: one.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/result.h"
#include "classifier/compiler/classes.h"
#include "classifier/crew.h"
#include "classifier/layout.h"
#include "classifier/rule.h"

namespace portcullis::classifier {

/// A run of IPv4 addresses that each have an entry of their own, one load from class. It lies where
/// endpoints are densest; the trie knows nothing of endpoints inside it.
struct WindowV4 {
  std::uint32_t first = 0;
  std::vector<std::uint32_t> classes;

  [[nodiscard]] bool covers(std::uint32_t address) const {
    return address - first < classes.size();
  }
};

struct AddressMaps {
  WindowV4 window_v4;
  unsigned entry_shift = 2;  // Of an Entry4 in the table: 1 or 2, for 16 or 32 bits.
  std::vector<std::uint32_t> root_v4;
  std::vector<std::uint32_t> nodes_v4;
  std::vector<Host6> hosts_v6;
  std::vector<std::uint32_t> nodes_v6;
  std::vector<Owner4> owners_v4;

  /// Entries of the window or the trie as they lie in the table.
  [[nodiscard]] std::vector<std::byte> entry_bytes(const std::vector<std::uint32_t>& entries) const;
  [[nodiscard]] std::size_t bytes() const;
};

/// Runs on one thread; `crew` says whether to stop, and the result means nothing then.
/// Errors: more than `bytes_max` bytes.
Result<AddressMaps> map_addresses(const RuleSet& rules,
                                  const Classes& classes,
                                  std::size_t bytes_max,
                                  const Crew& crew);

}  // namespace portcullis::classifier
