// SPDX-License-Identifier: MIT
// Generation: everything that is published as one. Const from birth; a packet sees one whole.
// Owner: the TableSlot that published it, until its grace period ends.
#pragma once

#include <cstdint>
#include <memory>

#include "classifier/table.h"

namespace portcullis::dataplane {

class NamespaceMap;

struct Generation {
  /// Grows by one with each table; a flow judged under another epoch is judged again,
  std::uint64_t epoch = 0;
  /// unless that is an earlier one than this: it goes on as it was judged then. 0: none does.
  std::uint64_t kept_before = 0;
  std::shared_ptr<const classifier::Table> table;  // Shared with questions about flows under it.
  /// Rule ids of the table: built-in ones and rules. Sizes the workers' per-rule counters.
  std::size_t rule_ids = 0;
  /// Whose flows those of an address are; null: no namespace has a quota. Like the table's address
  /// maps it changes by single stores.
  std::shared_ptr<const NamespaceMap> namespaces;
};

}  // namespace portcullis::dataplane
