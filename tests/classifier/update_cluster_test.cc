// SPDX-License-Identifier: MIT
// Policies and pods that come and go in a cluster of a realistic shape: the updated table is the
// compiled one in every answer, and stays as small.
#include <algorithm>
#include <map>
#include <random>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "bench/corpus.h"
#include "classifier/compiler/compiled.h"
#include "classifier/lookup.h"
#include "classifier/updater/start.h"
#include "tests/classifier/random_world.h"

namespace portcullis::classifier {
namespace {

constexpr unsigned kSteps = 400;
constexpr unsigned kStepsBetweenChecks = 8;
constexpr std::size_t kFlows = 4096;

/// A cluster whose policies are taken out and put back. A policy is the rules of one subject set.
class Life {
 public:
  Life(std::uint64_t seed, PermitForm narrowest)
      : narrowest_(narrowest),
        random_(seed),
        all_(bench::make_world({.pods = 2000, .policies = 200, .seed = seed}).rules),
        updater_(start_updater(all_, {}, narrowest).value()) {
    for (std::uint32_t i = 0; i < all_.rules.size(); ++i) {
      policies_[all_.rules[i].subjects].push_back(i);
    }
  }

  void step() {
    const auto report = updater_.update(random_() % 3 == 0 ? next_pod() : toggled_policy());
    ASSERT_TRUE(report) << to_string(report.error());
    ++ways_[report->why_whole.empty() ? to_string(report->way) : report->why_whole];
  }

  void compare() {
    const auto updated = updater_.table();
    const auto compiled = compiled_table();
    const auto keys = random_keys();
    std::vector<Verdict> found(keys.size());
    std::vector<Verdict> expected(keys.size());
    std::vector<Permit> permits(keys.size());
    lookup(*updated, keys, found);
    lookup(*compiled, keys, expected);
    permit(*updated, keys, permits);
    for (std::size_t i = 0; i < keys.size(); ++i) {
      ASSERT_EQ(found[i], expected[i]) << i;
      ASSERT_EQ(permits[i].allowed(), expected[i].allowed()) << i;
    }
    const auto share =
        static_cast<double>(updated->sizes().total) / static_cast<double>(compiled->sizes().total);
    share_max_ = std::max(share_max_, share);
  }

  void expect_compacted() {
    ASSERT_TRUE(updater_.compact());
    EXPECT_EQ(updater_.table()->bytes(), compiled_table()->bytes());
  }

  [[nodiscard]] double share_max() const { return share_max_; }
  [[nodiscard]] const std::map<std::string, std::size_t>& ways() const { return ways_; }

 private:
  std::unique_ptr<const Table> compiled_table() {
    return compile_whole(updater_.rules(), {}, {.narrowest_permits = narrowest_}).value().table;
  }

  RuleDelta toggled_policy() {
    auto policy = policies_.begin();
    std::advance(policy, static_cast<std::ptrdiff_t>(random_() % policies_.size()));
    RuleDelta delta;
    const bool is_there = updater_.rules().rules[policy->second.front()].action != Action::none;
    for (const std::uint32_t i : policy->second) {
      const Rule& rule = all_.rules[i];
      delta.rules.push_back({i, is_there ? Rule{.action = Action::none} : rule});
      for (const SetIndex set : {rule.subjects, rule.peers}) {
        if (!all_.sets[set].everything) {
          delta.sets.push_back({set, is_there ? AddressSet{} : all_.sets[set]});
        }
      }
    }
    return delta;
  }

  /// A pod of the labels of another; every second time it goes.
  RuleDelta next_pod() {
    const auto slot = static_cast<EndpointIndex>(all_.endpoints.size());
    const RuleSet& rules = updater_.rules();
    Endpoint pod = all_.endpoints[random_() % 2000];
    pod.addresses = {IpAddress::from_v4((pod.addresses.front().v4() & 0xffff'ff00U) | 251U)};
    const bool goes = rules.endpoints.size() > slot && !rules.endpoints[slot].addresses.empty();
    RuleDelta delta{.endpoints = {{slot, goes ? Endpoint{} : pod}}};
    const EndpointIndex model = static_cast<EndpointIndex>(random_() % 2000);
    for (SetIndex set = 0; set < rules.sets.size(); ++set) {
      const bool member = !goes && std::ranges::binary_search(rules.sets[set].endpoints, model);
      delta.memberships.push_back({.set = set, .endpoint = slot, .member = member});
    }
    return delta;
  }

  std::vector<Key4> random_keys() {
    std::vector<Key4> keys;
    const auto& endpoints = updater_.rules().endpoints;
    const auto address = [&]() -> std::uint32_t {
      const auto& addresses = endpoints[random_() % endpoints.size()].addresses;
      return addresses.empty() || random_() % 8 == 0 ? static_cast<std::uint32_t>(random_())
                                                     : addresses.front().v4();
    };
    for (std::size_t i = 0; i < kFlows; ++i) {
      const Key4 key{.src = address(), .dst = address(), .protocol = kProtocolTcp};
      keys.push_back(key);
      keys.back().dst_port = static_cast<std::uint16_t>(random_() % 2 == 0 ? 443 : random_());
    }
    return keys;
  }

  PermitForm narrowest_;
  std::mt19937_64 random_;
  RuleSet all_;
  Updater updater_;
  std::map<SetIndex, std::vector<std::uint32_t>> policies_;
  std::map<std::string, std::size_t> ways_;
  double share_max_ = 0;
};

void live(PermitForm narrowest, unsigned steps) {
  const std::uint64_t seed = seed_of_run(20'260'121);
  Life life(seed, narrowest);
  for (unsigned step = 0; step < steps && !testing::Test::HasFailure(); ++step) {
    SCOPED_TRACE(fmt::format("step {}", step));
    life.step();
    if (step % kStepsBetweenChecks == 0) {
      life.compare();
    }
  }
  EXPECT_LE(life.share_max(), 1.1);
  life.expect_compacted();
  fmt::print("at most {:.3f} of the compiled table's bytes\n", life.share_max());
  for (const auto& [way, count] : life.ways()) {
    fmt::print("{:>6} {}\n", count, way);
  }
}

TEST(UpdateCluster, AnswersAsTheCompiledTableAndStaysAsSmall) {
  live(PermitForm::narrow, kSteps);
}

TEST(UpdateCluster, DoesSoWithWidePermits) {
  live(PermitForm::wide, kSteps / 2);
}

}  // namespace
}  // namespace portcullis::classifier
