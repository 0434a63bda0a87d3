// SPDX-License-Identifier: MIT
// More classes than 16 bits can number: the table says what the linear matcher says, and so does
// one that updates brought there.
#include <algorithm>

#include <gtest/gtest.h>

#include "classifier/compile.h"
#include "classifier/update.h"
#include "tests/classifier/cluster.h"
#include "tests/classifier/compare.h"
#include "tests/classifier/random_world.h"

namespace portcullis::classifier {
namespace {

constexpr std::size_t kTeam = 100;
constexpr std::size_t kFlows = 300;  // The matcher goes through 150,000 rules for each.

IpAddress address_of(std::size_t pod) {
  return IpAddress::from_v4(0x0a00'0001U + static_cast<std::uint32_t>(pod));
}

/// Pods in teams. Each lets its whole team in on a port of its own, so no two are of one class;
/// every third may only reach the first of its team.
class Crowd {
 public:
  explicit Crowd(std::size_t pods) {
    cluster_.rules.pod_cidrs = {block("10.0.0.0/8")};
    cluster_.rules.default_mode = DefaultMode::kubernetes;
    const auto all = cluster_.everything();
    const auto every_port = cluster_.every_port();
    std::vector<SetIndex> itself;
    std::vector<EndpointIndex> team;
    SetIndex team_set = 0;
    SetIndex first_set = 0;
    for (std::size_t pod = 0; pod < pods; ++pod) {
      itself.push_back(cluster_.set({cluster_.pod({address_of(pod)})}));
    }
    for (std::size_t pod = 0; pod < pods; ++pod) {
      if (pod % kTeam == 0) {
        team.clear();
        for (std::size_t i = pod; i < std::min(pods, pod + kTeam); ++i) {
          team.push_back(static_cast<EndpointIndex>(i));
        }
        team_set = cluster_.set(team);
        first_set = itself[pod];
      }
      cluster_.allow_ingress(itself[pod], team_set, cluster_.ports({port_of(pod)}));
      isolate(itself[pod], all, every_port, Direction::ingress);
      if (pod % 3 == 0) {
        cluster_.allow_ingress(itself[pod], first_set, every_port).direction = Direction::egress;
        isolate(itself[pod], all, every_port, Direction::egress);
      }
    }
  }

  [[nodiscard]] const RuleSet& rules() const { return cluster_.rules; }

  static PortRange port_of(std::size_t pod) {
    return tcp_port(static_cast<std::uint16_t>(pod % 65'000));
  }

 private:
  void isolate(SetIndex subjects, SetIndex all, PortsIndex ports, Direction direction) {
    Rule& rule = cluster_.allow_ingress(subjects, all, ports);
    rule.action = Action::deny;
    rule.direction = direction;
  }

  Cluster cluster_;
};

/// Mostly within a team, on a port that is open or the next.
std::vector<Flow> flows_of(std::size_t pods, std::mt19937_64& random) {
  std::vector<Flow> flows;
  for (std::size_t i = 0; i < kFlows; ++i) {
    const std::size_t dst = random() % pods;
    const std::size_t mate = dst - dst % kTeam + random() % kTeam;
    const std::size_t src = random() % 4 == 0 ? random() % pods : std::min(mate, pods - 1);
    flows.push_back({.src = address_of(src),
                     .dst = random() % 16 == 0 ? ip("192.0.2.1") : address_of(dst),
                     .protocol = kProtocolTcp,
                     .dst_port = Crowd::port_of(dst + random() % 2).first});
  }
  return flows;
}

TEST(Large, WidePermitsSayWhatTheReferenceSays) {
  std::mt19937_64 random(seed_of_run(20'260'131));
  constexpr std::size_t kPods = 66'000;
  const Crowd crowd(kPods);
  const auto table = compile(crowd.rules());
  ASSERT_TRUE(table) << to_string(table.error());
  EXPECT_GT((*table)->sizes().classes, kNarrowPermits);
  EXPECT_TRUE((*table)->view().permits_wide);
  EXPECT_LT((*table)->sizes().permits, std::size_t{24} << 20U) << "a team shares a row";
  EXPECT_EQ(compare(crowd.rules(), **table, Family::v4, flows_of(kPods, random)), kFlows);
}

TEST(Large, UpdatesLeadFromNarrowPermitsToWideOnes) {
  std::mt19937_64 random(seed_of_run(20'260'132));
  constexpr std::size_t kPods = 65'500;
  constexpr std::size_t kMore = 50;
  auto updater = Updater::start(Crowd(kPods).rules()).value();
  ASSERT_FALSE(updater.table()->view().permits_wide);
  RuleDelta delta;
  const RuleSet& rules = updater.rules();
  for (std::size_t pod = kPods; pod < kPods + kMore; ++pod) {
    const auto set = static_cast<SetIndex>(rules.sets.size() + delta.sets.size());
    const auto ports = static_cast<PortsIndex>(rules.port_sets.size() + delta.port_sets.size());
    const auto rule = static_cast<std::uint32_t>(rules.rules.size() + delta.rules.size());
    delta.endpoints.push_back({static_cast<EndpointIndex>(pod), {.addresses = {address_of(pod)}}});
    delta.sets.push_back({set, {.endpoints = {static_cast<EndpointIndex>(pod)}}});
    delta.port_sets.push_back({ports, {.ranges = {Crowd::port_of(pod)}}});
    delta.rules.push_back({rule, {.subjects = set, .peers = set, .ports = ports}});
    delta.rules.push_back({rule + 1, {.action = Action::deny, .subjects = set}});
  }
  const auto report = updater.update(delta);
  ASSERT_TRUE(report) << to_string(report.error());
  EXPECT_EQ(report->way, UpdateWay::whole);
  const auto table = updater.table();
  EXPECT_TRUE(table->view().permits_wide) << table->sizes().classes;
  const auto flows = flows_of(kPods + kMore, random);
  EXPECT_EQ(compare(updater.rules(), *table, Family::v4, flows), kFlows);
}

TEST(Large, RefusesWhatOutgrowsItsLimitAndSaysWhichPartDoes) {
  const Crowd crowd(66'000);
  const auto refused = [&](std::size_t limit) {
    const auto table = compile(crowd.rules(), {.table_bytes_max = limit});
    return table ? std::string("it fits") : table.error().message;
  };
  EXPECT_NE(refused(1'000'000).find("matrix of"), std::string::npos) << refused(1'000'000);
  const auto table = compile(crowd.rules()).value();
  const std::size_t matrices =
      table->sizes().matrices + table->sizes().profiles + table->sizes().port_map;
  const std::string of_maps = refused(matrices + 100'000);
  EXPECT_NE(of_maps.find("address maps of"), std::string::npos) << of_maps;
  const std::string of_all =
      refused(matrices + table->sizes().address_map_v4 + table->sizes().address_map_v6 +
              table->sizes().owners + 10'000);
  EXPECT_NE(of_all.find("the table of"), std::string::npos) << of_all;
}

}  // namespace
}  // namespace portcullis::classifier
