// SPDX-License-Identifier: MIT
// Engine: ports, table slot and workers on a running EAL, wired as the mode says.
// Thread: the control thread, but for flows(). No DPDK type shows through, so the facade needs no
// DPDK header.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "config/config.h"
#include "dataplane/dataplane.h"
#include "dataplane/generation.h"

namespace portcullis::dataplane {

/// The control thread's clock.
std::uint64_t monotonic_ns();

class Engine {
 public:
  /// Opens the ports, publishes `first`, and only then lets packets in: fail closed.
  /// REQUIRES: EAL runs with one lcore for each of `worker_cpus` beside the caller's.
  static Result<std::unique_ptr<Engine>> start(const config::Config& config,
                                               const std::vector<std::uint32_t>& worker_cpus,
                                               std::unique_ptr<const Generation> first);
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;
  /// Stops the workers, then the ports.
  ~Engine();

  /// As plug() and unplug() of dataplane/dpdk/plug/plug.h.
  Result<void> add_port(const config::Port& options);
  Result<void> remove_port(const std::string& name);
  /// As TableSlot::publish; returns the last generation's hits as rule_hits() would.
  std::vector<RuleHits> publish(std::unique_ptr<const Generation> next);
  /// As Dataplane::check_links. Time: monotonic_ns(), or later.
  void check_links(std::uint64_t now_ns);
  [[nodiscard]] DataplaneStatus status() const;
  [[nodiscard]] std::vector<RuleHits> rule_hits() const;
  /// As Dataplane::flows.
  [[nodiscard]] Result<std::vector<FlowAnswer>> flows(const FlowRequest& request) const;

 private:
  struct State;
  explicit Engine(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace portcullis::dataplane
