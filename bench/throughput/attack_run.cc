// SPDX-License-Identifier: MIT
#include "bench/throughput/attack_run.h"

#include <algorithm>
#include <array>
#include <iterator>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/limits.h"
#include "bench/measure.h"
#include "bench/throughput/attack.h"
#include "bench/throughput/drive.h"
#include "bench/throughput/traffic.h"

namespace portcullis::bench {
namespace {

using Step = Traffic::Step;
using Kind = Attack::Kind;

constexpr std::size_t kBurst = limits::kBurstMax;
constexpr std::size_t kFlows = 10'000;
constexpr double kFloodSeconds = 60;
constexpr double kFloodSecondsQuick = 2;
/// Sets of buffers in a row whose median cost is kept, and how many of these there is room for: at
/// 20 cycles a packet as many as come in two minutes.
constexpr std::size_t kFloodSets = 64;
constexpr std::size_t kFloodCostsMax = 262'144;
/// Of memory: an allocator may take that for itself.
constexpr double kFloodGrowthMaxKb = 64;
/// Of each mix.
constexpr double kMixSeconds = 10;
constexpr double kMixSecondsQuick = 0.4;

struct Mix {
  const char* name;
  const char* figure;
  std::vector<Kind> kinds;
};

/// Opens all flows of a drive, and passes a packet of each. Returns the cost of more of them.
Result<double> establish(Drive& drive, std::span<const Turn> calm) {
  for (const Step step : {Step::open, Step::accept, Step::data}) {
    drive.run(of_every_flow(kFlows, step), kBurst);
  }
  const double cost = median(drive.run(calm, kBurst));
  PORTCULLIS_TRY_VOID(drive.expect_forwarded());
  return cost;
}

/// Established connections, and as many SYNs of connections that come to nothing, soon more than
/// there is room for. What the flood may not do: end a connection, or cost more as it goes on.
Result<void> run_flood(const ThroughputOptions& options,
                       const dataplane::Generation& generation,
                       const Traffic& tcp4,
                       Report& report) {
  Drive drive(generation, tcp4, kFlows);
  const std::vector<Turn> calm = established_turns(kFlows, options.seed);
  PORTCULLIS_TRY(const double before, establish(drive, calm));
  std::vector<Turn> turns(kFloodSets * kBuffers);
  // Written to once, so that it is in memory before the flood.
  std::vector<double> costs(kFloodCostsMax);
  costs.clear();
  std::size_t next = kFlows;
  const std::optional<std::size_t> held = anonymous_bytes();
  const Stopwatch watch;
  while (watch.seconds() < (options.quick ? kFloodSecondsQuick : kFloodSeconds)) {
    for (std::size_t i = 0; i < turns.size(); i += 2) {
      turns[i] = calm[(next + i) % calm.size()];
      turns[i + 1] = {static_cast<std::uint32_t>(next), Step::open};
      next = next + 1 == tcp4.flows_max() ? kFlows : next + 1;
    }
    costs.push_back(median(drive.run(turns, kBurst)));
    static_cast<void>(drive.take_stages());  // Or they would pile up.
  }
  const std::optional<std::size_t> held_then = anonymous_bytes();
  const auto tenth = static_cast<std::ptrdiff_t>(costs.size() / 10 + 1);
  const double first = median({costs.begin(), costs.begin() + tenth});
  const double last = median({costs.end() - tenth, costs.end()});
  const auto dropped = [&drive](dataplane::DropReason reason) {
    return static_cast<double>(drive.counters().drops[static_cast<std::size_t>(reason)].get());
  };
  report.add({.name = "SYN flood, 10k connections",
              .columns = {"calm cycles", "flood cycles", "first tenth", "last tenth", "SYNs M"},
              .rows = {{"half of all packets",
                        {before,
                         median(std::vector(costs)),
                         first,
                         last,
                         static_cast<double>(costs.size() * turns.size()) * 0.5e-6}}}});
  report.at_most("flood_lost", dropped(dataplane::DropReason::not_a_new_flow), "packets", 0);
  if (held && held_then) {
    const double growth = static_cast<double>(*held_then) - static_cast<double>(*held);
    report.at_most("flood_memory_growth_kb", growth / 1024, "KiB", kFloodGrowthMaxKb);
  }
  report.measured("flood_refused", dropped(dataplane::DropReason::conntrack_full), "SYNs");
  report.measured("flood_drift", last / first, "ratio");
  return {};
}

/// What one mix did.
struct Suffered {
  double calm = 0;
  double attacked = 0;
  double good_lost = 0;
  double passed = 0;
  double packets = 0;  // Of the attacker.
};

/// Established flows, of all kinds, and as many packets of the attacker, its kinds in turns.
class MixRun {
 public:
  MixRun(const ThroughputOptions& options,
         const dataplane::Generation& generation,
         const Traffic& traffic,
         const Attack& attack)
      : seconds_(options.quick ? kMixSecondsQuick : kMixSeconds),
        generation_(generation),
        traffic_(traffic),
        attack_(attack),
        calm_(established_turns(kFlows, options.seed)) {}

  Result<Suffered> run(const std::vector<Kind>& kinds) const {
    Drive drive(generation_, traffic_, kFlows, &attack_);
    PORTCULLIS_TRY(const double calm, establish(drive, calm_));
    std::vector<double> costs;
    std::vector<Turn> turns(kBuffers);
    std::size_t next = 0;
    for (const Stopwatch watch; watch.seconds() < seconds_;) {
      for (std::size_t i = 0; i < turns.size(); i += 2, ++next) {
        turns[i] = calm_[next % calm_.size()];
        turns[i + 1] = {.flow = static_cast<std::uint32_t>(next / kinds.size()),
                        .attack = kinds[next % kinds.size()]};
      }
      std::ranges::copy(drive.run(turns, kBurst), std::back_inserter(costs));
    }
    return Suffered{.calm = calm,
                    .attacked = median(std::move(costs)),
                    .good_lost = static_cast<double>(drive.good_lost()),
                    .passed = static_cast<double>(drive.attack_passed()),
                    .packets = static_cast<double>(next)};
  }

 private:
  const double seconds_;
  const dataplane::Generation& generation_;
  const Traffic& traffic_;
  const Attack& attack_;
  const std::vector<Turn> calm_;
};

Result<void> run_mixes(const MixRun& run, Report& report) {
  const std::array<Mix, 4> mixes{{
      {"malformed", "attack_malformed", {Kind::malformed}},
      {"fragments", "attack_fragments", {Kind::fragments}},
      {"denied scan", "attack_scan", {Kind::scan}},
      {"all three", "attack_mix", {Kind::malformed, Kind::fragments, Kind::scan}},
  }};
  Grid grid{
      .name = "attacks, 10k flows, half of all packets",
      .columns = {"calm cycles", "attacked cycles", "good lost", "attack passed M", "attack M"}};
  double good_lost = 0;
  double passed = 0;
  for (const Mix& mix : mixes) {
    PORTCULLIS_TRY(const Suffered suffered, run.run(mix.kinds));
    grid.rows.push_back({mix.name,
                         {suffered.calm,
                          suffered.attacked,
                          suffered.good_lost,
                          suffered.passed * 1e-6,
                          suffered.packets * 1e-6}});
    report.measured(std::string(mix.figure) + "_cycles", suffered.attacked, "cycles");
    good_lost += suffered.good_lost;
    // A first fragment that is allowed may pass: what overlaps it comes later.
    const bool fragments = std::ranges::find(mix.kinds, Kind::fragments) != mix.kinds.end();
    passed += fragments ? 0 : suffered.passed;
  }
  report.add(std::move(grid));
  report.at_most("attack_lost", good_lost, "packets", 0);
  report.at_most("attack_passed", passed, "packets", 0);
  return {};
}

}  // namespace

Result<void> run_attacks(const ThroughputOptions& options,
                         const dataplane::Generation& generation,
                         const World& world,
                         Report& report) {
  const Traffic tcp4(world, *generation.table, Traffic::Kind::tcp4);
  PORTCULLIS_TRY_VOID(run_flood(options, generation, tcp4, report));
  const Traffic mixed(world, *generation.table, Traffic::Kind::mixed);
  const Attack attack(world, *generation.table, tcp4);
  return run_mixes(MixRun(options, generation, mixed, attack), report);
}

}  // namespace portcullis::bench
