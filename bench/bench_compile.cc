// SPDX-License-Identifier: MIT
// How long a compile takes from a Snapshot, phase by phase and by number of threads, how much
// memory, and how soon it ends when it is told to. Wall time: other processes count.
//   bench_compile [--pods=100000] [--policies=10000] [--threads=2] [--rounds=5] [--seed=1]
#include <algorithm>
#include <charconv>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <functional>
#include <map>
#include <stop_token>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include <fmt/format.h>

#include "base/check.h"
#include "bench/corpus.h"
#include "bench/measure.h"
#include "classifier/compile.h"

namespace portcullis::bench {
namespace {

using namespace classifier;
using Clock = std::chrono::steady_clock;

struct Numbers {
  std::uint64_t pods = 100'000;
  std::uint64_t policies = 10'000;
  std::uint64_t threads = 2;
  std::uint64_t rounds = 5;
  std::uint64_t seed = 1;
};

double milliseconds_since(Clock::time_point begin) {
  return std::chrono::duration<double, std::milli>(Clock::now() - begin).count();
}

/// Milliseconds by phase, in the order of their first appearance.
class Phases {
 public:
  void hear(const CompileProgress& progress) {
    if (progress.phase != now_) {
      end();
      now_ = progress.phase;
    }
  }
  void end() {
    if (!now_.empty()) {
      times_.emplace_back(now_, milliseconds_since(begin_));
    }
    begin_ = Clock::now();
    now_.clear();
  }
  [[nodiscard]] const std::vector<std::pair<std::string, double>>& times() const { return times_; }

 private:
  std::string now_;
  Clock::time_point begin_;
  std::vector<std::pair<std::string, double>> times_;
};

struct Timed {
  double total = 0;
  std::vector<std::pair<std::string, double>> phases;
};

Timed time_compile(const RuleSet& rules, unsigned threads) {
  Phases phases;
  const auto begin = Clock::now();
  const auto table =
      compile(rules, {.threads = threads, .progress = [&](const CompileProgress& progress) {
                        phases.hear(progress);
                      }});
  const double total = milliseconds_since(begin);
  phases.end();
  PORTCULLIS_CHECK(table);
  return {.total = total, .phases = phases.times()};
}

/// Turn by turn, so that what else the machine does hits all alike; the best of all rounds.
void compare_threads(const RuleSet& rules, const Numbers& numbers) {
  std::map<unsigned, Timed> best;
  for (std::uint64_t round = 0; round < numbers.rounds; ++round) {
    for (unsigned threads = 1; threads <= numbers.threads; ++threads) {
      Timed timed = time_compile(rules, threads);
      if (best[threads].total == 0 || timed.total < best[threads].total) {
        best[threads] = std::move(timed);
      }
    }
  }
  for (const auto& [threads, timed] : best) {
    fmt::print("{} thread{}: {:.1f} ms, {:.2f} times as fast as one\n",
               threads,
               threads == 1 ? "" : "s",
               timed.total,
               best[1].total / timed.total);
    for (const auto& [phase, took] : timed.phases) {
      fmt::print("  {:<16} {:>9.1f} ms\n", phase, took);
    }
  }
}

/// Milliseconds from a stop to the end of the compile, at moments spread over it.
void time_stops(const RuleSet& rules, const Numbers& numbers, double whole_ms) {
  std::vector<double> waits;
  constexpr int kStops = 20;
  for (int i = 0; i < kStops; ++i) {
    std::stop_source source;
    Clock::time_point asked;
    std::jthread asker([&] {
      const auto share = whole_ms * (i + 0.5) / kStops;
      std::this_thread::sleep_for(std::chrono::duration<double, std::milli>(share));
      asked = Clock::now();
      source.request_stop();
    });
    const auto table = compile(
        rules, {.threads = static_cast<unsigned>(numbers.threads), .stop = source.get_token()});
    const auto ended = Clock::now();
    asker.join();
    if (!table) {
      waits.push_back(std::chrono::duration<double, std::milli>(ended - asked).count());
    }
  }
  if (!waits.empty()) {
    fmt::print("stop to end, of {}: {:.1f} ms median, {:.1f} ms at most\n",
               waits.size(),
               median(waits),
               *std::ranges::max_element(waits));
  }
}

int run(const Numbers& numbers) {
  const World world =
      make_world({.pods = numbers.pods, .policies = numbers.policies, .seed = numbers.seed});
  fmt::print("{}; {} pods, {} policies, {} rules\n",
             machine(),
             numbers.pods,
             numbers.policies,
             world.rules.rules.size());
  double lower_ms = 0;
  for (std::uint64_t round = 0; round < numbers.rounds; ++round) {
    const auto begin = Clock::now();
    PORTCULLIS_CHECK(policy::lower(world.snapshot, lowering_of(world)));
    const double took = milliseconds_since(begin);
    lower_ms = round == 0 ? took : std::min(lower_ms, took);
  }
  fmt::print("lower: {:.1f} ms\n", lower_ms);
  compare_threads(world.rules, numbers);
  const auto threads = static_cast<unsigned>(numbers.threads);
  for (unsigned count = 1; count <= threads; ++count) {
    const auto peak = peak_bytes([&] { time_compile(world.rules, count); });
    fmt::print(
        "peak with {} threads: {:.1f} MB\n", count, static_cast<double>(peak.value_or(0)) / 1e6);
  }
  time_stops(world.rules, numbers, time_compile(world.rules, threads).total);
  return 0;
}

bool read(std::string_view argument, Numbers& numbers) {
  for (const auto& [name, number] : {std::pair(std::string_view("--pods="), &numbers.pods),
                                     std::pair(std::string_view("--policies="), &numbers.policies),
                                     std::pair(std::string_view("--threads="), &numbers.threads),
                                     std::pair(std::string_view("--rounds="), &numbers.rounds),
                                     std::pair(std::string_view("--seed="), &numbers.seed)}) {
    if (argument.starts_with(name)) {
      const std::string_view digits = argument.substr(name.size());
      const char* const end = digits.data() + digits.size();
      const auto [stop, error] = std::from_chars(digits.data(), end, *number);
      return error == std::errc{} && stop == end && *number > 0;
    }
  }
  return false;
}

}  // namespace
}  // namespace portcullis::bench

int main(int argc, char** argv) {
  portcullis::bench::Numbers numbers;
  for (int i = 1; i < argc; ++i) {
    if (!portcullis::bench::read(argv[i], numbers)) {
      fmt::print(stderr,
                 "usage: bench_compile [--pods=N] [--policies=N] [--threads=N] [--rounds=N] "
                 "[--seed=N]\n");
      return 2;
    }
  }
  return portcullis::bench::run(numbers);
}
