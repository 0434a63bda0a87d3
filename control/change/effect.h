// SPDX-License-Identifier: MIT
// What changes do to the flows that are tracked: the questions to the workers, and what is told of
// their answers.
// Thread: requests are made on the control thread; denied_flows() asks and waits, on the lane.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include <nlohmann/json.hpp>

#include "base/result.h"
#include "classifier/table.h"
#include "control/change/established.h"
#include "control/conntrack/pairs.h"
#include "control/reconcile.h"
#include "dataplane/flows/record.h"

namespace portcullis::control {

/// Of all workers. Errors: one has not answered.
using FlowAnswers = Result<std::vector<dataplane::FlowAnswer>>;

/// Null where a worker has not answered.
nlohmann::json count_json(const FlowAnswers& answers);

/// Flows of now that a candidate denies.
struct DeniedFlows {
  FlowAnswers answers;
  FlowPairs pairs;
};
/// With `records_max` of them one by one.
DeniedFlows denied_flows(const Reconcile& reconcile,
                         const Candidate& candidate,
                         std::size_t records_max = 0);
/// {denied, pairs, pairs_total}.
nlohmann::json to_json(const DeniedFlows& denied);

/// Ends the flows that the running table denies and that no packet has told so yet; those that go
/// on in spite of it stay. REQUIRES: something was applied.
dataplane::FlowRequest end_overdue(const Reconcile& reconcile);
/// Once `table` was published in `epoch`, deals with flows that were judged before. To revalidate
/// ends those that it denies; else those that it allows become its own. Counts the denied ones.
dataplane::FlowRequest settle(std::shared_ptr<const classifier::Table> table,
                              std::uint64_t epoch,
                              Established::Fate fate);
/// Counts the flows that go on as an earlier table has judged them.
dataplane::FlowRequest count_kept(const Reconcile& reconcile);

}  // namespace portcullis::control
