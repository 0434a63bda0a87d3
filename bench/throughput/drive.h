// SPDX-License-Identifier: MIT
// A pipeline alone, in memory, and the buffers that it is given: what a burst costs.
// Thread: one.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "base/limits.h"
#include "base/result.h"
#include "bench/throughput/attack.h"
#include "bench/throughput/traffic.h"
#include "dataplane/counters.h"
#include "dataplane/pipeline.h"

namespace portcullis::bench {

/// Buffers of a receive queue, as far apart as packet buffers are. What is in them was written just
/// before, as by a device that writes into the cache.
inline constexpr std::size_t kBuffers = 1024;
/// Sets of buffers of one repetition: 262,144 packets.
inline constexpr std::size_t kSlices = 256;

/// One packet to come: of a flow, or the attacker's with this number.
struct Turn {
  std::uint32_t flow = 0;
  Traffic::Step step = Traffic::Step::open;
  Attack::Kind attack = Attack::Kind::none;
};

/// The same step of every flow, in order.
std::vector<Turn> of_every_flow(std::size_t flows, Traffic::Step step);
/// Both directions of every flow in random order; few flows come again and again.
std::vector<Turn> established_turns(std::size_t flows, std::uint64_t seed);

/// Room for so many flows, which do not time out.
config::Conntrack conntrack_for(std::size_t flows);

class Drive {
 public:
  /// `attack` is for turns of its kinds; with it, outcomes are looked at, outside of the measured
  /// time. All outlive the drive.
  Drive(const dataplane::Generation& generation,
        const Traffic& traffic,
        std::size_t flows,
        const Attack* attack = nullptr);

  /// Cycles a packet of each set of buffers. Filling them is not counted.
  std::vector<double> run(std::span<const Turn> turns, std::size_t burst);

  [[nodiscard]] const dataplane::Counters& counters() const { return pipeline_.counters(); }
  /// Packets of flows that were not forwarded, and of attackers that were, since start.
  [[nodiscard]] std::uint64_t good_lost() const { return good_lost_; }
  [[nodiscard]] std::uint64_t attack_passed() const { return attack_passed_; }
  /// Errors: a packet was dropped, or a flow is not known, so that figures would lie.
  [[nodiscard]] Result<void> expect_forwarded() const;

  /// Share of a processor's time that looking for timed-out flows takes, by five minutes of polls
  /// in which none is found and nothing else happens. REQUIRES: nothing is run afterwards.
  double expire_share();

  /// Cycles a packet of each stage since the last call: the median of the sets of buffers.
  std::vector<std::optional<double>> take_stages();

 private:
  using StageTotals = std::array<std::uint64_t, dataplane::kStages>;

  [[nodiscard]] StageTotals stage_totals() const;
  [[nodiscard]] std::uint64_t now_ns() const;
  void fill(std::span<const Turn> turns);
  void process(std::size_t at, std::size_t count);
  void look_at(std::span<const Turn> turns);

  const dataplane::Generation& generation_;
  const Traffic& traffic_;
  const Attack* const attack_;
  const std::size_t flows_;
  dataplane::Pipeline pipeline_;
  std::vector<std::uint64_t> hits_;
  std::vector<std::uint8_t> bytes_;
  std::array<dataplane::Frame, kBuffers> frames_{};
  /// Of all buffers where they are looked at; else of one burst, as in a worker.
  std::vector<dataplane::Outcome> outcomes_;
  std::array<std::vector<double>, dataplane::kStages> stages_;
  std::uint64_t good_lost_ = 0;
  std::uint64_t attack_passed_ = 0;
  const double ns_per_cycle_;
};

}  // namespace portcullis::bench
