// SPDX-License-Identifier: MIT
// SetPool: keeps equal address sets and equal port sets of a RuleSet once.
// Thread: one.
#pragma once

#include <cstddef>
#include <map>
#include <unordered_map>

#include "classifier/rule.h"

namespace portcullis::policy {

/// Sorts the ranges and merges those that touch, so that equal port sets compare equal.
void normalise(classifier::PortSet& ports);

class SetPool {
 public:
  /// `rules` must outlive this; its `sets` and `port_sets` are appended to by nobody else.
  explicit SetPool(classifier::RuleSet& rules) : rules_(rules) {}

  /// REQUIRES: set.endpoints sorted and unique.
  classifier::SetIndex intern(classifier::AddressSet set);
  classifier::PortsIndex intern(classifier::PortSet ports);

 private:
  classifier::RuleSet& rules_;
  std::unordered_multimap<std::size_t, classifier::SetIndex> sets_;  // By hash of the content.
  std::map<classifier::PortSet, classifier::PortsIndex> ports_;
};

}  // namespace portcullis::policy
