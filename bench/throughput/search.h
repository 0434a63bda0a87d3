// SPDX-License-Identifier: MIT
// Finds the greatest load that loses no more than a goal allows, by trials at chosen loads: the
// throughput of RFC 2544 for a goal of zero (NDR, no drop rate), PDR (partial drop rate) for
// others. Knows nothing of packets.
//
// A trial on a machine that others use may lose packets for no reason of ours. So a load meets a
// goal when most of its trials do, as in MLRsearch with an exceed ratio of one half; and a trial
// that lost too much while the forwarder was kept from its processor, or offered too little for no
// reason, is made again, a bounded number of times in all.
// Thread: one.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <vector>

#include "base/result.h"

namespace portcullis::bench {

/// One constant load for a while. Units: packets, and packets a second.
struct Trial {
  std::uint64_t sent = 0;
  std::uint64_t lost = 0;
  double offered = 0;      // What was really sent a second: the generator has limits too.
  bool disturbed = false;  // The forwarder had to wait for its processor.

  [[nodiscard]] double loss() const {
    return sent == 0 ? 1 : static_cast<double>(lost) / static_cast<double>(sent);
  }
};

struct SearchOptions {
  double load_max = 0;             // That the generator can offer.
  double precision = 0.01;         // Greatest distance of the bounds, as a share of the upper one.
  std::size_t trials_max = 3;      // A load, of which most decide; odd.
  std::size_t disturbed_max = 12;  // Trials that are made again, of all loads.
};

/// A load that met the goal, beside one that did not and is hardly greater.
struct Found {
  double load = 0;       // 0: not even the least load met the goal.
  bool limited = false;  // The generator can offer no more, so the truth may be greater.
};

class LoadSearch {
 public:
  using MakeTrial = std::function<Result<Trial>(double load)>;

  LoadSearch(const SearchOptions& options, MakeTrial make_trial);

  /// `loss_max` is the goal, a share of the packets sent; `hint` is a load to begin at. Trials of
  /// earlier calls count for this one too.
  /// Errors: those of a trial.
  Result<Found> find(double loss_max, double hint);

  [[nodiscard]] std::size_t trials() const { return trials_; }
  [[nodiscard]] std::size_t disturbed() const { return disturbed_; }

 private:
  enum class Verdict : std::uint8_t { met, lost, not_offered };
  Result<Verdict> judge(double load, double loss_max);

  const SearchOptions options_;
  const MakeTrial make_trial_;
  std::map<double, std::vector<Trial>> made_;  // By load.
  std::size_t trials_ = 0;
  std::size_t disturbed_ = 0;
};

}  // namespace portcullis::bench
