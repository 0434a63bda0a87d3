// SPDX-License-Identifier: MIT
// How long an update takes at 100,000 pods x 10,000 policies: one pod of known labels, one policy.
//   bench_update [--quick] [--seed=N]
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <map>
#include <optional>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include <fmt/format.h>

#include "base/check.h"
#include "bench/corpus.h"
#include "classifier/update.h"

namespace portcullis::bench {
namespace {

using namespace classifier;
using Clock = std::chrono::steady_clock;

/// Rules and sets of one policy.
struct Policy {
  RuleDelta add;
  RuleDelta change;
  RuleDelta remove;
};

double microseconds(Clock::duration duration) {
  return std::chrono::duration<double, std::micro>(duration).count();
}

double median(std::vector<double> values) {
  std::ranges::sort(values);
  return values[values.size() / 2];
}

/// Rules that name each set.
std::vector<std::size_t> uses_of_sets(const RuleSet& rules) {
  std::vector<std::size_t> uses(rules.sets.size());
  for (const Rule& rule : rules.rules) {
    ++uses[rule.subjects];
    ++uses[rule.peers];
  }
  return uses;
}

/// Takes policies out of the world; their slots stay, and so do sets that other policies use.
std::vector<Policy> hold_back(World& world, std::size_t count, std::mt19937_64& random) {
  RuleSet& rules = world.rules;
  std::map<std::string_view, std::vector<std::uint32_t>> by_policy;
  for (std::uint32_t i = 0; i < rules.rules.size(); ++i) {
    by_policy[world.provenance[rules.rules[i].provenance].policy].push_back(i);
  }
  std::vector<std::vector<std::uint32_t>> policies;
  std::ranges::transform(
      by_policy, std::back_inserter(policies), [](const auto& entry) { return entry.second; });
  std::shuffle(policies.begin(), policies.end(), random);
  policies.resize(std::min(count, policies.size()));
  const std::vector<std::size_t> uses = uses_of_sets(rules);
  std::vector<Policy> held;
  for (const auto& indices : policies) {
    Policy policy;
    std::map<SetIndex, std::size_t> own_uses;
    for (const std::uint32_t i : indices) {
      ++own_uses[rules.rules[i].subjects];
      ++own_uses[rules.rules[i].peers];
    }
    for (const std::uint32_t i : indices) {
      const Rule rule = rules.rules[i];
      policy.add.rules.push_back({i, rule});
      policy.remove.rules.push_back({i, {.direction = rule.direction, .action = Action::none}});
    }
    for (const auto& [set, count] : own_uses) {
      if (count == uses[set]) {
        policy.add.sets.push_back({set, rules.sets[set]});
        policy.remove.sets.push_back({set, {}});
      }
    }
    Rule changed = rules.rules[indices.front()];
    changed.ports = static_cast<PortsIndex>(random() % rules.port_sets.size());
    policy.change.rules.push_back({indices.front(), changed});
    PORTCULLIS_CHECK(apply(policy.remove, rules));
    held.push_back(std::move(policy));
  }
  return held;
}

/// A pod of another's labels, at an address of the same network that nobody has.
RuleDelta pod_like(const RuleSet& rules, EndpointIndex model, std::uint32_t slot) {
  Endpoint pod = rules.endpoints[model];
  const std::uint32_t network = pod.addresses.front().v4() & 0xffff'ff00U;
  pod.addresses = {IpAddress::from_v4(network | 250U)};
  RuleDelta delta{.endpoints = {{slot, pod}}};
  for (SetIndex set = 0; set < rules.sets.size(); ++set) {
    if (std::ranges::binary_search(rules.sets[set].endpoints, model)) {
      delta.memberships.push_back({.set = set, .endpoint = slot});
    }
  }
  return delta;
}

RuleDelta gone(RuleDelta delta) {
  delta.endpoints.front().value.addresses.clear();
  for (Membership& membership : delta.memberships) {
    membership.member = false;
  }
  return delta;
}

/// Processor time of this thread.
double processor_microseconds() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) * 1e6 + static_cast<double>(now.tv_nsec) / 1e3;
}

/// Times of one kind of update, and how they were made.
struct Timing {
  std::vector<double> microseconds;
  std::vector<double> processor;
  std::map<std::string, std::size_t> ways;

  void print(const char* name) const {
    std::vector<double> sorted = microseconds;
    std::ranges::sort(sorted);
    std::string how;
    for (const auto& [way, count] : ways) {
      how += fmt::format("{}{} {}", how.empty() ? "" : ", ", count, way);
    }
    fmt::print("{:<14} {:>10.1f} us median ({:.1f} of processor time), {:.1f} to {:.1f}; {}\n",
               name,
               median(sorted),
               median(processor),
               sorted.front(),
               sorted.back(),
               how);
  }
};

void time_update(Updater& updater, RuleDelta delta, Timing& timing) {
  const auto begin = Clock::now();
  const double processor_begin = processor_microseconds();
  const auto report = updater.update(std::move(delta));
  const auto table = updater.table();
  timing.processor.push_back(processor_microseconds() - processor_begin);
  timing.microseconds.push_back(microseconds(Clock::now() - begin));
  PORTCULLIS_CHECK(report && table != nullptr);
  ++timing.ways[report->why_whole.empty() ? to_string(report->way) : report->why_whole];
}

void print_figure(const char* name, double value, const char* unit, double target) {
  fmt::print("FIGURE {} {:.3g} {} <={} {}\n",
             name,
             value,
             unit,
             target,
             value <= target ? "reached" : "missed");
}

int run(bool quick, std::uint64_t seed) {
  World world = make_world({.pods = 100'000, .policies = 10'000, .seed = seed});
  std::mt19937_64 random(seed);
  const auto policies = hold_back(world, quick ? 15 : 60, random);
  const auto begin = Clock::now();
  auto updater = Updater::start(std::move(world.rules)).value();
  fmt::print("start          {:>10.1f} us\n", microseconds(Clock::now() - begin));

  Timing pods_come;
  Timing pods_go;
  const auto slot = static_cast<std::uint32_t>(updater.rules().endpoints.size());
  for (std::size_t i = 0; i < (quick ? 101 : 1001); ++i) {
    const auto model = static_cast<EndpointIndex>(random() % world.shape.pods);
    const RuleDelta delta = pod_like(updater.rules(), model, slot);
    time_update(updater, delta, pods_come);
    time_update(updater, gone(delta), pods_go);
  }
  Timing added;
  Timing changed;
  Timing removed;
  for (const Policy& policy : policies) {
    time_update(updater, policy.add, added);
    time_update(updater, policy.change, changed);
    time_update(updater, policy.remove, removed);
  }
  pods_come.print("pod comes");
  pods_go.print("pod goes");
  added.print("policy added");
  changed.print("policy changed");
  removed.print("policy removed");
  print_figure("update_pod_us",
               std::max(median(pods_come.microseconds), median(pods_go.microseconds)),
               "us",
               50);
  print_figure("update_policy_ms",
               std::max({median(added.microseconds),
                         median(changed.microseconds),
                         median(removed.microseconds)}) /
                   1000,
               "ms",
               5);
  return 0;
}

}  // namespace
}  // namespace portcullis::bench

int main(int argc, char** argv) {
  bool quick = false;
  std::uint64_t seed = 1;
  for (int i = 1; i < argc; ++i) {
    const std::string_view argument = argv[i];
    if (argument == "--quick") {
      quick = true;
    } else if (argument.starts_with("--seed=")) {
      seed = std::strtoull(argument.substr(7).data(), nullptr, 10);
    } else {
      fmt::print(stderr, "usage: bench_update [--quick] [--seed=N]\n");
      return 2;
    }
  }
  return portcullis::bench::run(quick, seed);
}
