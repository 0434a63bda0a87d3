// SPDX-License-Identifier: MIT
// Roster: which endpoint of a lowered RuleSet each pod is, and what a pod that comes, goes or moves
// means for it. Pods that no selector and no name of a port can tell apart have one identity, and
// are in the same sets: so the pods of any words are found by identities, however many pods.
// Thread: one at a time.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "base/result.h"
#include "classifier/rule_delta.h"
#include "policy/lower.h"
#include "policy/lowering/set_words.h"
#include "policy/snapshot.h"
#include "policy/world.h"

namespace portcullis::policy {

class Roster {
 public:
  using Sets = std::vector<classifier::SetIndex>;  // Ascending.
  /// The sets of an identity that nobody has yet. Errors: why all must be lowered anew for it.
  using SetsOf = std::function<Result<Sets>(const PodTraits& pod)>;

  /// REQUIRES: `lowered` is of `snapshot`. Neither is needed afterwards.
  Roster(const Snapshot& snapshot, const Lowered& lowered);

 private:
  /// What can be asked of some pods, and who they are.
  struct Identity {
    std::string name_space;
    const Labels* namespace_labels = nullptr;  // Never null. Owner: the Roster.
    Labels labels;                             // Those that any selector asks for.
    std::vector<ContainerPort> ports;          // Those that any rule names.
    Sets sets;
    std::vector<classifier::EndpointIndex> pods;  // Ascending.
  };

 public:
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
      std::string identity_before;  // Empty: it was not there.
      std::string identity_after;   // Empty: it is gone.
    };
    std::vector<Place> places_;
    std::unordered_map<std::string, Identity> fresh_;
  };
  /// Changes nothing. Errors: an address would have two owners.
  [[nodiscard]] Result<Entry> plan(std::span<const Replaced<Pod>> pods,
                                   const SetsOf& sets_of) const;
  /// REQUIRES: nothing was entered since `entry` was planned, and nothing is `why_whole`.
  void enter(const Entry& entry);

  /// Why a policy, as it was or is, needs all lowered anew; empty: it does not.
  [[nodiscard]] std::string why_whole(const NetworkPolicy& policy) const;
  /// What a set of these words holds once `with` is entered.
  [[nodiscard]] classifier::AddressSet contents(const SetWords& words, const Entry& with) const;
  /// As rule_words.h wants it, likewise.
  [[nodiscard]] std::vector<classifier::PortSet> meanings(const SetWords& words,
                                                          const Entry& with) const;
  /// A set begins, or ceases, to be one of these words.
  void join(classifier::SetIndex set, const SetWords& words);
  void leave(classifier::SetIndex set);

  /// Names of all endpoints; those of free slots are empty.
  [[nodiscard]] const std::vector<EndpointName>& names() const { return names_; }

 private:
  struct Planning;

  void read_pods(const Snapshot& snapshot, const Lowered& lowered);
  [[nodiscard]] Identity identity_of(const Pod& pod) const;
  [[nodiscard]] std::string why_whole(const Pod* pod) const;
  [[nodiscard]] classifier::Endpoint endpoint_of(const Pod& pod) const;
  [[nodiscard]] static PodTraits traits_of(const Identity& identity);
  Identity& add_identity(const std::string& key, Identity identity);
  void remove_identity(const std::string& key);
  /// Calls visit(identity) for those that the words hold.
  template <typename Visit>
  void visit_identities(const SetWords& words, Visit visit) const;

  /// What selectors and rules ask of a pod, beside its namespace.
  std::unordered_set<std::string> label_keys_;
  std::unordered_set<std::string> port_names_;
  bool names_ports_of_blocks_ = false;  // A pod's address may decide what a named port means.

  std::unordered_map<std::string, Labels> namespaces_;    // Labels of Namespace objects.
  std::unordered_map<std::string, Identity> identities_;  // Those that any pod has, by key_of().
  std::unordered_map<std::string, std::vector<Identity*>> of_namespace_;
  std::unordered_map<std::string, std::vector<IpAddress>> declared_;  // Addresses of Node objects.
  std::unordered_map<std::string, classifier::EndpointIndex> nodes_;
  std::unordered_map<IpAddress, classifier::EndpointIndex> owners_;
  std::unordered_map<std::string, classifier::EndpointIndex> slots_;  // By "namespace/name".
  std::vector<EndpointName> names_;
  std::vector<classifier::EndpointIndex> free_;
};

}  // namespace portcullis::policy
