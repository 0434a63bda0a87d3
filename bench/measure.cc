// SPDX-License-Identifier: MIT
#include "bench/measure.h"

#include <algorithm>
#include <charconv>
#include <ctime>
#include <fstream>
#include <numeric>
#include <string_view>

#include <malloc.h>
#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fmt/format.h>

namespace portcullis::bench {
namespace {

double processor_seconds() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

/// Goes round a contestant's trace, call by call, from where it stopped last time.
class Lap {
 public:
  Lap(Contestant& contestant, std::size_t keys) : contestant_(contestant), keys_(keys) {}

  double rate_mlps(double seconds) {
    const Stopwatch watch;
    std::size_t done = 0;
    double took = 0;
    // The clock is read ever more rarely until its cost is nothing.
    for (std::size_t calls = 1; took < seconds;) {
      for (std::size_t i = 0; i < calls; ++i) {
        done += call();
      }
      took = watch.seconds();
      calls = took < seconds / 16 ? calls * 2 : calls;
    }
    return static_cast<double>(done) / took * 1e-6;
  }

 private:
  std::size_t call() {
    const std::size_t count = std::min(contestant_.keys_per_call(), keys_ - at_);
    contestant_.classify(at_, count);
    at_ = at_ + count == keys_ ? 0 : at_ + count;
    return count;
  }

  Contestant& contestant_;
  std::size_t keys_;
  std::size_t at_ = 0;
};

/// The number after `name` in a file of lines such as "VmHWM:   123 kB", in bytes.
std::optional<std::size_t> kilobytes_line(const char* path, std::string_view name) {
  std::ifstream file(path);
  std::string line;
  while (std::getline(file, line)) {
    const auto digit = line.find_first_of("0123456789");
    std::size_t value = 0;
    if (line.starts_with(name) && digit != std::string::npos &&
        std::from_chars(line.data() + digit, line.data() + line.size(), value).ec == std::errc{}) {
      return value * 1024;
    }
  }
  return std::nullopt;
}

std::optional<std::size_t> growth_while(const std::function<void()>& work) {
  // What the heap has kept for later would hide what the work takes.
  malloc_trim(0);
  const auto before = kilobytes_line("/proc/self/status", "VmRSS:");
  work();
  const auto peak = kilobytes_line("/proc/self/status", "VmHWM:");
  if (!before || !peak || *peak < *before) {
    return std::nullopt;
  }
  return *peak - *before;
}

}  // namespace

Stopwatch::Stopwatch() : start_(processor_seconds()) {}

double Stopwatch::seconds() const {
  return processor_seconds() - start_;
}

double median(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::ranges::nth_element(values, middle);
  return *middle;
}

std::vector<double> rates_mlps(std::span<Contestant* const> contestants,
                               std::size_t keys,
                               double seconds) {
  std::vector<Lap> laps;
  for (Contestant* contestant : contestants) {
    laps.emplace_back(*contestant, keys);
  }
  std::vector<std::vector<double>> rates(laps.size());
  for (Lap& lap : laps) {
    lap.rate_mlps(seconds / 2);  // Warms up.
  }
  for (int repetition = 0; repetition < kRepetitions; ++repetition) {
    for (std::size_t i = 0; i < laps.size(); ++i) {
      rates[i].push_back(laps[i].rate_mlps(seconds));
    }
  }
  std::vector<double> medians;
  for (std::vector<double>& values : rates) {
    medians.push_back(median(std::move(values)));
  }
  return medians;
}

double median_ms(const std::function<void()>& work) {
  std::vector<double> times;
  for (int repetition = 0; repetition < kRepetitions; ++repetition) {
    const Stopwatch watch;
    work();
    times.push_back(watch.milliseconds());
  }
  return median(std::move(times));
}

std::optional<std::size_t> peak_bytes(const std::function<void()>& work) {
  std::array<int, 2> ends{};
  if (pipe(ends.data()) != 0) {
    return std::nullopt;
  }
  const pid_t child = fork();
  if (child == 0) {
    const std::size_t grown = growth_while(work).value_or(0);
    const bool told = write(ends[1], &grown, sizeof grown) == sizeof grown;
    _exit(told ? 0 : 1);
  }
  close(ends[1]);
  std::size_t grown = 0;
  const bool heard = child > 0 && read(ends[0], &grown, sizeof grown) == sizeof grown;
  close(ends[0]);
  if (child > 0) {
    waitpid(child, nullptr, 0);
  }
  return heard && grown > 0 ? std::optional(grown) : std::nullopt;
}

std::optional<std::size_t> anonymous_bytes() {
  return kilobytes_line("/proc/self/smaps_rollup", "Anonymous:");
}

std::size_t available_bytes() {
  return kilobytes_line("/proc/meminfo", "MemAvailable:").value_or(0);
}

std::size_t free_hugepage_bytes() {
  std::ifstream mounts("/proc/mounts");
  std::string line;
  while (std::getline(mounts, line)) {
    if (line.find(" hugetlbfs ") != std::string::npos) {
      // A count, which the reader takes for kilobytes.
      const std::size_t pages =
          kilobytes_line("/proc/meminfo", "HugePages_Free:").value_or(0) / 1024;
      return pages * kilobytes_line("/proc/meminfo", "Hugepagesize:").value_or(0);
    }
  }
  return 0;
}

int pin_to_core() {
  cpu_set_t cores;
  if (sched_getaffinity(0, sizeof(cores), &cores) != 0) {
    return -1;
  }
  int last = CPU_SETSIZE - 1;
  while (last >= 0 && !CPU_ISSET(last, &cores)) {
    --last;
  }
  CPU_ZERO(&cores);
  CPU_SET(last, &cores);
  return sched_setaffinity(0, sizeof(cores), &cores) == 0 ? last : -1;
}

std::string machine() {
  std::ifstream cpuinfo("/proc/cpuinfo");
  std::string line;
  while (std::getline(cpuinfo, line) && !line.starts_with("model name")) {
  }
  std::ifstream loadavg("/proc/loadavg");
  std::string load;
  std::getline(loadavg, load);
  return fmt::format(
      "{}; load average {}", line.empty() ? "unknown" : line.substr(line.find(':') + 2), load);
}

}  // namespace portcullis::bench
