// SPDX-License-Identifier: MIT
#include "bench/swap/run.h"

#include <cstddef>
#include <memory>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "bench/measure.h"
#include "bench/swap/load.h"
#include "bench/throughput/cores.h"
#include "bench/throughput/cycles.h"
#include "bench/throughput/histogram.h"
#include "bench/throughput/pipeline_run.h"
#include "classifier/compile.h"
#include "classifier/verdict.h"
#include "dataplane/dpdk/eal.h"
#include "dataplane/dpdk/engine.h"

namespace portcullis::bench {
namespace {

/// Rounds of swaps take turns with as long ones of none. An odd number of swaps, so that either
/// edition is in force in rounds without.
struct Lengths {
  std::size_t rounds;
  std::size_t swaps;
};
constexpr Lengths kQuickLengths{.rounds = 5, .swaps = 41};
constexpr Lengths kFullLengths{.rounds = 10, .swaps = 101};
/// Between two swaps, on average; they come at random.
constexpr double kPauseSeconds = 0.01;
constexpr std::uint32_t kEngineBuffers = 1024;
constexpr std::uint32_t kEngineMemoryMb = 64;

config::Config config_for(const Cores& cores) {
  constexpr std::uint32_t kMemoryMb = Line::kMemoryMb + kEngineMemoryMb;
  config::Config config;
  config.eal = {.file_prefix = "portcullis-bench-swap",
                .hugepages = free_hugepage_bytes() >> 20U >= kMemoryMb,
                .memory_mb = kMemoryMb,
                .control_cpu = cores.control,
                .worker_cpus = {cores.worker},
                .mbufs = kEngineBuffers,
                .idle = config::Eal::Idle::poll,
                .telemetry = false};
  return config;
}

/// What rounds of one sort did, all together but for their rates.
struct Rounds {
  std::vector<double> mpps;
  double seconds = 0;
  double idle_seconds = 0;  // Of the worker, at most.
  double packets = 0;
  double flows_created = 0;
  double revalidated = 0;

  [[nodiscard]] double busy_percent() const { return 100 * (1 - idle_seconds / seconds); }
};

/// An engine between the ends of a line.
class SwapRun {
 public:
  SwapRun(const SwapOptions& options, Report& report)
      : lengths_(options.quick ? kQuickLengths : kFullLengths),
        seed_(options.seed),
        random_(options.seed),
        report_(report) {}

  Result<void> run() {
    const Cores cores = control_and_worker();
    if (cores.control == cores.worker) {
      return fail("there must be a processor for the generator and one for the worker");
    }
    PORTCULLIS_TRY(const SwapTraffic traffic, prepare());
    PORTCULLIS_TRY_VOID(start(cores));
    Load load(*line_, traffic);
    PORTCULLIS_TRY_VOID(load.open());
    report_.note(
        fmt::format("{} rounds of {} swaps at random, {:g} ms apart on average, and as "
                    "many without; the generator on core {}, rings of {} to core {}",
                    lengths_.rounds,
                    lengths_.swaps,
                    kPauseSeconds * 1e3,
                    cores.control,
                    Line::kQueueSlots,
                    cores.worker));
    PORTCULLIS_TRY_VOID(run_rounds(load));
    PORTCULLIS_TRY_VOID(check(load));
    tell(load.account());
    return {};
  }

 private:
  Result<SwapTraffic> prepare() {
    const World world = make_rules_world(seed_);
    for (const Edition edition : {Edition::a, Edition::b}) {
      const classifier::RuleSet rules = rules_of(world.rules, Mixture::whole(edition));
      PORTCULLIS_TRY(tables_.emplace_back(), classifier::compile(rules));
      rule_ids_.push_back(classifier::kBuiltinRules + rules.rules.size());
    }
    report_.note(fmt::format("{} pods, {} rules, tables of {} and {} bytes",
                             world.shape.pods,
                             rule_ids_.front() - classifier::kBuiltinRules,
                             tables_[0]->sizes().total,
                             tables_[1]->sizes().total));
    return make_swap_traffic(world, *tables_.front(), SwapFlows());
  }

  Result<void> start(const Cores& cores) {
    config::Config config = config_for(cores);
    PORTCULLIS_TRY(eal_, dataplane::Eal::start(config.eal));
    PORTCULLIS_TRY(line_, Line::make("swap"));
    config.ports = {{.name = "side0", .vdev = line_->device(0)},
                    {.name = "side1", .vdev = line_->device(1)}};
    config.mode.pairs = {{"side0", "side1"}};
    PORTCULLIS_TRY(engine_,
                   dataplane::Engine::start(config, eal_->worker_cpus(), generation_of(1)));
    return {};
  }

  [[nodiscard]] std::unique_ptr<const dataplane::Generation> generation_of(
      std::uint64_t number) const {
    const auto edition = static_cast<std::size_t>(edition_of(number));
    auto generation = std::make_unique<dataplane::Generation>();
    generation->epoch = number;
    generation->table = tables_[edition];
    generation->rule_ids = rule_ids_[edition];
    return generation;
  }

  Result<void> run_rounds(Load& load) {
    const double calm_seconds = static_cast<double>(lengths_.swaps) * kPauseSeconds;
    for (std::size_t round = 0; round < lengths_.rounds; ++round) {
      PORTCULLIS_TRY_VOID(
          measure(load, swapping_, [this](Load& loaded) { return run_swaps(loaded); }));
      PORTCULLIS_TRY_VOID(
          measure(load, calm_, [&](Load& loaded) { return loaded.run(calm_seconds); }));
    }
    return load.drain();
  }

  Result<void> run_swaps(Load& load) {
    std::exponential_distribution<double> pause(1 / kPauseSeconds);
    for (std::size_t swap = 0; swap < lengths_.swaps; ++swap) {
      PORTCULLIS_TRY_VOID(load.run(pause(random_)));
      auto next = generation_of(load.generation() + 1);
      load.swap([&] {
        const std::uint64_t begin = cycles();
        engine_->publish(std::move(next));
        latency_.add(cycles() - begin);
      });
    }
    return {};
  }

  template <typename Work>
  Result<void> measure(Load& load, Rounds& rounds, Work work) {
    const dataplane::WorkerStatus before = worker();
    const Load::Progress from = load.progress();
    const std::uint64_t begin = cycles();
    PORTCULLIS_TRY_VOID(work(load));
    const double seconds = static_cast<double>(cycles() - begin) / cycles_hz();
    const dataplane::WorkerStatus after = worker();
    const auto packets = static_cast<double>(after.packets - before.packets);
    rounds.mpps.push_back(packets / seconds * 1e-6);
    rounds.packets += packets;
    rounds.seconds += seconds;
    rounds.idle_seconds +=
        static_cast<double>(load.progress().idle_cycles - from.idle_cycles) / cycles_hz();
    rounds.flows_created += static_cast<double>(after.flows_created - before.flows_created);
    rounds.revalidated += static_cast<double>(after.revalidated - before.revalidated);
    return {};
  }

  [[nodiscard]] dataplane::WorkerStatus worker() const { return engine_->status().workers.front(); }

  /// The worker's own account must be ours.
  [[nodiscard]] Result<void> check(const Load& load) const {
    const dataplane::WorkerStatus counted = worker();
    const Judged judged = sum(load.account());
    if (counted.packets != load.progress().sent || counted.forwarded != judged.passed ||
        counted.dropped != judged.denied) {
      return fail(
          fmt::format("{} packets were sent, {} passed and {} did not; the worker counted "
                      "{}, {} and {}",
                      load.progress().sent,
                      judged.passed,
                      judged.denied,
                      counted.packets,
                      counted.forwarded,
                      counted.dropped));
    }
    const auto policy = static_cast<std::size_t>(dataplane::DropReason::policy_denied);
    if (const std::uint64_t others = counted.dropped - counted.drops[policy]; others > 0) {
      report_.note(fmt::format("{} packets were dropped, but not by policy", others));
    }
    return {};
  }

  void tell(const Account& account) {
    Grid load{.name = "full load",
              .columns = {"Mpps", "busy %", "packets M", "new flows M", "judged again M"}};
    for (const auto& [name, rounds] : {std::pair("without swaps", &calm_), {"swaps", &swapping_}}) {
      load.rows.push_back({name,
                           {median(rounds->mpps),
                            rounds->busy_percent(),
                            rounds->packets * 1e-6,
                            rounds->flows_created * 1e-6,
                            rounds->revalidated * 1e-6}});
    }
    report_.add(std::move(load));
    tell_kinds(account);
    const auto us = [this](double share) {
      return static_cast<double>(latency_.percentile(share)) / cycles_hz() * 1e6;
    };
    report_.add({.name = fmt::format("{} swaps", latency_.count()),
                 .columns = {"p50 us", "p90 us", "p99 us", "max us"},
                 .rows = {{"publish", {us(0.5), us(0.9), us(0.99), us(1)}}}});
    const Judged all = sum(account);
    report_.at_most("swap_lost", static_cast<double>(all.lost), "packets", 0);
    report_.at_most("swap_mixed", static_cast<double>(all.mixed), "packets", 0);
    report_.measured("swap_p50_us", us(0.5), "us");
    report_.measured("swap_p99_us", us(0.99), "us");
    report_.measured("swap_max_us", us(1), "us");
    report_.measured("swap_mpps", median(swapping_.mpps), "M/s");
    report_.measured("swap_rate_share", median(swapping_.mpps) / median(calm_.mpps), "ratio");
    report_.measured("swap_busy_percent", swapping_.busy_percent(), "%");
  }

  void tell_kinds(const Account& account) {
    Grid kinds{.name = "packets by kind",
               .columns = {"passed M", "denied M", "at swaps k", "lost", "mixed"}};
    const auto add = [&kinds](const char* name, const Judged& judged) {
      kinds.rows.push_back({name,
                            {static_cast<double>(judged.passed) * 1e-6,
                             static_cast<double>(judged.denied) * 1e-6,
                             static_cast<double>(judged.at_swaps) * 1e-3,
                             static_cast<double>(judged.lost),
                             static_cast<double>(judged.mixed)}});
    };
    for (std::size_t kind = 0; kind < account.size(); ++kind) {
      add(to_string(static_cast<FlowKind>(kind)), account[kind]);
    }
    add("all", sum(account));
    report_.add(std::move(kinds));
  }

  const Lengths lengths_;
  const std::uint64_t seed_;
  std::mt19937_64 random_;
  Report& report_;
  std::vector<std::shared_ptr<const classifier::Table>> tables_;  // By edition.
  std::vector<std::size_t> rule_ids_;                             // Likewise.
  // In this order: each goes ahead of what it uses.
  std::unique_ptr<dataplane::Eal> eal_;
  std::unique_ptr<Line> line_;
  std::unique_ptr<dataplane::Engine> engine_;
  Rounds calm_;
  Rounds swapping_;
  Histogram latency_;  // Cycles from publish() to its return.
};

}  // namespace

Result<void> run_swaps(const SwapOptions& options, Report& report) {
  return SwapRun(options, report).run();
}

}  // namespace portcullis::bench
