// SPDX-License-Identifier: MIT
#include "control/change/trial.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "base/time_text.h"

namespace portcullis::control {

void Trial::observe(Tally tally, Clock::time_point now) {
  samples_.push_back({.time = now, .tally = std::move(tally)});
  while (samples_.size() > 2 && now - samples_[1].time >= kWindow) {
    samples_.pop_front();
  }
}

void Trial::begin(const Revision& tried, const Revision& base, Terms terms, Clock::time_point now) {
  if (!pending_) {
    pending_ = Pending{.base = base, .before = rates().value_or(Rates{})};
  }
  pending_->tried = tried;
  pending_->terms = std::move(terms);
  pending_->deadline = now + pending_->terms.confirm_within;
  samples_.clear();
}

void Trial::undoing_failed(Clock::time_point now) {
  if (pending_) {
    pending_->undoing = false;
    pending_->deadline = now + kRetry;
    pending_->terms.guards.clear();
  }
}

std::optional<std::string> Trial::reason_to_undo(Clock::time_point now) const {
  if (pending_->undoing) {
    return std::nullopt;
  }
  if (now >= pending_->deadline) {
    return fmt::format("it was not confirmed within {}", span_text(pending_->terms.confirm_within));
  }
  const auto now_rates = rates();
  if (!now_rates) {
    return std::nullopt;
  }
  for (const Guard& guard : pending_->terms.guards) {
    const GuardFigure figure = figure_of(guard, *now_rates, pending_->before);
    if (figure.trips()) {
      const bool is_any = guard.scope == Guard::Scope::any_namespace;
      return fmt::format("guard \"{}\" tripped{}: {:.1f} a second, {:.1f} before",
                         guard.text,
                         is_any ? fmt::format(" in {}", figure.name_space) : "",
                         figure.now,
                         figure.before);
    }
  }
  return std::nullopt;
}

std::chrono::seconds Trial::left(Clock::time_point now) const {
  return std::max(std::chrono::ceil<std::chrono::seconds>(pending_->deadline - now),
                  std::chrono::seconds{0});
}

std::optional<Rates> Trial::rates() const {
  if (samples_.size() < 2) {
    return std::nullopt;
  }
  const std::chrono::duration<double> span = samples_.back().time - samples_.front().time;
  if (span.count() <= 0 || (pending_ && span < kSettle)) {
    return std::nullopt;
  }
  return rates_between(samples_.front().tally, samples_.back().tally, span);
}

}  // namespace portcullis::control
