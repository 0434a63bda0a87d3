// SPDX-License-Identifier: MIT
#include "control/live/live.h"

#include <utility>

namespace portcullis::control {
namespace {

/// Objects that came and went, in the digest; `forward`: they do, else that is taken back.
void enter(policy::ContentDigest& digest, const policy::Changed& changed, bool forward) {
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

Live::Live(std::shared_ptr<const policy::Snapshot> snapshot,
           policy::ContentDigest digest,
           const policy::Lowered& lowered,
           classifier::Updater updater)
    : world_(std::make_shared<policy::World>(snapshot)),
      digest_(std::move(digest)),
      roster_(*snapshot, lowered),
      provenance_(lowered.provenance),
      updater_(std::move(updater)) {}

Result<std::unique_ptr<Live>> Live::start(std::shared_ptr<const policy::Snapshot> snapshot,
                                          policy::ContentDigest digest,
                                          const policy::Lowered& lowered,
                                          const classifier::CompileOptions& options) {
  PORTCULLIS_TRY(classifier::Updater updater, classifier::Updater::start(lowered.rules, options));
  return std::unique_ptr<Live>(
      new Live(std::move(snapshot), std::move(digest), lowered, std::move(updater)));
}

Result<Live::Plan> Live::plan(std::span<const policy::Edit> edits) {
  Plan plan;
  PORTCULLIS_TRY(plan.changed, world_->apply(edits));
  if (!plan.changed.policies.empty()) {
    plan.why_whole = "policies change";
  } else {
    auto pods = roster_.plan(plan.changed.pods);
    if (!pods) {
      world_->take_back(plan.changed);
      return tl::unexpected(std::move(pods).error());
    }
    plan.pods = *std::move(pods);
    plan.why_whole = plan.pods.why_whole;
  }
  enter(digest_, plan.changed, true);
  plan.digest = digest_.text();
  return plan;
}

Result<classifier::UpdateReport> Live::update(const Plan& plan) {
  PORTCULLIS_TRY(classifier::UpdateReport report, updater_.update(plan.pods.delta));
  roster_.enter(plan.pods);
  return report;
}

void Live::take_back(const Plan& plan) {
  enter(digest_, plan.changed, false);
  world_->take_back(plan.changed);
}

Result<void> Live::undo(const Plan& plan) {
  take_back(plan);
  std::vector<policy::Replaced<policy::Pod>> reverse = plan.changed.pods;
  for (auto& pod : reverse) {
    std::swap(pod.before, pod.after);
  }
  PORTCULLIS_TRY(const policy::Roster::Entry entry, roster_.plan(reverse));
  PORTCULLIS_TRY_VOID(updater_.update(entry.delta));
  roster_.enter(entry);
  return {};
}

policy::Lowered Live::lowered() const {
  return {.rules = updater_.rules(), .provenance = provenance_, .endpoints = roster_.names()};
}

}  // namespace portcullis::control
