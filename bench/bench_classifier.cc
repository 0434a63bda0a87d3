// SPDX-License-Identifier: MIT
// Lookups a second, compile time and table bytes over policy-shaped worlds of growing size.
// Usage: bench_classifier [--quick] [--seed=N] [--isa=NAME] [Google Benchmark's own options]
#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <fstream>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <type_traits>

#include <sched.h>

#include <benchmark/benchmark.h>
#include <fmt/format.h>

#include "base/cpu.h"
#include "base/limits.h"
#include "bench/corpus.h"
#include "bench/floor.h"
#include "classifier/compile.h"
#include "classifier/lookup.h"
#include "classifier/reference.h"

namespace portcullis::bench {
namespace {

using namespace classifier;

struct Options {
  bool quick = false;
  std::uint64_t seed = 1;
};

/// A world, its table and its traces, made when first asked for.
class Scene {
 public:
  Scene(std::string name, const Shape& shape) : name_(std::move(name)), shape_(shape) {}

  const std::string& name() const { return name_; }
  const World& world() {
    if (!world_) {
      world_ = std::make_unique<World>(make_world(shape_));
    }
    return *world_;
  }
  const Table& table() {
    if (!table_) {
      auto compiled = compile(world().rules);
      if (!compiled) {
        fmt::print(stderr, "{}: {}\n", name_, to_string(compiled.error()));
        std::exit(2);
      }
      table_ = *std::move(compiled);
    }
    return *table_;
  }
  const std::vector<Key4>& trace(TraceKind kind) {
    auto& keys = traces_[kind];
    if (keys.empty()) {
      keys = make_trace(world(), table(), kind);
    }
    return keys;
  }

 private:
  std::string name_;
  Shape shape_;
  std::unique_ptr<World> world_;
  std::unique_ptr<const Table> table_;
  std::map<TraceKind, std::vector<Key4>> traces_;
};

/// Keys handed over in one call, a divisor of a trace's. Their answers stay in the first cache.
constexpr std::size_t kKeysPerCall = 1024;

/// The rate of one question over the trace, call by call.
template <typename Answer>
void run_lookups(benchmark::State& state, Scene& scene, TraceKind kind) {
  const Table& table = scene.table();
  const std::vector<Key4>& keys = scene.trace(kind);
  std::vector<Answer> answers(kKeysPerCall);
  std::size_t allowed = 0;
  for (auto _ : state) {
    for (std::size_t i = 0; i < keys.size(); i += kKeysPerCall) {
      const auto call = std::span(keys).subspan(i, kKeysPerCall);
      if constexpr (std::is_same_v<Answer, Permit>) {
        permit(table, call, answers);
      } else {
        lookup(table, call, answers);
      }
      allowed += answers[0].allowed() ? 1 : 0;
    }
  }
  benchmark::DoNotOptimize(allowed);
  state.counters["value"] = benchmark::Counter(
      static_cast<double>(state.iterations() * keys.size()) / 1e6, benchmark::Counter::kIsRate);
}

void run_compile(benchmark::State& state, Scene& scene) {
  const World& world = scene.world();
  for (auto _ : state) {
    auto table = compile(world.rules);
    benchmark::DoNotOptimize(table);
  }
}

/// Prints as Google Benchmark does and keeps the medians by name.
class Medians : public benchmark::ConsoleReporter {
 public:
  void ReportRuns(const std::vector<Run>& runs) override {
    for (const Run& run : runs) {
      if (run.aggregate_name == "median") {
        const auto counter = run.counters.find("value");
        by_name_[run.run_name.function_name] =
            counter != run.counters.end() ? counter->second.value : run.GetAdjustedCPUTime();
      }
    }
    ConsoleReporter::ReportRuns(runs);
  }
  /// The median, or nothing where the benchmark was filtered out.
  const double* find(const std::string& name) const {
    const auto found = by_name_.find(name);
    return found == by_name_.end() ? nullptr : &found->second;
  }

 private:
  std::map<std::string, double> by_name_;
};

/// Stays on the last core that this process may use. Returns it, or -1.
int pin_to_core() {
  cpu_set_t cores;
  if (sched_getaffinity(0, sizeof(cores), &cores) != 0) {
    return -1;
  }
  int last = CPU_SETSIZE - 1;
  while (last >= 0 && !CPU_ISSET(last, &cores)) {
    --last;
  }
  CPU_ZERO(&cores);
  CPU_SET(last, &cores);
  return sched_setaffinity(0, sizeof(cores), &cores) == 0 ? last : -1;
}

/// A figure of wrong verdicts is worth nothing: compares a sample with the linear matcher.
bool verdicts_hold(Scene& scene) {
  constexpr std::size_t kSample = 500;
  const Reference reference(scene.world().rules);
  const auto& keys = scene.trace(TraceKind::mixed);
  for (std::size_t i = 0; i < kSample; ++i) {
    const Key4& key = keys[i * (keys.size() / kSample)];
    const Flow flow{.src = IpAddress::from_v4(key.src),
                    .dst = IpAddress::from_v4(key.dst),
                    .protocol = key.protocol,
                    .src_port = key.src_port,
                    .dst_port = key.dst_port};
    if (lookup(scene.table(), flow) != reference.lookup(flow)) {
      fmt::print(
          stderr, "{}: the table and the linear matcher differ at key {}\n", scene.name(), i);
      return false;
    }
  }
  return true;
}

void print_machine() {
  std::ifstream cpuinfo("/proc/cpuinfo");
  std::string line;
  while (std::getline(cpuinfo, line) && !line.starts_with("model name")) {
  }
  std::ifstream loadavg("/proc/loadavg");
  std::string load;
  std::getline(loadavg, load);
  fmt::print("machine: {}; pinned to core {}; kernel {}; load average {}\n",
             line.empty() ? "unknown" : line.substr(line.find(':') + 2),
             pin_to_core(),
             to_string(current_isa()),
             load);
}

void print_world(Scene& scene) {
  const World& world = scene.world();
  const TableSizes& sizes = scene.table().sizes();
  fmt::print("{}: {} namespaces, {} apps, {} rules -> {} classes, {} port lines, {} outcomes\n",
             scene.name(),
             world.namespaces,
             world.apps,
             world.rules.rules.size(),
             sizes.classes,
             sizes.port_classes,
             sizes.profile_count);
  fmt::print(
      "{}: bytes: total {}, IPv4 map {}, IPv6 map {}, class records {}, matrices {}, outcomes {}, "
      "port lines {}, owners {}, permits {} of {} lines\n",
      scene.name(),
      sizes.total,
      sizes.address_map_v4,
      sizes.address_map_v6,
      sizes.class_records,
      sizes.matrices,
      sizes.profiles,
      sizes.port_map,
      sizes.owners,
      sizes.permits,
      sizes.permit_lines);
}

/// A figure with a target to stay under.
void print_figure(const std::string& name, double value, const char* unit, double at_most) {
  fmt::print("FIGURE {} {:.4g} {} <={:g} {}\n",
             name,
             value,
             unit,
             at_most,
             value <= at_most ? "reached" : "missed");
}

/// A rate with a target to reach.
void print_rate(const std::string& name, double value, double at_least) {
  fmt::print("FIGURE {} {:.4g} M/s >={:g} {}\n",
             name,
             value,
             at_least,
             value >= at_least ? "reached" : "missed");
}

/// What permits read of each table, and how near they come to the loads alone.
void print_footprints(const Medians& medians, std::vector<std::unique_ptr<Scene>>& scenes) {
  for (const auto& scene : scenes) {
    const double* rate = medians.find(fmt::format("permit/{}/mixed", scene->name()));
    if (rate == nullptr || scene->table().sizes().permits == 0) {
      continue;
    }
    const std::size_t bytes = touched_bytes(scene->table(), scene->trace(TraceKind::mixed));
    const double floor = floor_mlps(kPermitLoads, bytes);
    const auto kilobytes = static_cast<double>(bytes) / 1024;
    fmt::print("MEASURED floor_{}_mlps {:.4g} M/s ({} loads from {:.0f} KiB)\n",
               scene->name(),
               floor,
               kPermitLoads,
               kilobytes);
    if (scene->name() == "10k") {
      fmt::print("FIGURE lookup_floor_share {:.3g} ratio >=0.7 {}\n",
                 *rate / floor,
                 *rate / floor >= 0.7 ? "reached" : "missed");
    }
    if (scene->name() == "100k") {
      print_figure("touched_100k_kb", kilobytes, "KiB", 3072);
    } else {
      fmt::print("MEASURED touched_{}_kb {:.4g} KiB\n", scene->name(), kilobytes);
    }
  }
}

void print_figures(const Medians& medians, std::vector<std::unique_ptr<Scene>>& scenes) {
  for (const auto& scene : scenes) {
    for (const char* question : {"permit", "lookup"}) {
      for (const TraceKind kind : {TraceKind::mixed, TraceKind::allowed, TraceKind::skewed}) {
        const auto run = fmt::format("{}/{}/{}", question, scene->name(), to_string(kind));
        if (const double* value = medians.find(run)) {
          fmt::print("MEASURED {}_{}_{}_{}_mlps {:.4g} M/s\n",
                     question,
                     to_string(current_isa()),
                     scene->name(),
                     to_string(kind),
                     *value);
        }
      }
    }
  }
  constexpr double kMegabyte = 1e6;
  for (const auto& scene : scenes) {
    const auto total = static_cast<double>(scene->table().sizes().total) / kMegabyte;
    if (scene->name() == "100k") {
      print_figure("table_100k_mb", total, "MB", 32);
    } else {
      fmt::print("MEASURED table_{}_mb {:.4g} MB\n", scene->name(), total);
    }
    if (const double* ms = medians.find("compile/" + scene->name())) {
      // The targets count from a Snapshot; this is the classifier's share, from the RuleSet.
      if (scene->name() == "1k") {
        fmt::print("MEASURED compile_1k_ms {:.4g} ms\n", *ms);
      } else {
        print_figure(
            "compile_" + scene->name() + "_ms", *ms, "ms", scene->name() == "10k" ? 100 : 1000);
      }
    }
  }
  print_footprints(medians, scenes);
  // Both directions in one lookup, allowed or not, with the classes as the way to the rules.
  if (const double* value = medians.find("permit/10k/mixed")) {
    print_rate("lookup_10k_mlps", *value, 300);
  }
  const double* small = medians.find("permit/1k/mixed");
  const double* large = medians.find("permit/100k/mixed");
  if (large != nullptr) {
    print_rate("lookup_100k_mlps", *large, 150);
  }
  if (small != nullptr && large != nullptr) {
    print_figure("growth", *small / *large, "ratio", 2.5);
  }
}

void register_scene(Scene& scene, const Options& options) {
  const double seconds = options.quick ? 0.1 : 0.5;
  constexpr int kRepetitions = 5;
  for (const TraceKind kind : {TraceKind::mixed, TraceKind::allowed, TraceKind::skewed}) {
    const auto add = [&](const char* question, auto* run) {
      const auto name = fmt::format("{}/{}/{}", question, scene.name(), to_string(kind));
      benchmark::RegisterBenchmark(
          name.c_str(), [&scene, kind, run](benchmark::State& state) { run(state, scene, kind); })
          ->MinTime(seconds)
          ->Repetitions(kRepetitions)
          ->ReportAggregatesOnly();
    };
    add("permit", run_lookups<Permit>);
    add("lookup", run_lookups<Verdict>);
  }
  benchmark::RegisterBenchmark(("compile/" + scene.name()).c_str(),
                               [&scene](benchmark::State& state) { run_compile(state, scene); })
      ->MinTime(seconds)
      ->Repetitions(kRepetitions)
      ->ReportAggregatesOnly()
      ->Unit(benchmark::kMillisecond);
}

/// Takes our own options out of argv. False: one of them cannot be used.
bool read_options(int& argc, char** argv, Options& options) {
  int kept = 1;
  for (int i = 1; i < argc; ++i) {
    const std::string_view argument = argv[i];
    if (argument == "--quick") {
      options.quick = true;
    } else if (argument.starts_with("--seed=")) {
      const auto digits = argument.substr(argument.find('=') + 1);
      const auto [end, error] =
          std::from_chars(digits.data(), digits.data() + digits.size(), options.seed);
      if (error != std::errc{} || end != digits.data() + digits.size()) {
        return false;
      }
    } else if (argument.starts_with("--isa=")) {
      const auto forced = parse_isa(argument.substr(argument.find('=') + 1)).and_then(force_isa);
      if (!forced) {
        fmt::print(stderr, "{}\n", to_string(forced.error()));
        return false;
      }
    } else {
      argv[kept++] = argv[i];
    }
  }
  argc = kept;
  return true;
}

int run(int argc, char** argv) {
  Options options;
  if (!read_options(argc, argv, options)) {
    fmt::print(stderr, "usage: bench_classifier [--quick] [--seed=N] [--isa=NAME]\n");
    return 2;
  }
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) {
    return 2;
  }
  std::vector<std::unique_ptr<Scene>> scenes;
  const auto add = [&](const char* name, std::size_t pods, std::size_t policies) {
    const Shape shape{.pods = pods, .policies = policies, .seed = options.seed};
    scenes.push_back(std::make_unique<Scene>(name, shape));
    register_scene(*scenes.back(), options);
  };
  add("1k", 1'000, 100);
  add("10k", 10'000, 1'000);
  add("100k", 100'000, 10'000);
  print_machine();
  fmt::print("seed {}\n", options.seed);
  for (const auto& scene : scenes) {
    print_world(*scene);
    if (!verdicts_hold(*scene)) {
      return 2;
    }
  }
  std::fflush(stdout);
  Medians medians;
  benchmark::RunSpecifiedBenchmarks(&medians);
  print_figures(medians, scenes);
  return 0;
}

}  // namespace
}  // namespace portcullis::bench

int main(int argc, char** argv) {
  return portcullis::bench::run(argc, argv);
}
