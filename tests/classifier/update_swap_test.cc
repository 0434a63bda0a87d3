// SPDX-License-Identifier: MIT
// Readers look up while pods come, change and go in parts that they share with the writer: every
// answer is that of the state before or after. Under TSan, also: nothing is a race.
#include <algorithm>
#include <array>
#include <atomic>
#include <iterator>
#include <latch>
#include <memory>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "classifier/lookup.h"
#include "classifier/reference.h"
#include "classifier/update.h"
#include "tests/classifier/cluster.h"

namespace portcullis::classifier {
namespace {

constexpr std::size_t kReaders = 2;
constexpr std::size_t kStates = 6;
constexpr std::size_t kMove = 4;  // The step to this state changes two addresses at once.
#if defined(__SANITIZE_THREAD__)
constexpr std::size_t kSteps = 1000;
#else
constexpr std::size_t kSteps = 4000;
#endif

/// A pod that comes as web, becomes a client, goes, comes back without labels, moves to another
/// address, goes, and begins again on another node.
class Stage {
 public:
  explicit Stage(DefaultMode mode) {
    cluster_.rules.default_mode = mode;
    cluster_.rules.pod_cidrs = {block("10.0.0.0/24"), block("fd00::/64")};
    nodes_ = {cluster_.node({ip("172.16.0.1"), ip("fd01::1")}),
              cluster_.node({ip("172.16.0.2"), ip("fd01::2")})};
    const auto web = cluster_.pod({ip("10.0.0.1"), ip("fd00::1")}, nodes_[0]);
    const auto client = cluster_.pod({ip("10.0.0.9"), ip("fd00::9")}, nodes_[1]);
    moving_ = cluster_.pod({}, nodes_[1]);
    cluster_.pod({ip("10.0.0.8")});  // Labels that no set knows are known as well.
    web_ = cluster_.set({web});
    clients_ = cluster_.set({client});
    const auto everything = cluster_.everything();
    const auto every_port = cluster_.every_port();
    cluster_.allow_ingress(web_, clients_, cluster_.ports({tcp_port(80)}));
    for (const SetIndex subjects : {web_, clients_}) {
      cluster_.allow_ingress(subjects, everything, every_port).action = Action::deny;
    }
  }

  /// The change that leads to state `step` from the one before.
  [[nodiscard]] RuleDelta delta_to(std::size_t step) const {
    const std::size_t state = step % kStates;
    const std::array<std::vector<IpAddress>, kStates> addresses{{{ip("10.0.0.2"), ip("fd00::2")},
                                                                 {ip("10.0.0.2"), ip("fd00::2")},
                                                                 {},
                                                                 {ip("10.0.0.3")},
                                                                 {ip("10.0.0.2")},
                                                                 {}}};
    const Endpoint pod{.node = nodes_[step / kStates % 2], .addresses = addresses[state]};
    return {.endpoints = {{.index = moving_, .value = pod}},
            .memberships = {{.set = web_, .endpoint = moving_, .member = state == 0},
                            {.set = clients_, .endpoint = moving_, .member = state == 1}}};
  }

  [[nodiscard]] const RuleSet& rules() const { return cluster_.rules; }

  [[nodiscard]] static std::vector<Flow> flows(Family family) {
    std::vector<const char*> ends{
        "10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.9", "172.16.0.1", "172.16.0.2", "8.8.8.8"};
    if (family == Family::v6) {
      ends = {"fd00::1", "fd00::2", "fd00::9", "fd01::1", "fd01::2", "2001:db8::1"};
    }
    std::vector<Flow> flows;
    for (const char* src : ends) {
      for (const char* dst : ends) {
        for (const std::uint16_t port : std::array<std::uint16_t, 2>{80, 81}) {
          flows.push_back(tcp(src, dst, port));
        }
      }
    }
    return flows;
  }

 private:
  Cluster cluster_;
  std::array<EndpointIndex, 2> nodes_{};
  EndpointIndex moving_ = 0;
  SetIndex web_ = 0;
  SetIndex clients_ = 0;
};

/// What readers and the writer share. Phases: 2i between steps, 2i + 1 while step i is made.
struct Shared {
  std::atomic<const Table*> table{nullptr};
  std::atomic<std::size_t> phase{0};
  std::array<std::atomic<std::size_t>, kReaders> bursts{};
  std::atomic<bool> done{false};
  std::atomic<std::size_t> wrong{0};
  std::latch reading{kReaders};
};

/// Verdicts by state, over two rounds: the second on the other node.
template <typename Key>
struct Script {
  std::vector<Key> keys;
  std::array<std::vector<Verdict>, 2 * kStates + 1> expected;
};

template <typename Key>
std::size_t wrong_answers(const Script<Key>& script, const Shared& shared) {
  std::vector<Verdict> verdicts(script.keys.size());
  std::vector<Permit> permits(script.keys.size());
  const std::size_t first = shared.phase.load() / 2;
  const Table& table = *shared.table.load();
  lookup(table, script.keys, verdicts);
  permit(table, script.keys, permits);
  const std::size_t last = (shared.phase.load() + 1) / 2;
  std::size_t wrong = 0;
  for (std::size_t i = 0; i < script.keys.size(); ++i) {
    bool verdict_fits = false;
    bool permit_fits = false;
    for (std::size_t state = first; state <= last; ++state) {
      const std::size_t round = state == 0 ? 2 * kStates : (state - 1) % (2 * kStates);
      verdict_fits |= verdicts[i] == script.expected[round][i];
      permit_fits |= permits[i].allowed() == script.expected[round][i].allowed();
    }
    wrong += verdict_fits && permit_fits ? 0 : 1;
  }
  return wrong;
}

template <typename Key>
void write(Script<Key>& script,
           std::size_t state,
           const RuleSet& rules,
           const std::vector<Flow>& flows) {
  const Reference reference(rules);
  for (const Flow& flow : flows) {
    script.expected[state].push_back(reference.lookup(flow));
  }
}

class Theatre {
 public:
  explicit Theatre(DefaultMode mode) : stage_(mode) {
    const auto v4 = Stage::flows(Family::v4);
    const auto v6 = Stage::flows(Family::v6);
    std::ranges::transform(v4, std::back_inserter(v4_.keys), key4_of);
    std::ranges::transform(v6, std::back_inserter(v6_.keys), key6_of);
    RuleSet rules = stage_.rules();
    write(v4_, 2 * kStates, rules, v4);
    write(v6_, 2 * kStates, rules, v6);
    for (std::size_t state = 0; state < 2 * kStates; ++state) {
      EXPECT_TRUE(apply(stage_.delta_to(state), rules));
      write(v4_, state, rules, v4);
      write(v6_, state, rules, v6);
    }
  }

  void play() {
    auto updater = Updater::start(stage_.rules()).value();
    std::vector<std::unique_ptr<const Table>> tables;
    tables.push_back(updater.table());
    shared_.table.store(tables.back().get());
    std::vector<std::thread> readers;
    for (std::size_t i = 0; i < kReaders; ++i) {
      readers.emplace_back([this, i] { read(i); });
    }
    shared_.reading.wait();
    for (std::size_t step = 0; step < kSteps && !testing::Test::HasFailure(); ++step) {
      shared_.phase.store(2 * step + 1);
      const auto report = updater.update(stage_.delta_to(step));
      EXPECT_EQ(report->way, step % kStates == kMove ? UpdateWay::addresses : UpdateWay::in_place)
          << report->why_whole;
      tables.push_back(updater.table());
      shared_.table.store(tables.back().get());
      shared_.phase.store(2 * step + 2);
      wait_for_readers();
    }
    shared_.done.store(true);
    std::ranges::for_each(readers, &std::thread::join);
    EXPECT_EQ(shared_.wrong.load(), 0U);
  }

 private:
  void read(std::size_t reader) {
    shared_.reading.count_down();
    while (!shared_.done.load()) {
      shared_.wrong += wrong_answers(v4_, shared_) + wrong_answers(v6_, shared_);
      ++shared_.bursts[reader];
      std::this_thread::yield();
    }
  }

  /// The grace period: each reader ends the burst it was in.
  void wait_for_readers() {
    for (const auto& bursts : shared_.bursts) {
      const std::size_t seen = bursts.load();
      while (bursts.load() < seen + 1) {
        std::this_thread::yield();
      }
    }
  }

  Stage stage_;
  Script<Key4> v4_;
  Script<Key6> v6_;
  Shared shared_;
};

TEST(UpdateSwap, ReadersSeeTheOldOrTheNewStateOfAPodAndNothingElse) {
  for (const Isa isa : {Isa::scalar, Isa::avx2, Isa::avx512}) {
    if (!force_isa(isa)) {
      continue;
    }
    for (const DefaultMode mode : {DefaultMode::kubernetes, DefaultMode::deny}) {
      SCOPED_TRACE(to_string(isa));
      Theatre(mode).play();
    }
  }
}

}  // namespace
}  // namespace portcullis::classifier
