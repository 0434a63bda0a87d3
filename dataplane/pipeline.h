// SPDX-License-Identifier: MIT
// The hot path for one burst: parse -> conntrack -> lookup for new flows -> verdict -> counters.
// Knows no DPDK: the worker, replay, tests and benches drive the same code.
// Thread: one Pipeline per worker; process() is called by that worker only.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "base/ip.h"
#include "base/limits.h"
#include "config/config.h"
#include "dataplane/counters.h"
#include "dataplane/generation.h"
#include "dataplane/outcome.h"

namespace portcullis::dataplane {

/// A received frame. Owner: the caller; valid during process(). `data` starts at Ethernet.
struct Frame {
  std::uint8_t* data = nullptr;
  std::uint32_t length = 0;  // Contiguous bytes at data.
  PortIndex port = 0;
  /// Bytes of the whole frame where `data` holds only its beginning (a chained mbuf, a capture with
  /// a snap length); 0 where it holds all.
  std::uint32_t wire_length = 0;
};

class FlowMailbox;

struct PipelineOptions {
  config::Conntrack conntrack;
  config::Tunnels tunnels;
  config::NonIp non_ip;
  std::size_t ports = 0;  // Frame::port is always below this.
  /// Per port, the only source addresses it may use (a pod's); an empty list allows any. Shorter
  /// than `ports`: the rest allow any.
  std::vector<std::vector<IpAddress>> sources;
  /// Later fragments that may wait for their first one; from 1 to limits::kFragmentsHeldMax.
  std::size_t fragments_held_max = limits::kFragmentsHeldMax;
};

class Pipeline {
 public:
  /// Takes all its memory here: the flow table, counters, scratch.
  explicit Pipeline(const PipelineOptions& options);
  Pipeline(const Pipeline&) = delete;
  Pipeline& operator=(const Pipeline&) = delete;
  ~Pipeline();

  /// Judges a burst in order; replies are known by the flows that earlier frames made.
  /// Shapes: frames[n], outcomes[n]; n <= limits::kBurstMax.
  /// Time:   now_ns is monotonic, of any origin.
  /// Rules of the generation are counted into rule_counts.
  void process(const Generation& generation,
               std::uint64_t now_ns,
               std::span<const Frame> frames,
               std::span<Outcome> outcomes,
               const RuleCounts& rule_counts) noexcept;

  /// Ends timed-out flows and datagrams, a bounded number a call; the worker calls it once per
  /// poll.
  void expire(std::uint64_t now_ns) noexcept;

  /// From now on the port may use these sources; they come back as those of before. Between bursts.
  /// REQUIRES: port < PipelineOptions::ports.
  void exchange_sources(PortIndex port, std::vector<IpAddress>& addresses) noexcept;

  /// Where a question about the flow table is laid for this pipeline's worker.
  [[nodiscard]] FlowMailbox& mailbox() noexcept;
  /// One bounded step towards the answer; the worker calls it once per poll. False: nothing is
  /// asked.
  bool answer(std::uint64_t now_ns) noexcept;

  /// Frames that were held and go now, each exactly once. To be asked after each process(),
  /// expire() and release_all(), when the frames that were held in that call are in their slots:
  /// the next call of any of them uses the slots again.
  [[nodiscard]] std::span<const Released> released() const noexcept;
  /// At the end: drops every frame that is still held.
  void release_all() noexcept;

  /// The control thread reads them while the worker runs.
  [[nodiscard]] const Counters& counters() const noexcept;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace portcullis::dataplane
