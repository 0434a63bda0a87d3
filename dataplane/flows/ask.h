// SPDX-License-Identifier: MIT
// Asking all workers about their flows, and waiting for what they say.
// Thread: one asker at a time, any; never a worker, and not one that others wait for.
#pragma once

#include <chrono>
#include <span>
#include <vector>

#include "base/result.h"
#include "dataplane/flows/query.h"
#include "dataplane/flows/record.h"

namespace portcullis::dataplane {

/// Shapes: result[i] is of workers[i], without its processor.
/// Errors: a worker has not answered in time; no worker goes on with the question then, but a flush
/// may have ended flows already.
/// Cost:   sleeps meanwhile, a millisecond at most at a time.
Result<std::vector<FlowAnswer>> ask_flows(std::span<FlowMailbox* const> workers,
                                          const FlowRequest& request,
                                          std::chrono::milliseconds patience);

}  // namespace portcullis::dataplane
