// SPDX-License-Identifier: MIT
// Roster: which endpoint of a lowered RuleSet each pod is, and what a pod that comes, goes or moves
// means for it. Pods that no selector and no named port can tell apart are in the same sets: where
// one of them was lowered, another is entered like it, and nothing is lowered again.
// Thread: one at a time.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "base/result.h"
#include "classifier/rule_delta.h"
#include "policy/lower.h"
#include "policy/snapshot.h"
#include "policy/world.h"

namespace portcullis::policy {

class Roster {
 public:
  /// REQUIRES: `lowered` is of `snapshot`. Neither is needed afterwards.
  Roster(const Snapshot& snapshot, const Lowered& lowered);

  /// What pods mean for the rules.
  struct Entry {
    classifier::RuleDelta delta;
    std::string why_whole;  // Not empty: the delta cannot say it, all must be lowered anew.

   private:
    friend class Roster;
    struct Place {
      ObjectKey key;
      classifier::EndpointIndex slot = 0;
      std::vector<IpAddress> before;
      std::vector<IpAddress> after;
      bool is_there = false;
    };
    std::vector<Place> places_;
  };
  /// Changes nothing. Errors: an address would have two owners.
  [[nodiscard]] Result<Entry> plan(std::span<const Replaced<Pod>> pods) const;
  /// REQUIRES: nothing was entered since `entry` was planned, and nothing is `why_whole`.
  void enter(const Entry& entry);

  /// Names of all endpoints; those of free slots are empty.
  [[nodiscard]] const std::vector<EndpointName>& names() const { return names_; }

 private:
  using Sets = std::vector<classifier::SetIndex>;
  struct Planning;

  void read_policies(const Snapshot& snapshot);
  void read_sets(const Snapshot& snapshot, const Lowered& lowered);
  [[nodiscard]] std::string identity_of(const Pod& pod) const;
  [[nodiscard]] const Sets* sets_of(const Pod& pod) const;
  [[nodiscard]] std::string why_whole(const Pod* pod) const;
  [[nodiscard]] classifier::Endpoint endpoint_of(const Pod& pod) const;

  /// What selectors and rules ask of a pod, beside its namespace.
  std::unordered_set<std::string> label_keys_;
  std::unordered_set<std::string> port_names_;
  bool names_ports_of_blocks_ = false;  // A pod's address may decide what a named port means.

  std::unordered_map<std::string, Sets> sets_;                        // By identity.
  std::unordered_map<std::string, std::vector<IpAddress>> declared_;  // Addresses of Node objects.
  std::unordered_map<std::string, classifier::EndpointIndex> nodes_;
  std::unordered_map<IpAddress, classifier::EndpointIndex> owners_;
  std::unordered_map<std::string, classifier::EndpointIndex> slots_;  // By "namespace/name".
  std::vector<EndpointName> names_;
  std::vector<classifier::EndpointIndex> free_;
};

}  // namespace portcullis::policy
