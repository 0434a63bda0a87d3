// SPDX-License-Identifier: MIT
// DPDK's environment: starts it from [eal], ends it, and brings its log into ours.
// Thread: one control thread; start() makes the calling one EAL's main lcore, on control_cpu.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"
#include "config/config.h"

namespace portcullis::dataplane {

/// The running environment. EAL starts once in the life of a process; a second start() fails.
class Eal {
 public:
  /// Worker i runs on lcore i + 1, the caller is lcore 0.
  /// Errors: say which key of [eal] to change.
  static Result<std::unique_ptr<Eal>> start(const config::Eal& options);
  Eal(const Eal&) = delete;
  Eal& operator=(const Eal&) = delete;
  ~Eal();

  /// Processor of each worker: as configured, or the only one there is.
  [[nodiscard]] const std::vector<std::uint32_t>& worker_cpus() const { return worker_cpus_; }

 private:
  explicit Eal(std::vector<std::uint32_t> worker_cpus) : worker_cpus_(std::move(worker_cpus)) {}
  std::vector<std::uint32_t> worker_cpus_;
};

/// The processors that the workers get. Errors: one is not among `available`, and there are others
/// to choose from. Where there is only one processor, everybody shares it.
Result<std::vector<std::uint32_t>> place_workers(const config::Eal& options,
                                                 const std::vector<std::uint32_t>& available);

/// EAL's command line for these options.
std::vector<std::string> eal_arguments(const config::Eal& options,
                                       std::uint32_t control_cpu,
                                       const std::vector<std::uint32_t>& worker_cpus);

/// Forgets what DPDK said so far; later, says what it said since, on one line. For messages about a
/// DPDK call that failed. Thread: any.
void forget_dpdk_log();
std::string recent_dpdk_log();

}  // namespace portcullis::dataplane
