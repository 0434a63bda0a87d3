// SPDX-License-Identifier: MIT
// The methods conntrack.list, top, stats and flush: parameters to a question for the
// workers, and their answers to a result. docs/protocol.md lists the fields.
// Thread: the control thread.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "control/conntrack/top.h"
#include "control/live/view.h"
#include "control/protocol.h"
#include "control/reconcile.h"
#include "control/status.h"
#include "dataplane/flows/record.h"

namespace portcullis::control {

/// What a client asked, understood.
struct FlowQuestion {
  dataplane::FlowRequest request;
  std::vector<std::string> warnings;
  std::size_t limit = 0;  // Of flows or groups in the answer.
  TopWord top;
  std::shared_ptr<const View> view;  // Of the content when it was asked.
};

bool is_flow_method(std::string_view method);

/// `method` is one of the four. Errors: each names the parameter it is about.
tl::expected<FlowQuestion, RpcError> flow_question(std::string_view method,
                                                   const nlohmann::json& params,
                                                   std::shared_ptr<const View> view);

/// The result of the method that was asked. REQUIRES: answers[i] is of worker i; they are
/// summed up where groups were asked for.
nlohmann::json flow_result(const FlowQuestion& question,
                           std::span<const dataplane::FlowAnswer> answers,
                           const Daemon& daemon,
                           const Reconcile& reconcile);

/// Flows as `conntrack.list` tells them, `limit` at most.
nlohmann::json flows_json(std::span<const dataplane::FlowAnswer> answers,
                          std::size_t limit,
                          const Reconcile& reconcile);

/// Of all answers together.
std::uint64_t flows_matched(std::span<const dataplane::FlowAnswer> answers);

}  // namespace portcullis::control
