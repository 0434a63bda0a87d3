// SPDX-License-Identifier: MIT
#include "dataplane/pipeline.h"

#include "base/check.h"
#include "base/limits.h"
#include "dataplane/counters.h"

namespace portcullis::dataplane {

struct Pipeline::State {
  Counters counters;
};

Pipeline::Pipeline(const PipelineOptions& /*options*/) : state_(std::make_unique<State>()) {}
Pipeline::~Pipeline() = default;

void Pipeline::process(const Generation& /*generation*/,
                       std::uint64_t /*now_ns*/,
                       std::span<const Frame> frames,
                       std::span<Outcome> outcomes,
                       std::span<std::uint64_t> /*rule_hits*/) noexcept {
  PORTCULLIS_CHECK(frames.size() <= limits::kBurstMax && outcomes.size() >= frames.size());
  for (std::size_t i = 0; i < frames.size(); ++i) {
    outcomes[i] = {.action = Outcome::Action::drop, .reason = DropReason::unsupported_l3};
  }
}

void Pipeline::expire(std::uint64_t /*now_ns*/) noexcept {}

const Counters& Pipeline::counters() const noexcept {
  return state_->counters;
}

}  // namespace portcullis::dataplane
