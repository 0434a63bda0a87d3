// SPDX-License-Identifier: MIT
#include "bench/throughput/search.h"

#include <algorithm>
#include <utility>

namespace portcullis::bench {
namespace {

/// Loads below this share of the greatest are not tried.
constexpr double kLeastShare = 1.0 / 1024;
/// The first step away from the hint, in precisions; each next one is twice as wide.
constexpr double kFirstStep = 4;
constexpr double kWidening = 2;
/// A load of which less than this share could be offered was beyond the generator.
constexpr double kOfferedLeast = 0.98;
/// Loads up to this share of the greatest are surely within the generator's reach.
constexpr double kWithinReach = 0.9;

}  // namespace

LoadSearch::LoadSearch(const SearchOptions& options, MakeTrial make_trial)
    : options_(options), make_trial_(std::move(make_trial)) {}

Result<Found> LoadSearch::find(double loss_max, double hint) {
  const double least = options_.load_max * kLeastShare;
  double low = 0;  // Meets the goal, or is no load at all.
  double high = options_.load_max;
  double load = std::clamp(hint, least, high);
  double step = kFirstStep * options_.precision;
  bool limited = false;  // The upper bound could not be offered.
  const auto meets = [&](double at) -> Result<bool> {
    PORTCULLIS_TRY(const Verdict verdict, judge(at, loss_max));
    const bool met = verdict == Verdict::met;
    limited = met ? limited : verdict == Verdict::not_offered;
    return met;
  };
  // Away from the hint until the goal lies between the bounds.
  for (bool first = true, up = false;; step *= kWidening) {
    PORTCULLIS_TRY(const bool met, meets(load));
    if (met && load >= options_.load_max) {
      return Found{.load = load, .limited = true};
    }
    if (!met && load <= least) {
      return Found{};
    }
    (met ? low : high) = load;
    if (!std::exchange(first, false) && met != up) {
      break;
    }
    up = met;
    load = std::clamp(
        up ? load * (1 + step) : load * std::max(1 - step, 0.5), least, options_.load_max);
  }
  while (high - low > options_.precision * high) {
    const double middle = (low + high) / 2;
    PORTCULLIS_TRY(const bool met, meets(middle));
    (met ? low : high) = middle;
  }
  return Found{.load = low, .limited = limited};
}

Result<LoadSearch::Verdict> LoadSearch::judge(double load, double loss_max) {
  std::vector<Trial>& trials = made_[load];
  const std::size_t majority = options_.trials_max / 2 + 1;
  std::size_t met = 0;
  std::size_t lost = 0;
  std::size_t not_offered = 0;
  const auto count = [&](const Trial& trial) {
    const bool too_much = trial.loss() > loss_max;
    ++(too_much ? lost : trial.offered < kOfferedLeast * load ? not_offered : met);
  };
  std::ranges::for_each(trials, count);
  while (met < majority && lost + not_offered < majority) {
    PORTCULLIS_TRY(const Trial trial, make_trial_(load));
    ++trials_;
    // A generator that cannot offer what it could before was disturbed itself.
    const bool short_of_load = trial.offered < kOfferedLeast * load && trial.loss() <= loss_max &&
                               load < kWithinReach * options_.load_max;
    const bool kept_away = trial.disturbed && trial.loss() > loss_max;
    if ((kept_away || short_of_load) && disturbed_ < options_.disturbed_max) {
      ++disturbed_;
      continue;
    }
    trials.push_back(trial);
    count(trial);
  }
  if (met >= majority) {
    return Verdict::met;
  }
  return lost >= not_offered ? Verdict::lost : Verdict::not_offered;
}

}  // namespace portcullis::bench
