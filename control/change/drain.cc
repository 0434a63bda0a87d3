// SPDX-License-Identifier: MIT
#include "control/change/drain.h"

#include <algorithm>
#include <memory>

#include "base/log.h"
#include "control/flows.h"

namespace portcullis::control {

std::chrono::seconds Drain::left(Clock::time_point now) const {
  return std::max(std::chrono::ceil<std::chrono::seconds>(until - now), std::chrono::seconds{0});
}

void Drainer::take_over(std::uint64_t revision,
                        const Established& established,
                        Clock::time_point now) {
  drain_.reset();
  if (established.fate == Established::Fate::drain) {
    drain_ = Drain{.revision = revision, .until = now + established.drain, .counted = now};
  }
}

void Drainer::counted(std::uint64_t revision, const FlowAnswers& kept) {
  if (drain_ && drain_->revision == revision) {
    drain_->flows = kept ? std::optional(flows_matched(*kept)) : std::nullopt;
  }
}

void Drainer::tick(Clock::time_point now) {
  if (!drain_) {
    return;
  }
  if (now >= drain_->until) {
    return end();
  }
  if (now - drain_->counted >= kCountEvery) {
    count(now);
  }
}

void Drainer::count(Clock::time_point now) {
  drain_->counted = now;
  auto kept = std::make_shared<FlowAnswers>();
  lane_.run([this, kept, request = count_kept(reconcile_)] { *kept = reconcile_.flows(request); },
            [this, kept, revision = drain_->revision] { counted(revision, *kept); });
}

/// While the lane rests, as any other publication.
void Drainer::end() {
  lane_.run([] {},
            [this, revision = drain_->revision] {
              if (!drain_ || drain_->revision != revision) {
                return;
              }
              if (const auto ended = reconcile_.end_kept(); !ended) {
                log::error("control: the drain of revision {} does not end, and is tried again: {}",
                           revision,
                           to_string(ended.error()));
                return;
              }
              drain_.reset();
              end_flows(revision);
            });
}

/// Those that wait for their next packet.
void Drainer::end_flows(std::uint64_t revision) {
  auto ended = std::make_shared<FlowAnswers>();
  lane_.run(
      [this, ended, request = end_overdue(reconcile_)] { *ended = reconcile_.flows(request); },
      [ended, revision] {
        log::info("control: the drain of revision {} is over, {} flows ended",
                  revision,
                  count_json(*ended).dump());
      });
}

}  // namespace portcullis::control
