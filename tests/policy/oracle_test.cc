// SPDX-License-Identifier: MIT
// Three judges of random worlds agree: the direct evaluator, the linear matcher over the lowered
// rules, and the compiled table. PORTCULLIS_SEED sets the first seed, PORTCULLIS_WORLDS the count.
#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "classifier/compile.h"
#include "classifier/lookup.h"
#include "classifier/reference.h"
#include "policy/evaluate.h"
#include "tests/support/world.h"

namespace portcullis::policy {
namespace {

using classifier::Flow;
using classifier::Verdict;
using test::World;

std::uint64_t number_from(const char* name, std::uint64_t otherwise) {
  const char* text = std::getenv(name);
  return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

std::uint64_t first_seed() {
  return number_from(
      "PORTCULLIS_SEED",
      static_cast<std::uint64_t>(std::chrono::system_clock::now().time_since_epoch().count()));
}

std::string text_of(const Flow& flow) {
  return fmt::format("{} -> {} protocol {} port {}",
                     to_string(flow.src),
                     to_string(flow.dst),
                     flow.protocol,
                     flow.dst_port);
}

/// One world with its judges.
class Court {
 public:
  Court(const World& world, std::uint64_t seed)
      : world_(world),
        seed_(seed),
        lowered_(lower(world.snapshot, world.options).value()),
        reference_(lowered_.rules),
        table_(classifier::compile(lowered_.rules).value()) {}

  void judge(const Flow& flow) {
    ++flows_;
    const Evaluation direct = evaluate(world_.snapshot, world_.options, flow);
    const Verdict reference = reference_.lookup(flow);
    const Verdict table = classifier::lookup(*table_, flow);
    allowed_ += direct.allowed() ? 1U : 0U;
    if (direct.egress_allowed != reference.egress.allowed() ||
        direct.ingress_allowed != reference.ingress.allowed()) {
      ADD_FAILURE() << "seed " << seed_ << ", " << text_of(flow) << ": evaluate says "
                    << direct.egress_allowed << direct.ingress_allowed << ", reference "
                    << reference.egress.allowed() << reference.ingress.allowed();
    }
    if (!(reference == table)) {
      ADD_FAILURE() << "seed " << seed_ << ", " << text_of(flow) << ": reference says rules "
                    << reference.egress.rule() << "/" << reference.ingress.rule() << ", table "
                    << table.egress.rule() << "/" << table.ingress.rule();
    }
  }

  [[nodiscard]] std::size_t flows() const { return flows_; }
  [[nodiscard]] std::size_t allowed() const { return allowed_; }

 private:
  const World& world_;
  std::uint64_t seed_;
  Lowered lowered_;
  classifier::Reference reference_;
  std::unique_ptr<const classifier::Table> table_;
  std::size_t flows_ = 0;
  std::size_t allowed_ = 0;
};

/// Every boundary address as source and as destination, every boundary port, each with random
/// company.
void judge_boundaries(Court& court, const World& world, std::mt19937_64& random) {
  const auto any = [&](const auto& items) { return items[random() % items.size()]; };
  for (const auto* addresses : {&world.addresses_v4, &world.addresses_v6}) {
    for (const IpAddress& address : *addresses) {
      for (unsigned i = 0; i < 4; ++i) {
        const auto [protocol, port] = any(world.ports);
        court.judge({address, any(*addresses), protocol, 40'000, port});
        court.judge({any(*addresses), address, protocol, 40'000, port});
      }
    }
    for (const auto& [protocol, port] : world.ports) {
      court.judge({any(*addresses), any(*addresses), protocol, 40'000, port});
    }
  }
}

/// Every pair of addresses that pods hold (also terminated ones), each on a random port.
void judge_pods(Court& court, const World& world, std::mt19937_64& random) {
  std::vector<IpAddress> held;
  for (const Pod& pod : world.snapshot.pods) {
    held.insert(held.end(), pod.addresses.begin(), pod.addresses.end());
  }
  for (const IpAddress& src : held) {
    for (const IpAddress& dst : held) {
      if (src.family == dst.family) {
        const auto [protocol, port] = world.ports[random() % world.ports.size()];
        court.judge({src, dst, protocol, 40'000, port});
      }
    }
  }
}

TEST(Oracle, EvaluateReferenceAndTableAgreeOnRandomWorlds) {
  const std::uint64_t seed = first_seed();
  const std::uint64_t count = number_from("PORTCULLIS_WORLDS", 1'000);
  fmt::print("seed {} (PORTCULLIS_SEED), {} worlds (PORTCULLIS_WORLDS)\n", seed, count);
  std::size_t flows = 0;
  std::size_t allowed = 0;
  for (std::uint64_t i = 0; i < count && !HasFailure(); ++i) {
    const World world = test::random_world(seed + i, {});
    Court court(world, seed + i);
    std::mt19937_64 random(seed + i);
    judge_boundaries(court, world, random);
    judge_pods(court, world, random);
    flows += court.flows();
    allowed += court.allowed();
  }
  fmt::print("{} flows judged, {} allowed\n", flows, allowed);
  // A generator that only draws dull worlds would prove nothing.
  if (count >= 100 && !HasFailure()) {
    EXPECT_GT(allowed, flows / 20);
    EXPECT_LT(allowed, flows - flows / 20);
  }
}

TEST(Oracle, AgreesOnEveryFlowOfSmallWorlds) {
  const std::uint64_t seed = first_seed();
  const std::uint64_t count = number_from("PORTCULLIS_WORLDS", 1'000) / 20;
  fmt::print("seed {} (PORTCULLIS_SEED), {} worlds\n", seed, count);
  for (std::uint64_t i = 0; i < count && !HasFailure(); ++i) {
    const World world = test::random_world(
        seed + i, {.namespaces_max = 2, .nodes_max = 1, .pods_max = 3, .policies_max = 2});
    Court court(world, seed + i);
    for (const auto* addresses : {&world.addresses_v4, &world.addresses_v6}) {
      for (const IpAddress& src : *addresses) {
        for (const IpAddress& dst : *addresses) {
          for (const auto& [protocol, port] : world.ports) {
            court.judge({src, dst, protocol, 40'000, port});
          }
        }
      }
    }
  }
}

/// Namespaces large enough that selectors go through the index of labels.
TEST(Oracle, AgreesOnLargerWorlds) {
  const std::uint64_t seed = first_seed();
  fmt::print("seed {} (PORTCULLIS_SEED)\n", seed);
  for (std::uint64_t i = 0; i < 10 && !HasFailure(); ++i) {
    const World world = test::random_world(
        seed + i, {.namespaces_max = 2, .nodes_max = 4, .pods_max = 80, .policies_max = 25});
    Court court(world, seed + i);
    std::mt19937_64 random(seed + i);
    judge_boundaries(court, world, random);
    judge_pods(court, world, random);
  }
}

}  // namespace
}  // namespace portcullis::policy
