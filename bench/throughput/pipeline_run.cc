// SPDX-License-Identifier: MIT
#include "bench/throughput/pipeline_run.h"

#include <algorithm>
#include <array>
#include <bit>
#include <iterator>
#include <optional>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "base/limits.h"
#include "bench/measure.h"
#include "bench/throughput/cycles.h"
#include "bench/throughput/traffic.h"
#include "classifier/compile.h"
#include "classifier/verdict.h"
#include "dataplane/counters.h"
#include "dataplane/pipeline.h"

namespace portcullis::bench {
namespace {

using dataplane::Counters;
using dataplane::Frame;
using Step = Traffic::Step;

/// Buffers of a receive queue, as far apart as packet buffers are. What is in them was written just
/// before, as by a device that writes into the cache.
constexpr std::size_t kBuffers = 1024;
constexpr std::size_t kBufferBytes = 2304;
constexpr std::size_t kFrameBytes = 64;
/// Sets of buffers of one repetition: 262,144 packets.
constexpr std::size_t kSlices = 256;
constexpr std::uint32_t kFlowsMaxLeast = 65'536;
constexpr std::uint32_t kLongTimeoutS = 86'400;

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

config::Conntrack conntrack_for(std::size_t flows) {
  config::Conntrack conntrack;
  conntrack.flows_max = std::max(kFlowsMaxLeast, std::bit_ceil(static_cast<std::uint32_t>(flows)));
  conntrack.udp_timeout_s = kLongTimeoutS;
  conntrack.tcp_established_timeout_s = kLongTimeoutS;
  return conntrack;
}

/// One packet to come.
struct Turn {
  std::uint32_t flow = 0;
  Step step = Step::open;
};

/// A pipeline and the buffers that it is given.
class Drive {
 public:
  Drive(const dataplane::Generation& generation, const Traffic& traffic, std::size_t flows)
      : generation_(generation),
        traffic_(traffic),
        pipeline_({.conntrack = conntrack_for(flows), .ports = 2}),
        hits_(generation.rule_ids),
        bytes_(kBuffers * kBufferBytes) {}

  [[nodiscard]] const Counters& counters() const { return pipeline_.counters(); }

  /// Cycles a packet of each stage since the last call: the median of the sets of buffers.
  std::vector<std::optional<double>> take_stages() {
    std::vector<std::optional<double>> medians;
    for (std::vector<double>& costs : stages_) {
      medians.emplace_back(median(std::exchange(costs, {})));
    }
    return medians;
  }

  /// Cycles a packet of each set of buffers. Filling them is not counted.
  std::vector<double> run(std::span<const Turn> turns, std::size_t burst) {
    std::vector<double> costs;
    for (std::size_t at = 0; at < turns.size(); at += kBuffers) {
      const std::size_t count = std::min(kBuffers, turns.size() - at);
      fill(turns.subspan(at, count));
      const StageTotals before = stage_totals();
      const std::uint64_t begin = cycles();
      for (std::size_t i = 0; i < count; i += burst) {
        process(std::span(frames_).subspan(i, std::min(burst, count - i)));
      }
      costs.push_back(static_cast<double>(cycles() - begin) / static_cast<double>(count));
      const StageTotals after = stage_totals();
      for (std::size_t i = 0; i < after.size(); ++i) {
        stages_[i].push_back(static_cast<double>(after[i] - before[i]) /
                             static_cast<double>(count));
      }
    }
    return costs;
  }

 private:
  using StageTotals = std::array<std::uint64_t, dataplane::kStages>;

  [[nodiscard]] StageTotals stage_totals() const {
    StageTotals totals{};
    std::ranges::transform(
        counters().stage_cycles, totals.begin(), [](const auto& counter) { return counter.get(); });
    return totals;
  }

  void fill(std::span<const Turn> turns) {
    for (std::size_t i = 0; i < turns.size(); ++i) {
      const std::span room = std::span(bytes_).subspan(i * kBufferBytes, kBufferBytes);
      const std::size_t length = traffic_.write(turns[i].flow, turns[i].step, kFrameBytes, room);
      const bool replies = turns[i].step == Step::accept || turns[i].step == Step::data_reply;
      frames_[i] = {.data = room.data(),
                    .length = static_cast<std::uint32_t>(length),
                    .port = static_cast<dataplane::PortIndex>(replies)};
    }
  }

  /// One turn of a worker's loop, devices aside.
  void process(std::span<const Frame> frames) {
    const auto now_ns = static_cast<std::uint64_t>(static_cast<double>(cycles()) * ns_per_cycle_);
    pipeline_.process(generation_, now_ns, frames, outcomes_, hits_);
    pipeline_.expire(now_ns);
  }

  const dataplane::Generation& generation_;
  const Traffic& traffic_;
  dataplane::Pipeline pipeline_;
  std::vector<std::uint64_t> hits_;
  std::vector<std::uint8_t> bytes_;
  std::array<Frame, kBuffers> frames_{};
  std::array<dataplane::Outcome, limits::kBurstMax> outcomes_{};
  std::array<std::vector<double>, dataplane::kStages> stages_;
  const double ns_per_cycle_ = 1e9 / cycles_hz();
};

/// The same step of every flow, in order.
std::vector<Turn> of_every_flow(std::size_t flows, Step step) {
  std::vector<Turn> turns(flows);
  for (std::size_t i = 0; i < flows; ++i) {
    turns[i] = {static_cast<std::uint32_t>(i), step};
  }
  return turns;
}

/// Both directions of every flow in random order; few flows come again and again.
std::vector<Turn> established_turns(std::size_t flows, std::uint64_t seed) {
  std::vector<Turn> turns;
  while (turns.size() < kSlices * kBuffers) {
    for (std::uint32_t flow = 0; flow < flows; ++flow) {
      turns.push_back({flow, Step::data});
      turns.push_back({flow, Step::data_reply});
    }
  }
  std::shuffle(turns.begin(), turns.end(), std::mt19937_64(seed));
  return turns;
}

Result<void> expect_forwarded(const Counters& counters, const Plan& plan) {
  if (counters.dropped.get() > 0 || counters.flows.get() != plan.flows) {
    return fail(fmt::format("{} flows: {} packets were dropped, {} flows are known",
                            plan.name,
                            counters.dropped.get(),
                            counters.flows.get()));
  }
  return {};
}

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
        tcp4_(world, *generation.table, Traffic::Kind::tcp4),
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
    return measure_flood();
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
    PORTCULLIS_TRY_VOID(expect_forwarded(drive.counters(), plan));

    // A cold set of buffers or two tell nothing.
    const auto begun = plan.flows < kSlices ? std::nullopt : std::optional(fresh);
    rows_.push_back({plan.name, {wide, narrow, cycles_hz() / wide * 1e-6, begun}});
    add_figure(plan, wide);
    if (plan.flows == kNewFlows) {
      report_.measured("new_flow_cycles", fresh, "cycles");
      report_.measured("new_flows_mps", cycles_hz() / fresh * 1e-6, "M/s");
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

  /// Established connections, and as many SYNs of connections that come to nothing, soon more than
  /// there is room for. What the flood may not do: end a connection, or cost more as it goes on.
  Result<void> measure_flood() {
    Drive drive(generation_, tcp4_, kFloodFlows);
    for (const Step step : {Step::open, Step::accept, Step::data}) {
      drive.run(of_every_flow(kFloodFlows, step), kBurst);
    }
    const std::vector<Turn> calm = established_turns(kFloodFlows, options_.seed);
    const double before = median(drive.run(calm, kBurst));
    PORTCULLIS_TRY_VOID(expect_forwarded(drive.counters(), {.name = "SYN", .flows = kFloodFlows}));

    std::vector<double> costs;
    std::vector<Turn> turns(kBuffers);
    std::size_t next = kFloodFlows;
    const Stopwatch watch;
    while (watch.seconds() < (options_.quick ? kFloodSecondsQuick : kFloodSeconds)) {
      for (std::size_t i = 0; i < turns.size(); i += 2) {
        turns[i] = calm[(next + i) % calm.size()];
        turns[i + 1] = {static_cast<std::uint32_t>(next), Step::open};
        next = next + 1 == tcp4_.flows_max() ? kFloodFlows : next + 1;
      }
      std::ranges::copy(drive.run(turns, kBurst), std::back_inserter(costs));
    }
    const auto tenth = static_cast<std::ptrdiff_t>(costs.size() / 10 + 1);
    const double first = median({costs.begin(), costs.begin() + tenth});
    const double last = median({costs.end() - tenth, costs.end()});
    const auto dropped = [&drive](dataplane::DropReason reason) {
      return static_cast<double>(drive.counters().drops[static_cast<std::size_t>(reason)].get());
    };
    report_.add({.name = "SYN flood, 10k connections",
                 .columns = {"calm cycles", "flood cycles", "first tenth", "last tenth", "SYNs M"},
                 .rows = {{"half of all packets",
                           {before,
                            median(std::vector(costs)),
                            first,
                            last,
                            static_cast<double>(costs.size() * kBuffers) * 0.5e-6}}}});
    report_.at_most("flood_lost", dropped(dataplane::DropReason::not_a_new_flow), "packets", 0);
    report_.measured("flood_refused", dropped(dataplane::DropReason::conntrack_full), "SYNs");
    report_.measured("flood_drift", last / first, "ratio");
    return {};
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
  static constexpr std::size_t kFloodFlows = 10'000;
  static constexpr double kFloodSeconds = 60;
  static constexpr double kFloodSecondsQuick = 2;

  const ThroughputOptions& options_;
  const dataplane::Generation& generation_;
  const Traffic udp4_;
  const Traffic mixed_;
  const Traffic tcp4_;
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
  return PipelineRun(options, generation, world, report).run();
}

}  // namespace portcullis::bench
