// SPDX-License-Identifier: MIT
// Random walks: after every batch of edits the table that took it judges as the direct evaluator
// judges the whole content. PORTCULLIS_SEED sets the first seed, PORTCULLIS_WORLDS the count.
#include "control/live/live.h"

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <map>
#include <random>
#include <span>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "classifier/lookup.h"
#include "policy/evaluate.h"
#include "policy/lowering/set_words.h"
#include "tests/support/cluster.h"
#include "tests/support/world.h"

namespace portcullis::control {
namespace {

using classifier::Flow;
using policy::Edit;
using policy::Pod;
using policy::Snapshot;

constexpr unsigned kBatchesAWorld = 40;
constexpr unsigned kFlowsABatch = 60;

std::uint64_t number_from(const char* name, std::uint64_t otherwise) {
  const char* const text = std::getenv(name);
  return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

Snapshot in_order(Snapshot snapshot) {
  const auto before = [](const auto& a, const auto& b) {
    return std::tie(a.name_space, a.name) < std::tie(b.name_space, b.name);
  };
  std::sort(snapshot.pods.begin(), snapshot.pods.end(), before);
  std::sort(snapshot.policies.begin(), snapshot.policies.end(), before);
  return snapshot;
}

void take_out_names_of_blocks(std::vector<policy::NetworkPolicy>& policies) {
  for (policy::NetworkPolicy& policy : policies) {
    std::erase_if(policy.egress, [](const policy::PolicyRule& rule) {
      return policy::names_ports(rule) && std::ranges::any_of(rule.peers, [](const auto& peer) {
               return std::holds_alternative<classifier::Block>(peer);
             });
    });
  }
}

/// A world that changes at random, and its table.
class Walk {
 public:
  explicit Walk(std::uint64_t seed)
      : seed_(seed), random_(seed), world_(test::random_world(seed, {.pods_max = 30})) {
    pool_ = world_.snapshot.policies;
    for (std::uint64_t i = 1; i <= 4; ++i) {
      const auto more = test::random_world(seed + i * 1'000'003, {}).snapshot.policies;
      pool_.insert(pool_.end(), more.begin(), more.end());
    }
    // These need all lowered anew for any change of a pod: most walks do without.
    if (seed % 4 != 0) {
      take_out_names_of_blocks(pool_);
      take_out_names_of_blocks(world_.snapshot.policies);
    }
    restart(std::make_shared<const Snapshot>(in_order(world_.snapshot)));
  }

  /// Returns how the batch was taken: a word of UpdateWay, "refused", or "whole".
  std::string step() {
    const auto before = live_->world()->snapshot();
    std::vector<Edit> edits;
    for (std::uint64_t i = 0; i <= random_() % 4; ++i) {
      edits.push_back(any_edit(*before));
    }
    const auto plan = live_->plan(edits);
    if (!plan) {
      EXPECT_EQ(policy::digest(*live_->world()->snapshot()), policy::digest(*before));
      return "refused";
    }
    const auto after = live_->world()->snapshot();
    EXPECT_EQ(plan->digest, policy::digest(*after)) << where();
    if (!plan->why_whole.empty()) {
      live_->take_back(*plan);
      EXPECT_EQ(policy::digest(*live_->world()->snapshot()), policy::digest(*before)) << where();
      // Where two own an address, lower() says so: the batch would be refused.
      return restart(after) ? "whole" : "refused";
    }
    const auto report = live_->update(*plan);
    EXPECT_TRUE(report.has_value()) << where();
    if (random_() % 8 == 0) {
      EXPECT_TRUE(live_->undo(*plan)) << where();
      EXPECT_EQ(policy::digest(*live_->world()->snapshot()), policy::digest(*before)) << where();
      return "undone";
    }
    return to_string(report->way);
  }

  void judge() {
    const auto snapshot = live_->world()->snapshot();
    const auto table = live_->table();
    for (unsigned i = 0; i < kFlowsABatch; ++i) {
      const Flow flow = any_flow(*snapshot);
      const policy::Evaluation direct = policy::evaluate(*snapshot, world_.options, flow);
      const classifier::Verdict verdict = classifier::lookup(*table, flow);
      EXPECT_EQ(std::pair(verdict.egress.allowed(), verdict.ingress.allowed()),
                std::pair(direct.egress_allowed, direct.ingress_allowed))
          << where() << ": " << to_string(flow.src) << " -> " << to_string(flow.dst) << " protocol "
          << int{flow.protocol} << " port " << flow.dst_port;
    }
  }

  /// Whose quota an address counts against, for those that pods may have.
  void check_owners() {
    std::map<IpAddress, dataplane::NamespaceMap::Owner> owners;
    for (std::uint32_t i = 0; i < 64; ++i) {
      owners[IpAddress::from_v4(0x0a09'0000U + i)];
    }
    const auto snapshot = live_->world()->snapshot();
    for (const Pod& pod : snapshot->pods) {
      for (const IpAddress& address : pod.addresses) {
        if (!pod.terminated && !pod.host_network) {
          owners[address] = quotas_->quota_of(pod.name_space);
        }
      }
    }
    const auto map = live_->namespaces();
    for (const auto& [address, owner] : owners) {
      EXPECT_EQ(map->find(address.family, address.bytes), owner)
          << where() << ": " << to_string(address);
    }
  }

 private:
  [[nodiscard]] std::string where() const { return fmt::format("seed {}", seed_); }

  bool restart(const std::shared_ptr<const Snapshot>& snapshot) {
    auto lowered = policy::lower(*snapshot, world_.options);
    if (!lowered) {
      return false;
    }
    live_ = Live::start(snapshot, policy::ContentDigest(*snapshot), *lowered, {}, quotas_).value();
    return true;
  }

  IpAddress any_address() {
    return random_() % 4 == 0
               ? world_.addresses_v4[random_() % world_.addresses_v4.size()]
               : IpAddress::from_v4(0x0a09'0000U + static_cast<std::uint32_t>(random_() % 64));
  }

  Edit any_edit(const Snapshot& now) {
    if (!pool_.empty() && (now.pods.empty() || random_() % 3 == 0)) {
      return policy_edit(now);
    }
    const Pod& like = now.pods[random_() % now.pods.size()];
    const auto choice = random_() % 8;
    if (choice < 2) {
      return {.verb = policy::Verb::remove, .key = {like.name_space, like.name}};
    }
    Pod pod = like;
    if (choice < 6) {
      pod.name = fmt::format("new-{}", random_() % 6);
      pod.addresses = {any_address()};
      pod.host_network = false;  // Else it would tell its node's addresses.
    } else if (choice == 6) {
      pod.terminated = !pod.terminated;
    } else {
      const Pod& other = now.pods[random_() % now.pods.size()];
      pod.labels = other.labels;
      pod.ports = other.ports;
    }
    policy::ObjectKey key{pod.name_space, pod.name};
    return {.verb = random_() % 4 == 0 ? policy::Verb::add : policy::Verb::set,
            .key = std::move(key),
            .pod = std::make_shared<const Pod>(std::move(pod))};
  }

  /// One that is there goes, or gets the words of another, or one that is not there comes.
  Edit policy_edit(const Snapshot& now) {
    policy::NetworkPolicy policy = pool_[random_() % pool_.size()];
    if (!now.policies.empty() && random_() % 4 != 0) {
      const policy::NetworkPolicy& there = now.policies[random_() % now.policies.size()];
      if (random_() % 3 == 0) {
        return {.kind = policy::Kind::policy,
                .verb = policy::Verb::remove,
                .key = {there.name_space, there.name}};
      }
      policy.name_space = there.name_space;
      policy.name = there.name;
      if (random_() % 2 == 0) {
        policy.subjects = there.subjects;
        policy.ingress = there.ingress;
      }
    } else {
      policy.name = fmt::format("more-{}", random_() % 6);
    }
    policy::ObjectKey key{policy.name_space, policy.name};
    return {.kind = policy::Kind::policy,
            .verb = policy::Verb::set,
            .key = std::move(key),
            .policy = std::make_shared<const policy::NetworkPolicy>(std::move(policy))};
  }

  IpAddress any_end(const Snapshot& snapshot) {
    if (random_() % 4 != 0 && !snapshot.pods.empty()) {
      const Pod& pod = snapshot.pods[random_() % snapshot.pods.size()];
      if (!pod.addresses.empty()) {
        return pod.addresses[random_() % pod.addresses.size()];
      }
    }
    return any_address();
  }

  Flow any_flow(const Snapshot& snapshot) {
    Flow flow{.src = any_end(snapshot), .dst = any_end(snapshot), .src_port = 40'000};
    while (flow.src.family != flow.dst.family) {
      flow.dst = any_end(snapshot);
      flow.src = any_end(snapshot);
    }
    std::tie(flow.protocol, flow.dst_port) = world_.ports[random_() % world_.ports.size()];
    return flow;
  }

  std::uint64_t seed_;
  std::mt19937_64 random_;
  test::World world_;
  std::vector<policy::NetworkPolicy> pool_;  // Words for policies to come.
  std::shared_ptr<NamespaceQuotas> quotas_ =
      NamespaceQuotas::of({.namespace_flows_max = 9, .namespace_flows = {{"ns-0", 0}}});
  std::unique_ptr<Live> live_;
};

TEST(Live, JudgesAsTheWholeContentAfterEveryBatch) {
  const std::uint64_t seed = number_from(
      "PORTCULLIS_SEED",
      static_cast<std::uint64_t>(std::chrono::system_clock::now().time_since_epoch().count()));
  const std::uint64_t worlds = number_from("PORTCULLIS_WORLDS", 40);
  fmt::print("seed {} (PORTCULLIS_SEED), {} worlds (PORTCULLIS_WORLDS)\n", seed, worlds);
  std::map<std::string, std::size_t> ways;
  for (std::uint64_t i = 0; i < worlds && !HasFailure(); ++i) {
    Walk walk(seed + i);
    for (unsigned batch = 0; batch < kBatchesAWorld && !HasFailure(); ++batch) {
      ++ways[walk.step()];
      walk.judge();
      walk.check_owners();
    }
  }
  for (const auto& [way, count] : ways) {
    fmt::print("{} {}\n", count, way);
  }
  // Walks that only compile anew would prove nothing.
  EXPECT_GT(ways["in place"] + ways["addresses"], worlds);
  EXPECT_GT(ways["rows"], 4 * worlds);
}

/// Policies that come and go leave free slots: what comes later fills them.
TEST(Live, DoesNotGrowWithWhatHasGone) {
  auto snapshot = std::make_shared<Snapshot>();
  snapshot->namespaces = {{"shop", {}, {}}};
  snapshot->pods = {test::pod("shop", "a", {"10.0.0.1"}, {{"app", "a"}}),
                    test::pod("shop", "b", {"10.0.0.2"}, {{"app", "b"}})};
  snapshot->policies = {test::ingress_policy("shop", "first", test::with("app", "a"))};
  const auto lowered = policy::lower(*snapshot, {}).value();
  const auto live =
      Live::start(snapshot, policy::ContentDigest(*snapshot), lowered, {}, nullptr).value();
  const auto carry_out = [&](const Edit& edit) {
    const auto plan = live->plan(std::span(&edit, 1));
    ASSERT_TRUE(plan);
    ASSERT_EQ(plan->why_whole, "");
    ASSERT_TRUE(live->update(*plan));
  };
  for (std::uint16_t i = 0; i < 300; ++i) {
    policy::PolicyRule rule{{policy::PodPeer{{}, test::with("app", i % 2 == 0 ? "b" : "c")}},
                            {test::port(classifier::kProtocolTcp, i, i)},
                            {}};
    const std::string name = fmt::format("p{}", i % 3);
    carry_out({.kind = policy::Kind::policy,
               .key = {"shop", name},
               .policy = std::make_shared<const policy::NetworkPolicy>(test::ingress_policy(
                   "shop", name, test::with("app", i % 5 == 0 ? "a" : "b"), {rule, rule}))});
    if (i % 4 == 3) {
      carry_out(
          {.kind = policy::Kind::policy, .verb = policy::Verb::remove, .key = {"shop", name}});
    }
  }
  // Three policies of three rules at most at once, beside the first; each rule of its own ports.
  EXPECT_LE(live->rule_slots(), 1U + 3 * 3);
  EXPECT_LE(live->lowered().rules.sets.size(), 5U);
  EXPECT_LE(live->lowered().rules.port_sets.size(), 6U);
  EXPECT_LE(live->lowered().provenance.size(), 1U + 3 * 3);
}

}  // namespace
}  // namespace portcullis::control
