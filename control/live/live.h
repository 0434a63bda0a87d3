// SPDX-License-Identifier: MIT
// Live: the content that runs, in a form in which single objects change at the cost of what
// changes: the world, who is which endpoint, which policy is which rules, the digest, and the
// table's updater, and whose flows count against which namespace's quota.
// Thread: one at a time.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "classifier/update.h"
#include "control/quota/namespace_quotas.h"
#include "policy/digest.h"
#include "policy/edit.h"
#include "policy/lower.h"
#include "policy/lowering/roster.h"
#include "policy/lowering/rulebook.h"
#include "policy/world.h"

namespace portcullis::control {

class Live {
 public:
  /// `digest` and `lowered` are of `snapshot`, with what else there is of rules. Compiles it.
  /// `quotas` may be null.
  /// Errors: those of compile().
  static Result<std::unique_ptr<Live>> start(
      const std::shared_ptr<const policy::Snapshot>& snapshot,
      policy::ContentDigest digest,
      const policy::Lowered& lowered,
      const classifier::CompileOptions& options,
      std::shared_ptr<NamespaceQuotas> quotas);

  /// Edits that the world has taken, but the table has not.
  struct Plan {
    policy::Changed changed;
    std::string digest;     // Of the content with them.
    std::string why_whole;  // Not empty: update() cannot take them, all must be compiled anew.
    policy::Roster::Entry pods;
    policy::Rulebook::Entry policies;
    classifier::RuleDelta delta;  // Of both.
  };
  /// Errors: World::apply()'s, or an address would have two owners; nothing has changed then.
  Result<Plan> plan(std::span<const policy::Edit> edits);
  /// Brings the table to the plan; from then on a packet may see it. REQUIRES: nothing is
  /// `why_whole`. Errors: those of Updater::update(); the table is as before then.
  Result<classifier::UpdateReport> update(const Plan& plan);
  /// Takes a plan out of the world again. REQUIRES: it is the last one, and update() has not
  /// taken it.
  void take_back(const Plan& plan);
  /// Takes a plan out of the world and the table. REQUIRES: it is the last one, and update() has
  /// taken it. Errors: as update(); this is of no use then.
  Result<void> undo(const Plan& plan);

  /// Whoever has world() keeps it as it is: what follows is another's.
  void part_from_world() { world_ = std::make_shared<policy::World>(*world_); }

  /// The newest table, in a handle of its own.
  [[nodiscard]] std::shared_ptr<const classifier::Table> table() const { return updater_.table(); }
  /// Null where there are no quotas; the newest.
  [[nodiscard]] std::shared_ptr<const dataplane::NamespaceMap> namespaces() const {
    return quotas_.map();
  }
  [[nodiscard]] const std::shared_ptr<policy::World>& world() const { return world_; }
  [[nodiscard]] const policy::ContentDigest& digest() const { return digest_; }
  /// What runs, as lower() would say it but for the order of endpoints and rules, and for free
  /// slots among them. Costs a copy.
  [[nodiscard]] policy::Lowered lowered() const;
  /// Places of policies' rules, with the free ones.
  [[nodiscard]] std::size_t rule_slots() const { return updater_.rules().rules.size(); }

 private:
  Live(const std::shared_ptr<const policy::Snapshot>& snapshot,
       policy::ContentDigest digest,
       const policy::Lowered& lowered,
       classifier::Updater updater,
       std::shared_ptr<NamespaceQuotas> quotas);
  /// What the objects mean for the rules. Errors: an address would have two owners.
  Result<void> follow(Plan& plan) const;
  void enter(const Plan& plan);

  std::shared_ptr<policy::World> world_;
  policy::ContentDigest digest_;
  policy::Roster roster_;
  policy::Rulebook rulebook_;
  classifier::Updater updater_;
  QuotaMap quotas_;
};

}  // namespace portcullis::control
