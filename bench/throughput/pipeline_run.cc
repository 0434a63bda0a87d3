// SPDX-License-Identifier: MIT
#include "bench/throughput/pipeline_run.h"

#include <algorithm>
#include <array>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "base/limits.h"
#include "bench/measure.h"
#include "bench/throughput/attack_run.h"
#include "bench/throughput/cycles.h"
#include "bench/throughput/drive.h"
#include "bench/throughput/traffic.h"
#include "classifier/compile.h"
#include "classifier/verdict.h"
#include "dataplane/pipeline.h"

namespace portcullis::bench {
namespace {

using Step = Traffic::Step;

/// What is measured, and how.
struct Plan {
  const char* name = "";
  std::size_t flows = 0;
  Traffic::Kind kind = Traffic::Kind::udp4;
  const char* figure = "";
  double target = 0;  // None if zero.
  bool quick = true;
};
constexpr std::array<Plan, 7> kPlans{{
    {"1", 1, Traffic::Kind::udp4, "filter_1_flow_cycles"},
    {"100", 100, Traffic::Kind::udp4, "filter_100_flows_cycles"},
    {"10k", 10'000, Traffic::Kind::udp4, "filter_10k_flows_cycles", 40},
    {"10k mixed", 10'000, Traffic::Kind::mixed, "filter_10k_mixed_cycles"},
    {"100k", 100'000, Traffic::Kind::udp4, "filter_100k_flows_cycles"},
    {"1M", 1'000'000, Traffic::Kind::udp4, "filter_1m_flows_cycles", 100},
    {"10M", 10'000'000, Traffic::Kind::udp4, "filter_10m_flows_cycles", 0, false},
}};

class PipelineRun {
 public:
  PipelineRun(const ThroughputOptions& options,
              const dataplane::Generation& generation,
              const World& world,
              Report& report)
      : options_(options),
        generation_(generation),
        udp4_(world, *generation.table, Traffic::Kind::udp4),
        mixed_(world, *generation.table, Traffic::Kind::mixed),
        report_(report) {}

  Result<void> run() {
    for (const Plan& plan : kPlans) {
      if (plan.quick || !options_.quick) {
        PORTCULLIS_TRY_VOID(measure(plan));
      }
    }
    report_.add({.name = "pipeline, flows",
                 .columns = {"cycles, burst 64", "cycles, burst 32", "Mpps", "new flow cycles"},
                 .rows = std::move(rows_)});
    if (dataplane::kStages > 0) {
      report_.add({.name = "stage, cycles a packet",
                   .columns = {dataplane::kStageNames.begin(), dataplane::kStageNames.end()},
                   .rows = std::move(stages_)});
    }
    measure_memory();
    return {};
  }

 private:
  /// Makes the flows, then measures packets of theirs.
  Result<void> measure(const Plan& plan) {
    const Traffic& traffic = plan.kind == Traffic::Kind::udp4 ? udp4_ : mixed_;
    Drive drive(generation_, traffic, plan.flows);
    const double fresh = median(drive.run(of_every_flow(plan.flows, Step::open), kBurst));
    drive.run(of_every_flow(plan.flows, Step::accept), kBurst);
    const std::vector<Turn> turns = established_turns(plan.flows, options_.seed);
    drive.run(turns, kBurst);
    static_cast<void>(drive.take_stages());
    const double wide = median_cycles(drive, turns, kBurst);
    stages_.push_back({plan.name, drive.take_stages()});
    const double narrow = median_cycles(drive, turns, kBurst / 2);
    PORTCULLIS_TRY_VOID(drive.expect_forwarded());

    // A cold set of buffers or two tell nothing.
    const auto begun = plan.flows < kSlices ? std::nullopt : std::optional(fresh);
    rows_.push_back({plan.name, {wide, narrow, cycles_hz() / wide * 1e-6, begun}});
    add_figure(plan, wide);
    if (plan.flows == kNewFlows) {
      report_.measured("new_flow_cycles", fresh, "cycles");
      report_.measured("new_flows_mps", cycles_hz() / fresh * 1e-6, "M/s");
    }
    if (plan.flows >= kNewFlows) {
      report_.measured(fmt::format("expire_{}_percent", plan.flows == kNewFlows ? "1m" : "10m"),
                       drive.expire_share() * 100,
                       "%");
    }
    return {};
  }

  void add_figure(const Plan& plan, double value) {
    if (plan.target > 0) {
      report_.at_most(plan.figure, value, "cycles", plan.target);
    } else {
      report_.measured(plan.figure, value, "cycles");
    }
  }

  /// Median of the repetitions, each the median of its sets of buffers: what the machine does
  /// beside falls on few of them. Goes on in the turns where the last repetition stopped.
  static double median_cycles(Drive& drive, std::span<const Turn> turns, std::size_t burst) {
    std::vector<double> repetitions;
    std::size_t at = 0;
    for (int i = 0; i < ThroughputOptions::kRepetitions; ++i) {
      const std::size_t count = std::min(kSlices * kBuffers, turns.size() - at);
      repetitions.push_back(median(drive.run(turns.subspan(at, count), burst)));
      at = at + count == turns.size() ? 0 : at + count;
    }
    return median(std::move(repetitions));
  }

  void measure_memory() {
    const auto bytes = peak_bytes([] {
      const dataplane::Pipeline pipeline({.conntrack = conntrack_for(kNewFlows), .ports = 2});
    });
    if (bytes) {
      const auto flows = static_cast<double>(conntrack_for(kNewFlows).flows_max);
      report_.measured("flow_bytes", static_cast<double>(*bytes) / flows, "bytes");
    }
  }

  static constexpr std::size_t kBurst = limits::kBurstMax;
  /// How many flows are begun to tell what a new one costs.
  static constexpr std::size_t kNewFlows = 1'000'000;

  const ThroughputOptions& options_;
  const dataplane::Generation& generation_;
  const Traffic udp4_;
  const Traffic mixed_;
  Report& report_;
  using Rows = std::vector<std::pair<std::string, std::vector<std::optional<double>>>>;
  Rows rows_;
  Rows stages_;
};

}  // namespace

World make_rules_world(std::uint64_t seed) {
  // 3.75 rules a policy on average.
  World world = make_world({.pods = 10'000, .policies = 2'670, .seed = seed});
  add_ipv6(world);
  return world;
}

Result<void> run_pipeline(const ThroughputOptions& options, const World& world, Report& report) {
  dataplane::Generation generation;
  generation.epoch = 1;
  PORTCULLIS_TRY(generation.table, classifier::compile(world.rules));
  generation.rule_ids = classifier::kBuiltinRules + world.rules.rules.size();
  PORTCULLIS_TRY_VOID(PipelineRun(options, generation, world, report).run());
  return run_attacks(options, generation, world, report);
}

}  // namespace portcullis::bench
