// SPDX-License-Identifier: MIT
#include "tests/control/soak/garbage.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <fstream>
#include <random>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "tests/control/soak/cluster.h"
#include "tests/control/soak/traffic.h"
#include "tests/control/soak/wire_plane.h"

namespace portcullis::control {
namespace {

using nlohmann::json;
using Clock = std::chrono::steady_clock;

/// What an honest client waits for an answer at most; milliseconds, but for a machine that is busy.
constexpr std::chrono::seconds kInTime{2};

/// An honest client, who asks all the time.
class Neighbour {
 public:
  explicit Neighbour(const WirePlane& plane)
      : client_(plane.connect()), thread_([this](const std::stop_token& stop) { ask(stop); }) {}

  std::chrono::milliseconds longest_wait() { return longest_.exchange({}); }
  [[nodiscard]] std::uint64_t answers() const { return answers_.load(); }

 private:
  void ask(const std::stop_token& stop) {
    while (!stop.stop_requested()) {
      const Clock::time_point begin = Clock::now();
      const auto answer = client_.call("status", json::object());
      if (!answer || !*answer) {
        ADD_FAILURE() << "an honest client is not answered: "
                      << (answer ? answer->error().message : answer.error().message);
        return;
      }
      const auto took = std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - begin);
      longest_.store(std::max(longest_.load(), took));
      ++answers_;
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
  }

  Client client_;
  std::atomic<std::chrono::milliseconds> longest_{};
  std::atomic<std::uint64_t> answers_ = 0;
  std::jthread thread_;
};

std::string text_in(const std::string& file) {
  std::ostringstream text;
  text << std::ifstream(file).rdbuf();
  return text.str();
}

/// A connection, be it that a crowd is on its way out.
Client patient_client(const WirePlane& plane) {
  while (true) {
    Client client = plane.connect();
    if (client.hello("patient")) {
      return client;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
}

/// What a client may see of what is enforced, and the disk of it.
json state_of(const WirePlane& plane) {
  Client client = patient_client(plane);
  const auto history = client.call("history", json::object());
  json revisions = history.value().value()["revisions"];
  for (json& one : revisions) {
    one.erase("age_s");
  }
  const auto status = client.call("status", json::object());
  return {{"revisions", std::move(revisions)},
          {"journal", text_in(plane.journal())},
          {"epoch", status.value().value()["epoch"]},
          {"trial", status.value().value()["trial"]}};
}

TEST(Garbage, OfTenKindsCostsTheDataplaneNothing) {
  const std::uint64_t seed = std::random_device()();
  fmt::print("seed {}\n", seed);
  Random random(seed);
  ServerOptions options{.clients_max = 16,
                        .message_bytes_max = std::size_t{1} << 20U,
                        .client_timeout = std::chrono::milliseconds(1'500)};
  WirePlane plane(options, any_cluster(random));
  options.socket = plane.socket();
  const json before = state_of(plane);
  Traffic traffic(
      {plane.left(), plane.right(), plane.workers()}, plane.in_force(), plane.lowering(), seed);
  {
    Neighbour neighbour(plane);
    ASSERT_EQ(garbage().size(), 10U);
    for (const Garbage& one : garbage()) {
      const std::uint64_t rounds = traffic.rounds();
      const std::uint64_t answers = neighbour.answers();
      const Ending ending = one.send(options, random);
      const auto wait = neighbour.longest_wait();
      fmt::print(
          "{}: {}; others waited {} ms at most\n", one.name, to_string(ending), wait.count());
      EXPECT_EQ(ending, one.documented) << one.name << ": " << to_string(ending);
      EXPECT_LT(wait, kInTime) << one.name;
      while (!testing::Test::HasFailure() &&
             (traffic.rounds() == rounds || neighbour.answers() == answers)) {
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
      }
    }
    // And all at once.
    {
      std::vector<std::jthread> strangers;
      for (const Garbage& one : garbage()) {
        strangers.emplace_back([&options, &one, seed] {
          Random own(seed);
          one.send(options, own);
        });
      }
    }
    const auto wait = neighbour.longest_wait();
    fmt::print("all at once; others waited {} ms at most\n", wait.count());
    EXPECT_LT(wait, kInTime);
  }
  EXPECT_EQ(state_of(plane), before);
  traffic.stop();
  plane.rest();
  const Traffic::Account& account = traffic.account();
  std::uint64_t dropped = 0;
  for (const dataplane::WorkerStatus& worker : plane.status().workers) {
    dropped += worker.dropped;
  }
  fmt::print(
      "{} packets sent, {} forwarded, {} denied\n", account.sent, account.received, account.denied);
  EXPECT_FALSE(account.is_stuck);
  EXPECT_EQ(account.strange, 0U);
  EXPECT_EQ(account.sent, account.received + account.denied);
  EXPECT_EQ(account.denied, dropped) << "a packet was lost";
  EXPECT_EQ(account.unexplained, 0U);
}

}  // namespace
}  // namespace portcullis::control
