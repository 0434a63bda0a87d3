// SPDX-License-Identifier: MIT
#include "control/change/effect.h"

#include <utility>

#include "control/conntrack/top.h"
#include "control/flows.h"

namespace portcullis::control {

using dataplane::FlowRequest;
using nlohmann::json;
using Action = FlowRequest::Action;

json count_json(const FlowAnswers& answers) {
  return answers ? json(flows_matched(*answers)) : json();
}

DeniedFlows denied_flows(const Reconcile& reconcile,
                         const Candidate& candidate,
                         std::size_t records_max) {
  DeniedFlows denied;
  denied.answers = reconcile
                       .flows({.action = Action::top,
                               .filter = {.denied_by = candidate.table},
                               .records_max = records_max,
                               .grouped_by = dataplane::GroupedBy::call})
                       .map(summed_up);
  if (denied.answers && flows_matched(*denied.answers) > 0) {
    // By the names of now: a change may take the pods away.
    const auto running = reconcile.snapshot();
    const auto names = running != nullptr ? running : candidate.world->snapshot();
    denied.pairs = pairs_of(denied.answers->front().groups,
                            *names,
                            {.table = *candidate.table, .keys = candidate.rule_keys});
  }
  return denied;
}

json to_json(const DeniedFlows& denied) {
  return {{"denied", count_json(denied.answers)},
          {"pairs", denied.pairs.shown},
          {"pairs_total", denied.pairs.total}};
}

FlowRequest end_overdue(const Reconcile& reconcile) {
  const dataplane::DataplaneStatus plane = reconcile.dataplane();
  return {.action = Action::flush,
          .filter = {.denied_by = reconcile.table(),
                     .judged_since = plane.kept_before,
                     .judged_before = plane.epoch}};
}

FlowRequest settle(std::shared_ptr<const classifier::Table> table,
                   std::uint64_t epoch,
                   Established::Fate fate) {
  const bool ends = fate == Established::Fate::revalidate;
  // What a later table has judged meanwhile is that one's.
  return {.action = ends ? Action::flush : Action::renew,
          .filter = {.denied_by = std::move(table), .judged_before = epoch},
          .renewed_epoch = epoch};
}

FlowRequest count_kept(const Reconcile& reconcile) {
  return {.action = Action::count, .filter = {.judged_before = reconcile.dataplane().kept_before}};
}

}  // namespace portcullis::control
