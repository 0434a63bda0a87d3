// SPDX-License-Identifier: MIT
// The soak: eight clients change everything at random while packets pass. Some are killed wherever
// they are, some send garbage. No packet is lost, each is judged by a content that was in force,
// and memory stays what it is. PORTCULLIS_SOAK_SECONDS sets how long, PORTCULLIS_SEED the seed.
#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <fstream>
#include <random>
#include <string>
#include <thread>

#include <malloc.h>
#include <unistd.h>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "base/log.h"
#include "tests/control/soak/client_processes.h"
#include "tests/control/soak/cluster.h"
#include "tests/control/soak/traffic.h"
#include "tests/control/soak/wire_plane.h"

namespace portcullis::control {
namespace {

using Clock = std::chrono::steady_clock;
using dataplane::DropReason;

constexpr std::chrono::milliseconds kTick{200};
/// Kills are so far apart at most.
constexpr std::uint64_t kLifeMaxMs = 2'000;
/// The soak that counts, and what it must have seen.
constexpr std::chrono::seconds kLong{600};
constexpr std::uint64_t kLongChanges = 10'000;
/// What memory may grow by, from the second tenth to the last: the history holds other revisions.
constexpr std::size_t kGrowthMaxBytes = std::size_t{4} << 20U;

std::uint64_t number_from(const char* name, std::uint64_t otherwise) {
  const char* const text = std::getenv(name);
  return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

/// The least of some samples: changes on their way take memory, too.
struct Memory {
  std::size_t allocated = SIZE_MAX;  // By malloc and DPDK; a sanitizer's malloc tells nothing.
  std::size_t resident = SIZE_MAX;

  void sample() {
    const struct mallinfo2 heap = ::mallinfo2();
    std::size_t pages = 0;
    std::ifstream("/proc/self/statm") >> pages >> pages;
    allocated = std::min(allocated, heap.uordblks + heap.hblkhd + test::dpdk_bytes_in_use());
    resident = std::min(resident, pages * static_cast<std::size_t>(::sysconf(_SC_PAGESIZE)));
  }
};

double mib(std::size_t bytes) {
  return static_cast<double>(bytes) / (1U << 20U);
}

/// Packets dropped, for policy's reasons or for others.
std::uint64_t drops(const dataplane::DataplaneStatus& status, bool by_policy) {
  std::uint64_t packets = 0;
  for (const dataplane::WorkerStatus& worker : status.workers) {
    for (std::size_t i = 0; i < worker.drops.size(); ++i) {
      const auto reason = static_cast<DropReason>(i);
      const bool is_policy =
          reason == DropReason::policy_denied || reason == DropReason::policy_deny;
      packets += is_policy == by_policy ? worker.drops[i] : 0;
    }
  }
  return packets;
}

class Soak : public testing::Test {
 protected:
  Soak() {
    fmt::print(
        "seed {} (PORTCULLIS_SEED), {} s (PORTCULLIS_SOAK_SECONDS)\n", seed_, seconds_.count());
    // Each of thousands of changes would be a line.
    PORTCULLIS_CHECK(log::start("off").has_value());
  }

  /// Lets clients be for so long, and samples memory in the second and the last tenth.
  void watch(WirePlane& plane, ClientProcesses& clients) {
    const Clock::time_point begin = Clock::now();
    Clock::time_point next_kill = begin;
    while (Clock::now() < begin + seconds_) {
      std::this_thread::sleep_for(kTick);
      plane.tick();
      if (Clock::now() >= next_kill) {
        clients.replace(random_() % clients.size());
        ++kills_;
        next_kill = Clock::now() + std::chrono::milliseconds(random_() % kLifeMaxMs);
      }
      const auto passed = Clock::now() - begin;
      if (passed >= seconds_ / 10 && passed < seconds_ / 5) {
        early_.sample();
      } else if (passed >= seconds_ - seconds_ / 10) {
        late_.sample();
      }
    }
  }

  /// The line for a report.
  void print(const WirePlane::Tally& tally,
             std::uint64_t changes,
             const Traffic::Account& account) const {
    std::string kinds;
    for (const auto& [kind, count] : tally.changes) {
      kinds += fmt::format("{}{} {}", kinds.empty() ? "" : ", ", count, kind);
    }
    fmt::print(
        "soak of {} s: {} changes ({}), {} requests refused, {} clients killed; {} packets sent, "
        "{} forwarded, {} denied, {} lost; {} rounds, {} of them over a publication; {} "
        "verdicts checked, {} of them ahead of an edit's publication, {} unexplained; memory "
        "{:.1f} MiB after a tenth, {:.1f} at the "
        "end (resident {:.1f}, {:.1f})\n",
        seconds_.count(),
        changes,
        kinds,
        tally.refused,
        kills_,
        account.sent,
        account.received,
        account.denied,
        lost_,
        account.rounds,
        account.swapped,
        account.judged,
        account.early,
        account.unexplained,
        mib(early_.allocated),
        mib(late_.allocated),
        mib(early_.resident),
        mib(late_.resident));
  }

  const std::uint64_t seed_ = number_from("PORTCULLIS_SEED", std::random_device()());
  const std::chrono::seconds seconds_{number_from("PORTCULLIS_SOAK_SECONDS", 12)};
  Random random_{seed_};
  std::uint64_t kills_ = 0;
  std::uint64_t lost_ = 0;
  Memory early_;
  Memory late_;
};

TEST_F(Soak, LosesNoPacketAndJudgesEachByWhatIsInForce) {
  ServerOptions options{.clients_max = 24,
                        .message_bytes_max = std::size_t{1} << 20U,
                        .client_timeout = std::chrono::seconds(5)};
  WirePlane plane(options, any_cluster(random_));
  options.socket = plane.socket();
  Traffic traffic({plane.left(), plane.right(), plane.workers()},
                  plane.in_force(),
                  plane.lowering(),
                  random_());
  ClientProcesses clients(options, {.changing = 6, .garbage = 2}, random_());
  watch(plane, clients);
  clients.end();
  traffic.stop();
  const WirePlane::Tally tally = plane.tally();
  const dataplane::DataplaneStatus status = plane.status();
  const Traffic::Account& account = traffic.account();
  // What did not come out and policy did not drop is lost.
  lost_ = account.sent - account.received -
          std::min(account.sent - account.received, drops(status, true));
  const std::uint64_t changes = plane.in_force().newest() - 1;
  print(tally, changes, account);

  EXPECT_FALSE(account.is_stuck) << "a packet was lost that every content allows";
  EXPECT_EQ(account.strange, 0U);
  EXPECT_EQ(lost_, 0U);
  EXPECT_EQ(account.denied, drops(status, true));
  EXPECT_EQ(drops(status, false), 0U);
  EXPECT_EQ(account.judged + account.unexplained,
            account.received + account.denied - account.rounds * 2 * plane.workers());
  EXPECT_EQ(account.unexplained, 0U);
  for (const std::string& example : account.examples) {
    ADD_FAILURE() << example;
  }
  EXPECT_EQ(clients.in_trouble(), 0U);
  EXPECT_EQ(tally.misnamed, 0U);
  EXPECT_TRUE(plane.is_kept());
  EXPECT_GE(changes, seconds_ >= kLong ? kLongChanges : 10U);
  EXPECT_GE(account.denied, 1U);
  EXPECT_LE(late_.allocated, early_.allocated + kGrowthMaxBytes);
}

}  // namespace
}  // namespace portcullis::control
