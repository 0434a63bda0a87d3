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

}  // namespace

LoadSearch::LoadSearch(const SearchOptions& options, MakeTrial make_trial)
    : options_(options), make_trial_(std::move(make_trial)) {}

Result<Found> LoadSearch::find(double loss_max, double hint) {
  const double least = options_.load_max * kLeastShare;
  double low = 0;  // Meets the goal, or is no load at all.
  double high = options_.load_max;
  double load = std::clamp(hint, least, high);
  double step = kFirstStep * options_.precision;
  // Away from the hint until the goal lies between the bounds.
  for (bool first = true, up = false;; step *= kWidening) {
    PORTCULLIS_TRY(const bool met, meets(load, loss_max));
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
    PORTCULLIS_TRY(const bool met, meets(middle, loss_max));
    (met ? low : high) = middle;
  }
  return Found{.load = low};
}

Result<bool> LoadSearch::meets(double load, double loss_max) {
  std::vector<Trial>& trials = made_[load];
  const std::size_t majority = options_.trials_max / 2 + 1;
  const auto good = [&] {
    return static_cast<std::size_t>(std::ranges::count_if(trials, [&](const Trial& trial) {
      return trial.loss() <= loss_max && trial.offered >= kOfferedLeast * load;
    }));
  };
  while (good() < majority && trials.size() - good() < majority) {
    PORTCULLIS_TRY(const Trial trial, make_trial_(load));
    ++trials_;
    if (trial.disturbed && trial.loss() > loss_max && disturbed_ < options_.disturbed_max) {
      ++disturbed_;
      continue;
    }
    trials.push_back(trial);
  }
  return good() >= majority;
}

}  // namespace portcullis::bench
