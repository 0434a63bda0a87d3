// SPDX-License-Identifier: MIT
#include "dataplane/flows/ask.h"

#include <algorithm>
#include <memory>
#include <thread>

#include <fmt/format.h>

namespace portcullis::dataplane {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::chrono::microseconds kNapMin{50};
constexpr std::chrono::microseconds kNapMax{1000};

/// Errors: the worker still has what it was asked at the deadline.
Result<void> wait_for(std::span<FlowMailbox* const> workers, Clock::time_point deadline) {
  auto nap = kNapMin;
  for (std::size_t i = 0; i < workers.size(); ++i) {
    while (!workers[i]->empty()) {
      if (Clock::now() >= deadline) {
        return fail(fmt::format("worker {} does not answer", i));
      }
      std::this_thread::sleep_for(nap);
      nap = std::min(nap * 2, kNapMax);
    }
  }
  return {};
}

}  // namespace

Result<std::vector<FlowAnswer>> ask_flows(std::span<FlowMailbox* const> workers,
                                          const FlowRequest& request,
                                          std::chrono::milliseconds patience) {
  const Clock::time_point deadline = Clock::now() + patience;
  // One that was cancelled may still be there. Nothing is asked before all can take it.
  PORTCULLIS_TRY_VOID(wait_for(workers, deadline));
  std::vector<std::shared_ptr<FlowQuery>> queries;
  for (FlowMailbox* const worker : workers) {
    queries.push_back(std::make_shared<FlowQuery>(request));
    worker->post(queries.back());
  }
  if (const auto waited = wait_for(workers, deadline); !waited) {
    for (const std::shared_ptr<FlowQuery>& query : queries) {
      query->cancel();
    }
    const bool flush = request.action == FlowRequest::Action::flush;
    return fail(waited.error().message +
                (flush ? "; flows may have ended all the same" : "; nothing has changed"));
  }
  std::vector<FlowAnswer> answers;
  answers.reserve(queries.size());
  for (std::size_t i = 0; i < queries.size(); ++i) {
    answers.push_back(queries[i]->take());
    workers[i]->clear();  // A table may be asked about, and nobody else need it any more.
  }
  return answers;
}

}  // namespace portcullis::dataplane
