// SPDX-License-Identifier: MIT
#include "bench/update_run.h"

#include <algorithm>
#include <chrono>
#include <map>
#include <random>
#include <string_view>
#include <utility>
#include <vector>

#include <malloc.h>

#include <fmt/format.h>

#include "base/check.h"
#include "bench/measure.h"
#include "classifier/update.h"

namespace portcullis::bench {
namespace {

using namespace classifier;

/// Rules and sets of one policy.
struct Policy {
  RuleDelta add;
  RuleDelta change;
  RuleDelta remove;
};

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
    for (const auto& [set, used] : own_uses) {
      if (used == uses[set]) {
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

/// Each series ends after so long: in the largest world an update may compile everything anew.
constexpr double kSeriesSecondsMax = 10;

/// Times of one kind of update.
using Times = std::vector<double>;

/// An Updater and how its updates were made.
class Updates {
 public:
  explicit Updates(Updater updater) : updater_(std::move(updater)) {}

  Result<void> run(RuleDelta delta, Times& microseconds) {
    const auto begin = std::chrono::steady_clock::now();
    PORTCULLIS_TRY(const UpdateReport report, updater_.update(std::move(delta)));
    const auto table = updater_.table();
    const std::chrono::duration<double, std::micro> took = std::chrono::steady_clock::now() - begin;
    microseconds.push_back(took.count());
    ++ways_[report.why_whole.empty() ? to_string(report.way) : report.why_whole];
    return {};
  }

  [[nodiscard]] const RuleSet& rules() const { return updater_.rules(); }
  [[nodiscard]] std::string ways() const {
    std::string text;
    for (const auto& [way, count] : ways_) {
      text += fmt::format("{}{} {}", text.empty() ? "" : ", ", count, way);
    }
    return text;
  }

 private:
  Updater updater_;
  std::map<std::string, std::size_t> ways_;
};

std::size_t allocated_bytes() {
  const struct mallinfo2 heap = mallinfo2();
  return heap.uordblks + heap.hblkhd;
}

Result<double> pod_us(Updates& updates,
                      std::size_t pods,
                      std::size_t count,
                      std::mt19937_64& random) {
  // Ahead of all updates: to look for a pod's sets walks through all of them, and what an update
  // needs would be out of the caches each time.
  std::vector<RuleDelta> deltas;
  const auto slot = static_cast<std::uint32_t>(updates.rules().endpoints.size());
  for (std::size_t i = 0; i < count; ++i) {
    deltas.push_back(pod_like(updates.rules(), static_cast<EndpointIndex>(random() % pods), slot));
  }
  Times come;
  Times go;
  const Stopwatch watch;
  for (const RuleDelta& delta : deltas) {
    if (watch.seconds() >= kSeriesSecondsMax) {
      break;
    }
    PORTCULLIS_TRY_VOID(updates.run(delta, come));
    PORTCULLIS_TRY_VOID(updates.run(gone(delta), go));
  }
  return std::max(median(std::move(come)), median(std::move(go)));
}

Result<double> policy_us(Updates& updates, const std::vector<Policy>& policies) {
  Times added;
  Times changed;
  Times removed;
  const Stopwatch watch;
  for (const Policy& policy : policies) {
    if (watch.seconds() >= kSeriesSecondsMax) {
      break;
    }
    PORTCULLIS_TRY_VOID(updates.run(policy.add, added));
    PORTCULLIS_TRY_VOID(updates.run(policy.change, changed));
    PORTCULLIS_TRY_VOID(updates.run(policy.remove, removed));
  }
  return std::max(
      {median(std::move(added)), median(std::move(changed)), median(std::move(removed))});
}

}  // namespace

Result<UpdateTimes> measure_updates(const Shape& shape, bool quick) {
  std::mt19937_64 random(shape.seed);
  const std::size_t before = allocated_bytes();
  // Made anew: the lists of a copy have no room for one more, those of a snapshot mostly have.
  World world = make_world(shape);
  const auto policies = hold_back(world, quick ? 15 : 60, random);
  PORTCULLIS_TRY(Updater updater, Updater::start(std::move(world.rules)));
  world = {};  // Only its rules count, which are the updater's now.
  UpdateTimes times{.updater_bytes = allocated_bytes() - before};
  Updates updates(std::move(updater));
  const std::size_t pods = quick ? 101 : 1001;
  PORTCULLIS_TRY(times.medians.pod_us, pod_us(updates, shape.pods, pods, random));
  PORTCULLIS_TRY(times.medians.policy_us, policy_us(updates, policies));
  times.ways = updates.ways();
  return times;
}

}  // namespace portcullis::bench
