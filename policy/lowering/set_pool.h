// SPDX-License-Identifier: MIT
// SetPool: keeps address sets of equal words and equal port sets of a RuleSet once.
// Thread: one.
#pragma once

#include <map>
#include <string>
#include <unordered_map>
#include <utility>

#include "classifier/rule.h"

namespace portcullis::policy {

class SetPool {
 public:
  /// `rules` must outlive this; its `sets` and `port_sets` are appended to by nobody else.
  explicit SetPool(classifier::RuleSet& rules) : rules_(rules) {}

  /// The set of this key (set_words.h); contents() is asked for its first time.
  template <typename Contents>
  classifier::SetIndex intern(std::string key, Contents contents) {
    const auto [held, fresh] =
        sets_.try_emplace(std::move(key), static_cast<classifier::SetIndex>(rules_.sets.size()));
    if (fresh) {
      rules_.sets.push_back(contents());
    }
    return held->second;
  }
  /// REQUIRES: its ranges are sorted and do not touch.
  classifier::PortsIndex intern(const classifier::PortSet& ports) {
    const auto [held, fresh] =
        ports_.try_emplace(ports, static_cast<classifier::PortsIndex>(rules_.port_sets.size()));
    if (fresh) {
      rules_.port_sets.push_back(ports);
    }
    return held->second;
  }

 private:
  classifier::RuleSet& rules_;
  std::unordered_map<std::string, classifier::SetIndex> sets_;
  std::map<classifier::PortSet, classifier::PortsIndex> ports_;
};

}  // namespace portcullis::policy
