// SPDX-License-Identifier: MIT
#include "bench/throughput/paced_run.h"

#include <algorithm>
#include <array>
#include <bit>
#include <limits>
#include <memory>
#include <numeric>
#include <optional>
#include <random>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include <unistd.h>

#include <fmt/format.h>

#include "bench/measure.h"
#include "bench/throughput/child.h"
#include "bench/throughput/cores.h"
#include "bench/throughput/cycles.h"
#include "bench/throughput/mac_loop.h"
#include "bench/throughput/search.h"
#include "bench/throughput/tester.h"
#include "bench/throughput/traffic.h"
#include "classifier/compile.h"
#include "classifier/verdict.h"
#include "dataplane/dpdk/eal.h"
#include "dataplane/dpdk/engine.h"

namespace portcullis::bench {
namespace {

struct Plan {
  const char* name = "";
  const char* figure = "";
  std::size_t flows = 0;
  std::size_t frame_bytes = 64;  // 0: the Internet mix.
  bool quick = false;
};
constexpr std::array<Plan, 7> kPlans{{
    {"10k flows, 64 B", "10k_flows", 10'000, 64, true},
    {"100k flows, 64 B", "100k_flows", 100'000},
    {"1M flows, 64 B", "1m_flows", 1'000'000},
    {"10k flows, IMIX", "10k_imix", 10'000, 0},
    {"10k flows, 512 B", "10k_512b", 10'000, 512},
    {"10k flows, 1518 B", "10k_1518b", 10'000, 1518},
    {"10k flows, 9000 B", "10k_9000b", 10'000, 9000},
}};

constexpr double kPdrLoss = 0.005;
/// Of the NDR, in percent: latency is told at these loads, by figures at half and nine tenths.
constexpr std::array<double, 8> kLoads{10, 25, 50, 75, 90, 100, 110, 125};
constexpr std::size_t kHalf = 2;
constexpr std::size_t kNineTenths = 4;
static_assert(kLoads[kHalf] == 50 && kLoads[kNineTenths] == 90);
/// A forwarder that waited longer for its processor in a trial was disturbed: a queue holds 1024
/// packets, which come in so long at 50 Mpps.
constexpr std::uint64_t kWaitMaxNs = 20'000;
/// Of several trials at a load, the one in the middle by this percentile is told.
constexpr double kMedianBy = 0.999;
constexpr double kChildSeconds = 600;
constexpr std::size_t kImixBytesMax = 1518;
constexpr std::uint32_t kEngineBuffers = 1024;
constexpr std::size_t kEngineMemoryMb = 64;
constexpr std::uint32_t kLongTimeoutS = 86'400;

struct Lengths {
  double trial_s;
  double latency_s;
  double precision;
  std::size_t trials_max;
  std::size_t disturbed_max;
};
constexpr Lengths kQuickLengths{
    .trial_s = 0.08, .latency_s = 0.06, .precision = 0.03, .trials_max = 3, .disturbed_max = 20};
constexpr Lengths kFullLengths{
    .trial_s = 0.5, .latency_s = 0.4, .precision = 0.01, .trials_max = 5, .disturbed_max = 40};

/// Latency under one load.
struct Point {
  double mpps = 0;
  double lost_percent = 0;
  double p50_us = 0, p90_us = 0, p99_us = 0, p999_us = 0, max_us = 0;
};

/// What was found of one forwarder. Doubles only: the child sends them as a line of numbers.
struct Findings {
  double ndr_mpps = 0;
  double pdr_mpps = 0;
  double offered_max_mpps = 0;  // By the generator.
  double limited = 0;           // Above zero: by the generator.
  double trials = 0;
  double disturbed = 0;
  std::array<Point, kLoads.size()> points;
};
constexpr std::size_t kNumbers = sizeof(Findings) / sizeof(double);
using Numbers = std::array<double, kNumbers>;

std::size_t frame_bytes_max(const Plan& plan) {
  return plan.frame_bytes > 0 ? plan.frame_bytes : kImixBytesMax;
}

std::uint16_t mtu_for(const Plan& plan) {
  return static_cast<std::uint16_t>(std::max<std::size_t>(1500, frame_bytes_max(plan)));
}

std::size_t memory_mb(const Plan& plan) {
  return Tester::memory_mb(frame_bytes_max(plan)) + kEngineMemoryMb;
}

/// Both directions of every flow, one a side, each in a random order of its own.
Schedules make_schedules(const Traffic& traffic, const Plan& plan) {
  Schedules schedules;
  std::vector<std::uint32_t> order(plan.flows);
  std::iota(order.begin(), order.end(), 0U);
  std::vector<std::uint8_t> frame(Traffic::kFrameBytesMax);
  for (std::size_t side = 0; side < schedules.size(); ++side) {
    std::shuffle(order.begin(), order.end(), std::mt19937_64(plan.flows + side));
    for (const std::uint32_t flow : order) {
      const std::size_t wanted = plan.frame_bytes > 0 ? plan.frame_bytes : imix_bytes(flow);
      const auto step = side == 0 ? Traffic::Step::data : Traffic::Step::data_reply;
      const std::size_t length = traffic.write(flow, step, wanted, frame);
      Schedule::Head& head = schedules[side].heads.emplace_back();
      std::copy_n(frame.begin(), head.bytes.size(), head.bytes.begin());
      if (plan.frame_bytes == 0) {
        schedules[side].lengths.push_back(static_cast<std::uint16_t>(length));
      }
    }
  }
  return schedules;
}

config::Config config_for(const Plan& plan, bool hugepages) {
  const Cores cores = control_and_worker();
  config::Config config;
  config.eal = {.file_prefix = "portcullis-bench",
                .hugepages = hugepages,
                .memory_mb = static_cast<std::uint32_t>(memory_mb(plan)),
                .control_cpu = cores.control,
                .worker_cpus = {cores.worker},
                .mbufs = kEngineBuffers,
                .idle = config::Eal::Idle::poll,
                .telemetry = false};
  config.ports = {{.name = "side0", .mtu = mtu_for(plan)}, {.name = "side1", .mtu = mtu_for(plan)}};
  config.mode.pairs = {{"side0", "side1"}};
  config.conntrack.flows_max =
      std::max(config.conntrack.flows_max, std::bit_ceil(static_cast<std::uint32_t>(plan.flows)));
  config.conntrack.udp_timeout_s = kLongTimeoutS;
  return config;
}

/// One forwarder at the tester.
class Measurement {
 public:
  Measurement(Tester& tester, const Lengths& lengths) : tester_(tester), lengths_(lengths) {}

  Result<Findings> run() {
    // What more is offered than can be forwarded is lost; what comes through is where to begin.
    PORTCULLIS_TRY(const Offered flood,
                   tester_.offer(std::numeric_limits<double>::max(), lengths_.trial_s));
    const double through = static_cast<double>(flood.sent - flood.lost) / flood.seconds;
    LoadSearch search({.load_max = flood.rate(),
                       .precision = lengths_.precision,
                       .trials_max = lengths_.trials_max,
                       .disturbed_max = lengths_.disturbed_max},
                      [this](double load) { return make_trial(load); });
    PORTCULLIS_TRY(const Found ndr, search.find(0, through));
    PORTCULLIS_TRY(const Found pdr, search.find(kPdrLoss, std::max(ndr.load, through)));
    Findings findings{.ndr_mpps = ndr.load * 1e-6,
                      .pdr_mpps = pdr.load * 1e-6,
                      .offered_max_mpps = flood.rate() * 1e-6,
                      .limited = ndr.limited || pdr.limited ? 1.0 : 0.0,
                      .trials = static_cast<double>(search.trials()),
                      .disturbed = static_cast<double>(search.disturbed())};
    for (std::size_t i = 0; i < kLoads.size() && ndr.load > 0; ++i) {
      PORTCULLIS_TRY(findings.points[i], measure_latency(ndr.load * kLoads[i] / 100));
    }
    return findings;
  }

 private:
  struct Attempt {
    Offered offered;
    bool disturbed = false;
  };

  Result<Attempt> offer(double load, double seconds) {
    const std::uint64_t before = thread_times(kForwardingThread, getpid()).waited_ns;
    PORTCULLIS_TRY(const Offered offered, tester_.offer(load, seconds));
    const std::uint64_t after = thread_times(kForwardingThread, getpid()).waited_ns;
    // Where more was lost than came in while it waited, waiting is no excuse.
    const std::uint64_t waited = after - before;
    const double missed = static_cast<double>(waited) * 1e-9 * offered.rate();
    return Attempt{.offered = offered,
                   .disturbed = waited > kWaitMaxNs && static_cast<double>(offered.lost) <= missed};
  }

  Result<Trial> make_trial(double load) {
    PORTCULLIS_TRY(const Attempt attempt, offer(load, lengths_.trial_s));
    return Trial{.sent = attempt.offered.sent,
                 .lost = attempt.offered.lost,
                 .offered = attempt.offered.rate(),
                 .disturbed = attempt.disturbed};
  }

  Result<Point> measure_latency(double load) {
    std::vector<Offered> trials;
    for (std::size_t i = 0; i < lengths_.trials_max; ++i) {
      PORTCULLIS_TRY(const Attempt attempt, offer(load, lengths_.latency_s));
      trials.push_back(attempt.offered);
    }
    const auto median_trial = trials.begin() + static_cast<std::ptrdiff_t>(trials.size() / 2);
    std::ranges::nth_element(trials, median_trial, {}, [](const Offered& trial) {
      return trial.latency.percentile(kMedianBy);
    });
    const Offered& offered = *median_trial;
    const auto us = [&offered](double share) {
      return static_cast<double>(offered.latency.percentile(share)) / cycles_hz() * 1e6;
    };
    return Point{
        .mpps = offered.rate() * 1e-6,
        .lost_percent = 100 * static_cast<double>(offered.lost) / static_cast<double>(offered.sent),
        .p50_us = us(0.5),
        .p90_us = us(0.9),
        .p99_us = us(0.99),
        .p999_us = us(0.999),
        .max_us = us(1)};
  }

  Tester& tester_;
  const Lengths& lengths_;
};

/// In the child: everything of one plan, ours and then the bare loop.
class PlanServer {
 public:
  PlanServer(const ThroughputOptions& options, const World& world, const Plan& plan)
      : lengths_(options.quick ? kQuickLengths : kFullLengths), world_(world), plan_(plan) {}

  Result<std::array<Findings, 2>> run(bool hugepages) {
    config_ = config_for(plan_, hugepages);
    PORTCULLIS_TRY(auto table, classifier::compile(world_.rules));
    const Traffic traffic(world_, *table, Traffic::Kind::udp4);
    schedules_ = make_schedules(traffic, plan_);
    PORTCULLIS_TRY(const auto eal, dataplane::Eal::start(config_.eal));
    std::array<Findings, 2> findings;
    PORTCULLIS_TRY(findings[0], measure_ours(*eal, std::move(table)));
    PORTCULLIS_TRY(findings[1], measure_mac());
    return findings;
  }

 private:
  Result<std::unique_ptr<Tester>> make_tester(const char* name) {
    PORTCULLIS_TRY(auto tester, Tester::make(name, frame_bytes_max(plan_), schedules_));
    for (std::size_t side = 0; side < config_.ports.size(); ++side) {
      config_.ports[side].vdev = tester->device(side);
    }
    return tester;
  }

  Result<Findings> measure_ours(const dataplane::Eal& eal,
                                std::unique_ptr<const classifier::Table> table) {
    PORTCULLIS_TRY(const auto tester, make_tester("ours"));
    auto generation = std::make_unique<dataplane::Generation>();
    generation->epoch = 1;
    generation->table = std::move(table);
    generation->rule_ids = classifier::kBuiltinRules + world_.rules.rules.size();
    PORTCULLIS_TRY(const auto engine,
                   dataplane::Engine::start(config_, eal.worker_cpus(), std::move(generation)));
    // Establishes the flows, so that the search meets no new one.
    PORTCULLIS_TRY_VOID(tester->pass_all());
    PORTCULLIS_TRY(const Findings findings, Measurement(*tester, lengths_).run());
    const dataplane::WorkerStatus worker = engine->status().workers.front();
    if (worker.dropped > 0 || worker.flows != plan_.flows) {
      return fail(fmt::format(
          "{} flows are known, and {} packets were dropped", worker.flows, worker.dropped));
    }
    return findings;
  }

  Result<Findings> measure_mac() {
    PORTCULLIS_TRY(const auto tester, make_tester("mac"));
    PORTCULLIS_TRY(const auto loop, MacLoop::start(config_));
    return Measurement(*tester, lengths_).run();
  }

  const Lengths& lengths_;
  const World& world_;
  const Plan& plan_;
  config::Config config_;
  Schedules schedules_;
};

/// A line: "found" and the numbers, or what went wrong.
std::string told(const Result<std::array<Findings, 2>>& found) {
  if (!found) {
    return fmt::format("failed: {}\n", to_string(found.error()));
  }
  std::string line = "found";
  for (const Findings& findings : *found) {
    for (const double number : std::bit_cast<Numbers>(findings)) {
      line += fmt::format(" {}", number);
    }
  }
  return line + "\n";
}

Result<std::array<Findings, 2>> understood(const std::string& line) {
  std::istringstream words(line);
  std::string word;
  words >> word;
  std::array<Findings, 2> found;
  for (Findings& findings : found) {
    Numbers numbers{};
    for (double& number : numbers) {
      words >> number;
    }
    findings = std::bit_cast<Findings>(numbers);
  }
  if (word != "found" || !words) {
    return fail(line);
  }
  return found;
}

Result<std::array<Findings, 2>> measure_in_child(const ThroughputOptions& options,
                                                 const World& world,
                                                 const Plan& plan) {
  // EAL starts once in the life of a process.
  PORTCULLIS_TRY(Child child, Child::fork([&](int descriptor) {
                   const bool hugepages = free_hugepage_bytes() >> 20U >= memory_mb(plan);
                   const std::string line = told(PlanServer(options, world, plan).run(hugepages));
                   static_cast<void>(write(descriptor, line.data(), line.size()) == 0);
                 }));
  PORTCULLIS_TRY(const std::string line, child.read_until("\n", kChildSeconds));
  return understood(line);
}

void add_latency(const Plan& plan, const char* who, const Findings& found, Report& report) {
  Grid grid{.name = fmt::format("latency, {}: {}", plan.name, who),
            .columns = {"Mpps", "lost %", "p50 us", "p90 us", "p99 us", "p99.9 us", "max us"}};
  for (std::size_t i = 0; i < kLoads.size(); ++i) {
    const Point& at = found.points[i];
    if (at.mpps > 0) {
      grid.rows.push_back(
          {fmt::format("{:g} % of NDR", kLoads[i]),
           {at.mpps, at.lost_percent, at.p50_us, at.p90_us, at.p99_us, at.p999_us, at.max_us}});
    }
  }
  if (!grid.rows.empty()) {
    report.add(std::move(grid));
  }
}

void tell(const Plan& plan, const std::array<Findings, 2>& found, Report& report) {
  const auto& [ours, mac] = found;
  Grid grid{.name = fmt::format("NDR and PDR, {}", plan.name),
            .columns = {"NDR Mpps", "PDR Mpps", "of mac", "offered max", "trials", "disturbed"}};
  for (const auto& [name, one] : {std::pair("portcullis", &ours), std::pair("mac loop", &mac)}) {
    const std::optional<double> share =
        mac.ndr_mpps > 0 ? std::optional(one->ndr_mpps / mac.ndr_mpps) : std::nullopt;
    grid.rows.push_back({name,
                         {one->ndr_mpps,
                          one->pdr_mpps,
                          share,
                          one->offered_max_mpps,
                          one->trials,
                          one->disturbed}});
    if (one->limited > 0) {
      report.note(
          fmt::format("{}: the generator can offer the {} no more: its NDR and PDR may be "
                      "greater",
                      plan.name,
                      name));
    }
  }
  report.add(std::move(grid));
  add_latency(plan, "portcullis", ours, report);
  add_latency(plan, "mac loop", mac, report);

  report.measured(fmt::format("ndr_{}_mpps", plan.figure), ours.ndr_mpps, "M/s");
  report.measured(fmt::format("pdr_{}_mpps", plan.figure), ours.pdr_mpps, "M/s");
  if (mac.ndr_mpps > 0) {
    report.measured(
        fmt::format("ndr_{}_of_mac", plan.figure), ours.ndr_mpps / mac.ndr_mpps, "ratio");
  }
  for (const std::size_t load : {kHalf, kNineTenths}) {
    const Point& at = ours.points[load];
    if (at.mpps > 0) {
      const std::string name = fmt::format("latency_{}_{:g}", plan.figure, kLoads[load]);
      report.measured(name + "_p50_us", at.p50_us, "us");
      report.measured(name + "_p99_us", at.p99_us, "us");
      report.measured(name + "_p999_us", at.p999_us, "us");
    }
  }
}

}  // namespace

Result<void> run_paced(const ThroughputOptions& options, const World& world, Report& report) {
  const Cores cores = control_and_worker();
  if (cores.control == cores.worker) {
    report.note("NDR, PDR and latency: left out, the generator needs a processor of its own");
    return {};
  }
  const Lengths& lengths = options.quick ? kQuickLengths : kFullLengths;
  report.note(fmt::format(
      "NDR (no loss) and PDR (0.5 %) to {:g} %, by trials of {:g} s, most of {} a load; "
      "the generator on core {}, rings of 1024 to and from core {}",
      lengths.precision * 100,
      lengths.trial_s,
      lengths.trials_max,
      cores.control,
      cores.worker));
  for (const Plan& plan : kPlans) {
    if (plan.quick || !options.quick) {
      PORTCULLIS_TRY(const auto found, measure_in_child(options, world, plan));
      tell(plan, found, report);
    }
  }
  return {};
}

}  // namespace portcullis::bench
