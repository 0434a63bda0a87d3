// SPDX-License-Identifier: MIT
// Exchange: which queues each worker polls, and the roads by which workers hand packets to whoever
// owns their flow, or may send on their port.
// Thread: made by the control thread ahead of the workers; each then uses its own Share. The roads
// outlive the workers.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "base/result.h"
#include "dataplane/dpdk/port.h"
#include "dataplane/dpdk/spread/handover.h"
#include "dataplane/outcome.h"
#include "dataplane/packet/affinity.h"

namespace portcullis::dataplane {

/// A queue that a worker receives from.
struct Source {
  PortIndex port = 0;
  std::uint16_t device = 0;
  std::uint16_t queue = 0;
  bool shared = false;  // Several workers have its packets, each those whose slots it owns.
  SlotOwners owners{};
};

/// How a worker sends on a port: by a queue of its own, or by the worker that has the only one.
struct WayOut {
  std::uint16_t queue = 0;
  Handover* road = nullptr;  // None: by the queue.
};

/// What a worker sends for another, on queue 0 of a port.
struct Carriage {
  Handover* road = nullptr;
  std::uint16_t device = 0;
  bool torn = false;  // A fragment was refused: the rest of its packet is to follow it.
};

/// All of it for one worker.
struct Share {
  std::vector<Source> sources;
  std::vector<Handover*> roads;  // By worker: to it, for it to judge; none where no port is shared.
  std::vector<Handover*> inboxes;   // From others, to be judged here.
  std::vector<WayOut> ways_out;     // By port.
  std::vector<Carriage> carriages;  // From others, to be sent here.
};

/// How many workers may still put packets on roads of each kind. They end in step, so that no road
/// has a packet at the end.
struct Closing {
  std::atomic<std::size_t> receiving{0};
  std::atomic<std::size_t> judging{0};
};

class Exchange {
 public:
  /// REQUIRES: the ports were started. Errors: no memory for the roads.
  static Result<std::unique_ptr<Exchange>> make(std::span<const std::unique_ptr<Port>> ports,
                                                std::size_t workers);
  Exchange(const Exchange&) = delete;
  Exchange& operator=(const Exchange&) = delete;
  ~Exchange() = default;

  [[nodiscard]] const Share& share(std::size_t worker) const { return shares_[worker]; }
  [[nodiscard]] Closing& closing() { return closing_; }

 private:
  explicit Exchange(std::size_t workers) : shares_(workers) {}
  Result<Handover*> add_road(const std::string& name);
  Result<void> join(const Crew& crew);
  Result<void> add_port(PortIndex index, const Port& port, std::size_t host);

  std::vector<std::unique_ptr<Handover>> roads_;
  std::vector<Share> shares_;
  Closing closing_;
};

}  // namespace portcullis::dataplane
