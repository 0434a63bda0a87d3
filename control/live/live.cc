// SPDX-License-Identifier: MIT
#include "control/live/live.h"

#include <algorithm>
#include <iterator>
#include <utility>

namespace portcullis::control {
namespace {

/// Objects that came and went, in the digest; `forward`: they do, else that is taken back.
void change(policy::ContentDigest& digest, const policy::Changed& changed, bool forward) {
  const auto enter_all = [&](const auto& list) {
    for (const auto& one : list) {
      if (const auto& gone = forward ? one.before : one.after) {
        digest.remove(*gone);
      }
      if (const auto& come = forward ? one.after : one.before) {
        digest.add(*come);
      }
    }
  };
  enter_all(changed.pods);
  enter_all(changed.policies);
}

}  // namespace

Live::Live(const std::shared_ptr<const policy::Snapshot>& snapshot,
           policy::ContentDigest digest,
           const policy::Lowered& lowered,
           classifier::Updater updater,
           std::shared_ptr<NamespaceQuotas> quotas)
    : world_(std::make_shared<policy::World>(snapshot)),
      digest_(std::move(digest)),
      roster_(*snapshot, lowered),
      rulebook_(snapshot, lowered),
      updater_(std::move(updater)),
      quotas_(std::move(quotas), *snapshot) {}

Result<std::unique_ptr<Live>> Live::start(const std::shared_ptr<const policy::Snapshot>& snapshot,
                                          policy::ContentDigest digest,
                                          const policy::Lowered& lowered,
                                          const classifier::CompileOptions& options,
                                          std::shared_ptr<NamespaceQuotas> quotas) {
  PORTCULLIS_TRY(classifier::Updater updater, classifier::Updater::start(lowered.rules, options));
  return std::unique_ptr<Live>(
      new Live(snapshot, std::move(digest), lowered, std::move(updater), std::move(quotas)));
}

Result<Live::Plan> Live::plan(std::span<const policy::Edit> edits) {
  Plan plan;
  PORTCULLIS_TRY(plan.changed, world_->apply(edits));
  if (auto followed = follow(plan); !followed) {
    world_->take_back(plan.changed);
    return tl::unexpected(std::move(followed).error());
  }
  change(digest_, plan.changed, true);
  plan.digest = digest_.text();
  return plan;
}

Result<void> Live::follow(Plan& plan) const {
  PORTCULLIS_TRY(plan.pods, roster_.plan(plan.changed.pods, [this](const policy::PodTraits& pod) {
    return rulebook_.sets_of(pod);
  }));
  plan.why_whole = plan.pods.why_whole;
  for (const auto& changed : plan.changed.policies) {
    for (const auto& policy : {changed.before, changed.after}) {
      if (plan.why_whole.empty() && policy) {
        plan.why_whole = roster_.why_whole(*policy);
      }
    }
  }
  if (!plan.why_whole.empty()) {
    return {};
  }
  plan.policies = rulebook_.plan(plan.changed.policies, roster_, plan.pods);
  plan.delta = plan.policies.delta;
  plan.delta.endpoints = plan.pods.delta.endpoints;
  // A set that is gone, or another's, has been said as a whole.
  std::copy_if(plan.pods.delta.memberships.begin(),
               plan.pods.delta.memberships.end(),
               std::back_inserter(plan.delta.memberships),
               [&](const classifier::Membership& membership) {
                 return std::none_of(plan.delta.sets.begin(),
                                     plan.delta.sets.end(),
                                     [&](const auto& set) { return set.index == membership.set; });
               });
  return {};
}

Result<classifier::UpdateReport> Live::update(const Plan& plan) {
  PORTCULLIS_TRY(classifier::UpdateReport report, updater_.update(plan.delta));
  enter(plan);
  return report;
}

void Live::enter(const Plan& plan) {
  roster_.enter(plan.pods);
  rulebook_.enter(plan.policies);
  for (const classifier::SetIndex set : plan.policies.gone_sets) {
    roster_.leave(set);
  }
  for (const policy::Rulebook::NewSet& set : plan.policies.new_sets) {
    roster_.join(set.index, set.set.words);
  }
  quotas_.follow(plan.changed.pods);
}

void Live::take_back(const Plan& plan) {
  change(digest_, plan.changed, false);
  world_->take_back(plan.changed);
}

Result<void> Live::undo(const Plan& plan) {
  take_back(plan);
  Plan reverse{.changed = plan.changed};
  const auto turn = [](auto& list) {
    for (auto& one : list) {
      std::swap(one.before, one.after);
    }
  };
  turn(reverse.changed.pods);
  turn(reverse.changed.policies);
  PORTCULLIS_TRY_VOID(follow(reverse));
  if (!reverse.why_whole.empty()) {
    return fail(reverse.why_whole);
  }
  PORTCULLIS_TRY_VOID(updater_.update(reverse.delta));
  enter(reverse);
  return {};
}

policy::Lowered Live::lowered() const {
  return {.rules = updater_.rules(),
          .provenance = rulebook_.provenance(),
          .endpoints = roster_.names()};
}

}  // namespace portcullis::control
