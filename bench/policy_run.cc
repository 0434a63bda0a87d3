// SPDX-License-Identifier: MIT
#include "bench/policy_run.h"

#include <algorithm>
#include <array>
#include <map>

#include <fmt/format.h>

#include "bench/agree.h"
#include "bench/baselines/acl.h"
#include "bench/baselines/exact_hash.h"
#include "bench/baselines/expand.h"
#include "bench/baselines/fold.h"
#include "bench/baselines/ours.h"
#include "bench/baselines/tuple_space.h"
#include "bench/corpus.h"
#include "bench/floor.h"
#include "bench/measure.h"
#include "bench/update_run.h"
#include "classifier/compile.h"
#include "classifier/reference.h"

namespace portcullis::bench {
namespace {

using namespace classifier;

/// A world to measure, and how much of the slow there is time for.
struct Plan {
  const char* name = "";
  std::size_t pods = 0;
  std::size_t policies = 0;
  std::size_t sample = 0;        // Keys compared with the linear matcher.
  std::size_t memory_bytes = 0;  // What the world and its compilation need.
  bool quick = true;
};
constexpr std::size_t kGigabyte = std::size_t{1} << 30U;
constexpr std::array<Plan, 4> kPlans{{
    {"1k", 1'000, 100, 500, 0, true},
    {"10k", 10'000, 1'000, 500, 0, true},
    {"100k", 100'000, 10'000, 100, kGigabyte, true},
    {"1m", 1'000'000, 100'000, 10, 16 * kGigabyte, false},
}};

constexpr double kMegabyte = 1e6;
/// Plain rules that a rival may be given: more take too long to build, or do not fit.
constexpr std::size_t kRulesMaxQuick = 200'000;
constexpr std::size_t kRulesMax = 2'000'000;
constexpr std::size_t kNodeTraceKeys = 32'768;

struct Trace {
  std::string name;
  std::vector<Key4> keys;
};

/// A world, its table and the contestants over it.
class PolicyRun {
 public:
  PolicyRun(const Options& options, const Plan& plan, Report& report)
      : options_(options), plan_(plan), report_(report) {}

  /// The rate of permits over the mixed trace.
  [[nodiscard]] double permits_mlps() const { return permits_; }

  Result<void> run() {
    world_ = make_world({.pods = plan_.pods, .policies = plan_.policies, .seed = options_.seed});
    PORTCULLIS_TRY_VOID(measure_compile());
    measure_peak();
    // Ahead of the rivals, which leave the heap in pieces.
    PORTCULLIS_TRY(updates_, measure_updates(world_.shape, options_.quick));
    const std::vector<Trace> all = traces();
    const std::vector<Key4>& mixed = all.front().keys;
    add_ours();
    entries_.push_back(make_reference(world_.rules));
    if (auto made = make_exact_hash(world_)) {
      entries_.push_back(*std::move(made));
    } else {
      rows_.push_back({.contestant = "identity hash", .absent = made.error().message});
    }
    add_expanded();
    PORTCULLIS_TRY_VOID(
        agree(plan_.name, entries_, {.keys = mixed, .sample = plan_.sample, .bits = kAnswerAllow}));
    measure_rates(all);
    add_figures(mixed);
    add_updates();
    report_.add(scene("policies", plan_.name, world_.rules.rules.size()), std::move(rows_));
    entries_.clear();
    return run_node();
  }

 private:
  [[nodiscard]] Scene scene(const char* part, std::string name, std::size_t rules) const {
    return {part, std::move(name), plan_.pods, plan_.policies, rules};
  }

  /// The whole way of a commit, but for reading manifests.
  [[nodiscard]] Result<std::unique_ptr<const Table>> table_of_snapshot() const {
    PORTCULLIS_TRY(const policy::Lowered lowered,
                   policy::lower(world_.snapshot, lowering_of(world_)));
    return compile(lowered.rules);
  }

  void measure_peak() {
    const auto peak = peak_bytes([&] { static_cast<void>(table_of_snapshot()); });
    const std::string name = fmt::format("compile_{}_peak_mb", plan_.name);
    if (!peak) {
      report_.note(name + ": the system does not tell");
    } else if (plan_.pods == 100'000) {
      report_.at_most(name, static_cast<double>(*peak) / kMegabyte, "MB", 512);
    } else {
      report_.measured(name, static_cast<double>(*peak) / kMegabyte, "MB");
    }
  }

  Result<void> measure_compile() {
    const Stopwatch watch;
    PORTCULLIS_TRY(table_, table_of_snapshot());
    const double first_ms = watch.milliseconds();
    constexpr double kLongMs = 5000;
    build_ms_ =
        first_ms > kLongMs ? first_ms : median_ms([&] { static_cast<void>(table_of_snapshot()); });
    const std::string name = fmt::format("compile_{}_ms", plan_.name);
    if (plan_.pods == 10'000 || plan_.pods == 100'000) {
      report_.at_most(name, build_ms_, "ms", plan_.pods == 10'000 ? 100 : 1000);
    } else {
      report_.measured(name, build_ms_, "ms");
    }
    return {};
  }

  void add_ours() {
    for (const Isa isa : options_.isas) {
      entries_.push_back(make_permit(*table_, isa));
      entries_.push_back(make_lookup(*table_, isa));
    }
    for (Entry& entry : entries_) {
      entry.build_ms = build_ms_;
    }
  }

  /// The rivals that want plain rules, where there are not too many.
  void add_expanded() {
    const std::size_t count = expanded_count(world_);
    if (count > (options_.quick ? kRulesMaxQuick : kRulesMax)) {
      const char* why = count > kRulesMax ? "not buildable" : "only in the full run";
      for (const char* name : {"rte_acl", "folded rte_acl", "tuple space"}) {
        leave_out(name, count, why);
      }
      return;
    }
    const RuleLists lists = expand(world_);
    entries_.push_back(make_tuple_space(lists));
    add_acl("", lists);
    add_acl("folded ", fold(world_));
  }

  void add_acl(const std::string& prefix, const RuleLists& lists) {
    const std::size_t count = lists.rules.size();
    if (acl_build_bytes(count) > available_bytes()) {
      leave_out(prefix + "rte_acl", count, "more memory than there is");
      return;
    }
    auto acl = make_acl(lists);
    if (!acl) {
      leave_out(prefix + "rte_acl", count, to_string(acl.error()));
      return;
    }
    acl->name = prefix + acl->name;
    entries_.push_back(*std::move(acl));
  }

  void leave_out(const std::string& name, std::size_t rules, const std::string& why) {
    rows_.push_back({.contestant = name, .absent = fmt::format("{} rules: {}", rules, why)});
  }

  /// The mixed trace first: figures are about it.
  [[nodiscard]] std::vector<Trace> traces() const {
    using enum TraceKind;
    std::vector<Trace> all;
    for (const TraceKind kind : {mixed, skewed, denied, allowed, uniform}) {
      if (!options_.quick || kind == mixed || kind == skewed || kind == denied) {
        all.push_back({to_string(kind), make_trace(world_, *table_, kind)});
      }
    }
    return all;
  }

  /// A row for each contestant, ahead of those that say what is absent.
  void measure_rates(const std::vector<Trace>& all) {
    std::vector<Row> rows;
    std::vector<Contestant*> contestants;
    for (const Entry& entry : entries_) {
      rows.push_back(row_of(entry));
      contestants.push_back(entry.contestant.get());
    }
    for (const Trace& trace : all) {
      for (Contestant* contestant : contestants) {
        contestant->load(trace.keys);
      }
      const auto rates = rates_mlps(contestants, trace.keys.size(), options_.seconds());
      for (std::size_t i = 0; i < rows.size(); ++i) {
        rows[i].rates.emplace_back(trace.name, rates[i]);
      }
    }
    rows_.insert(rows_.begin(), rows.begin(), rows.end());
  }

  /// The rate over the mixed trace of the first contestant whose name begins so, or 0.
  [[nodiscard]] double mixed_rate(std::string_view name) const {
    const auto found = std::ranges::find_if(
        rows_, [&](const Row& row) { return row.contestant.starts_with(name); });
    return found == rows_.end() || found->rates.empty() ? 0 : found->rates[0].second;
  }

  void add_figures(const std::vector<Key4>& mixed) {
    const double permits = permits_ = mixed_rate("permit");
    const std::string name = plan_.name;
    const std::string mlps = fmt::format("lookup_{}_mlps", name);
    if (plan_.pods == 10'000 || plan_.pods == 100'000) {
      // Both directions in one lookup, allowed or not, with the classes as the way to the rules.
      report_.at_least(mlps, permits, "M/s", plan_.pods == 10'000 ? 300 : 150);
    } else {
      report_.measured(mlps, permits, "M/s");
    }
    if (const double acl = mixed_rate("rte_acl"); acl > 0) {
      const std::string ratio = fmt::format("lookup_{}_vs_acl", name);
      if (plan_.pods == 10'000) {
        report_.at_least(ratio, permits / acl, "ratio", 40);
      } else {
        report_.measured(ratio, permits / acl, "ratio");
      }
    }
    if (const double folded = mixed_rate("folded rte_acl"); folded > 0) {
      report_.measured(fmt::format("lookup_{}_vs_acl_folded", name), permits / folded, "ratio");
    }
    const double table_mb = static_cast<double>(table_->sizes().total) / kMegabyte;
    if (plan_.pods == 100'000) {
      report_.at_most("table_100k_mb", table_mb, "MB", 32);
    } else {
      report_.measured(fmt::format("table_{}_mb", name), table_mb, "MB");
    }
    if (table_->sizes().permits != 0) {
      add_floor(mixed, permits);
    }
  }

  /// To our rows; every kernel reads the same table.
  void add_updates() {
    for (Row& row : rows_) {
      if (row.contestant.starts_with("permit") || row.contestant.starts_with("lookup")) {
        row.update = updates_.medians;
      }
    }
    report_.note(fmt::format("updates of {}: {}", plan_.name, updates_.ways));
    const double megabytes = static_cast<double>(updates_.updater_bytes) / kMegabyte;
    report_.measured(fmt::format("updater_{}_mb", plan_.name), megabytes, "MB");
    if (plan_.pods == 100'000) {
      report_.at_most("update_pod_us", updates_.medians.pod_us, "us", 50);
      report_.at_most("update_policy_ms", updates_.medians.policy_us / 1000, "ms", 5);
    }
  }

  /// What permits read of the table, and how near they come to the loads alone.
  void add_floor(const std::vector<Key4>& mixed, double permits) {
    const std::size_t bytes = touched_bytes(*table_, mixed);
    const double floor = floor_mlps(kPermitLoads, bytes);
    const double kilobytes = static_cast<double>(bytes) / 1024;
    for (Row& row : rows_) {
      if (row.contestant.starts_with("permit")) {
        row.facts.touched_kb = kilobytes;
      }
    }
    rows_.push_back({.contestant = fmt::format("floor: {} loads", kPermitLoads),
                     .rates = {{"mixed", floor}},
                     .facts = {.bytes = bytes}});
    if (plan_.pods == 10'000) {
      report_.at_least("lookup_floor_share", permits / floor, "ratio", 0.7);
    }
    const std::string touched = fmt::format("touched_{}_kb", plan_.name);
    if (plan_.pods == 100'000) {
      report_.at_most(touched, kilobytes, "KiB", 3072);
    } else {
      report_.measured(touched, kilobytes, "KiB");
    }
  }

  /// A rival's best case: only the rules of one node's pods, and only flows of theirs. It judges
  /// the ends that are on the node; ours judges both ends of the same flows.
  Result<void> run_node() {
    const auto node = static_cast<EndpointIndex>(plan_.pods);  // The first one.
    const RuleLists lists = expand(world_, {.node = node});
    const std::vector<Key4> keys = make_node_trace(world_, *table_, node, kNodeTraceKeys);
    std::vector<Entry> entries;
    entries.push_back(make_reference(world_.rules, node));
    entries.push_back(make_tuple_space(lists));
    auto acl = make_acl(lists);
    if (!acl) {
      report_.note(fmt::format("rte_acl, one node of {}: {}", plan_.name, acl.error().message));
      return {};
    }
    entries.push_back(*std::move(acl));
    PORTCULLIS_TRY_VOID(agree(fmt::format("one node of {}", plan_.name),
                              entries,
                              {keys, plan_.sample, options_.compared_keys(), kAnswerAllow}));
    entries.front() = make_permit(*table_, options_.isas.front());
    entries.front().build_ms = build_ms_;
    entries_ = std::move(entries);
    rows_.clear();
    measure_rates({{"mixed", keys}});
    const double rate = mixed_rate("rte_acl");
    const std::string ratio = fmt::format("lookup_{}_vs_acl_node", plan_.name);
    if (plan_.pods == 10'000) {
      report_.at_least(ratio, permits_ / rate, "ratio", 7);
    } else {
      report_.measured(ratio, permits_ / rate, "ratio");
    }
    report_.add(scene("node", fmt::format("{} node", plan_.name), lists.rules.size()),
                std::move(rows_));
    return {};
  }

  const Options& options_;
  const Plan& plan_;
  Report& report_;
  World world_;
  std::unique_ptr<const Table> table_;
  double build_ms_ = 0;
  UpdateTimes updates_;
  double permits_ = 0;
  std::vector<Entry> entries_;
  std::vector<Row> rows_;
};

bool wanted(const Options& options, const Plan& plan) {
  return options.worlds.empty() ||
         std::ranges::find(options.worlds, plan.name) != options.worlds.end();
}

}  // namespace

Result<void> run_policies(const Options& options, Report& report) {
  for (const std::string& name : options.worlds) {
    if (std::ranges::find(kPlans, name, &Plan::name) == kPlans.end()) {
      return fail(fmt::format("there is no world {}", name));
    }
  }
  if (options.quick) {
    report.note(fmt::format(
        "a quick run leaves out: the world of 1m pods, rivals that want more than {} plain rules, "
        "the traces allowed and uniform, and filter sets of 100k rules",
        kRulesMaxQuick));
  }
  std::map<std::size_t, double> permits;
  for (const Plan& plan : kPlans) {
    if (!wanted(options, plan) || (options.quick && !plan.quick)) {
      continue;
    }
    if (plan.memory_bytes > available_bytes()) {
      report.note(fmt::format("{} pods: left out, they need {} GiB of free memory",
                              plan.name,
                              plan.memory_bytes / kGigabyte));
      continue;
    }
    PolicyRun run(options, plan, report);
    if (auto ran = run.run(); !ran && plan.quick) {
      return ran;
    } else if (!ran) {
      // The largest world may be too large for a table; that is an answer too.
      report.note(fmt::format("{} pods: {}", plan.name, to_string(ran.error())));
    }
    permits[plan.pods] = run.permits_mlps();
  }
  if (permits[1'000] > 0 && permits[100'000] > 0) {
    report.at_most("growth", permits[1'000] / permits[100'000], "ratio", 2.5);
  }
  return {};
}

}  // namespace portcullis::bench
