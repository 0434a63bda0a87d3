// SPDX-License-Identifier: MIT
#include "dataplane/dpdk/eal.h"

#include <algorithm>
#include <cstdio>
#include <memory>
#include <mutex>
#include <string_view>
#include <utility>

#include <rte_eal.h>
#include <rte_log.h>
#include <sched.h>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "base/log.h"

namespace portcullis::dataplane {
namespace {

/// What DPDK's libraries print, line by line. Bounded: old lines make room.
class DpdkLog {
 public:
  void write(std::string_view text) {
    const std::lock_guard lock(mutex_);
    for (const char c : text) {
      if (c != '\n') {
        line_.push_back(c);
        continue;
      }
      if (!line_.empty()) {
        log::warn("dpdk: {}", line_);
        keep();
      }
      line_.clear();
    }
  }
  void forget() {
    const std::lock_guard lock(mutex_);
    recent_.clear();
  }
  std::string recent() {
    const std::lock_guard lock(mutex_);
    return recent_.empty() ? "DPDK says no more" : fmt::format("{}", fmt::join(recent_, "; "));
  }

 private:
  static constexpr std::size_t kLinesMax = 8;
  void keep() {
    if (recent_.size() == kLinesMax) {
      recent_.erase(recent_.begin());
    }
    recent_.push_back(line_);
  }

  std::mutex mutex_;
  std::string line_;
  std::vector<std::string> recent_;
};

DpdkLog& dpdk_log() {
  // Never destroyed: EAL's own threads may log until the process ends.
  static auto* const log = new DpdkLog;
  return *log;
}

ssize_t write_log(void* /*cookie*/, const char* text, std::size_t length) {
  dpdk_log().write({text, length});
  return static_cast<ssize_t>(length);
}

void take_dpdk_log() {
  static FILE* const stream = fopencookie(nullptr, "w", {.write = write_log});
  if (stream != nullptr) {
    rte_openlog_stream(stream);
  }
}

std::vector<std::uint32_t> available_cpus() {
  cpu_set_t set;
  CPU_ZERO(&set);
  std::vector<std::uint32_t> cpus;
  if (sched_getaffinity(0, sizeof set, &set) == 0) {
    for (std::uint32_t cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
      if (CPU_ISSET(cpu, &set)) {
        cpus.push_back(cpu);
      }
    }
  }
  return cpus;
}

bool has(const std::vector<std::uint32_t>& cpus, std::uint32_t cpu) {
  return std::find(cpus.begin(), cpus.end(), cpu) != cpus.end();
}

std::string hint(const config::Eal& options) {
  if (options.hugepages) {
    return fmt::format(
        "eal.hugepages = true needs {} MiB of hugepages reserved and mounted (set it to false to "
        "do without); two daemons need an eal.file_prefix each",
        options.memory_mb);
  }
  return "two daemons need an eal.file_prefix each; else try another eal.memory_mb";
}

}  // namespace

void forget_dpdk_log() {
  dpdk_log().forget();
}

std::string recent_dpdk_log() {
  return dpdk_log().recent();
}

Result<std::vector<std::uint32_t>> place_workers(const config::Eal& options,
                                                 const std::vector<std::uint32_t>& available) {
  if (available.size() == 1) {
    return std::vector<std::uint32_t>(options.worker_cpus.size(), available.front());
  }
  for (const std::uint32_t cpu : options.worker_cpus) {
    if (!has(available, cpu)) {
      return fail(
          fmt::format("eal.worker_cpus names processor {}, which this process may not use; it may "
                      "use {}",
                      cpu,
                      fmt::join(available, ", ")));
    }
  }
  return options.worker_cpus;
}

std::vector<std::string> eal_arguments(const config::Eal& options,
                                       std::uint32_t control_cpu,
                                       const std::vector<std::uint32_t>& worker_cpus) {
  std::string lcores = fmt::format("0@{}", control_cpu);
  for (std::size_t i = 0; i < worker_cpus.size(); ++i) {
    lcores += fmt::format(",{}@{}", i + 1, worker_cpus[i]);
  }
  std::vector<std::string> arguments{"portcullisd",
                                     "--lcores=" + lcores,
                                     "--main-lcore=0",
                                     "--file-prefix=" + options.file_prefix,
                                     "-m",
                                     std::to_string(options.memory_mb),
                                     "--log-level=*:warning",
                                     // Else it warns that a socket we do not use is not there.
                                     "--log-level=lib.telemetry:error"};
  if (options.hugepages) {
    // One file a list of pages instead of one a page: net_virtio_user shows its peer our memory,
    // and can name eight files to it.
    arguments.emplace_back("--single-file-segments");
  } else {
    arguments.emplace_back("--no-huge");
  }
  if (!options.pci) {
    arguments.emplace_back("--no-pci");
  }
  if (!options.telemetry) {
    arguments.emplace_back("--no-telemetry");
  }
  return arguments;
}

Result<std::unique_ptr<Eal>> Eal::start(const config::Eal& options) {
  const std::vector<std::uint32_t> available = available_cpus();
  PORTCULLIS_TRY(std::vector<std::uint32_t> worker_cpus, place_workers(options, available));
  if (available.size() > 1 && !has(available, options.control_cpu)) {
    return fail(fmt::format("eal.control_cpu is {}, which this process may not use; it may use {}",
                            options.control_cpu,
                            fmt::join(available, ", ")));
  }
  const std::uint32_t control_cpu = available.size() == 1 ? available.front() : options.control_cpu;

  take_dpdk_log();
  forget_dpdk_log();
  std::vector<std::string> arguments = eal_arguments(options, control_cpu, worker_cpus);
  // EAL reorders and keeps the pointers, so they are to outlive it.
  static std::vector<std::string> kept;
  kept = std::move(arguments);
  std::vector<char*> argv;
  for (std::string& argument : kept) {
    argv.push_back(argument.data());
  }
  if (rte_eal_init(static_cast<int>(argv.size()), argv.data()) < 0) {
    return fail(fmt::format("DPDK does not start: {}; {}", recent_dpdk_log(), hint(options)));
  }
  return std::unique_ptr<Eal>(new Eal(std::move(worker_cpus)));
}

Eal::~Eal() {
  rte_eal_cleanup();
}

}  // namespace portcullis::dataplane
