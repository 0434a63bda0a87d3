// SPDX-License-Identifier: MIT
// Exchange: which queues each worker polls, and the roads by which workers hand packets to whoever
// owns their flow, or may send on their port.
// Thread: the control thread. Each worker begins with a copy of its Share; what a port that comes
// later adds is for plug/ to tell it. The roads outlive the workers.
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
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
  enum class By : std::uint8_t { nobody, queue, road } by = By::nobody;
  std::uint16_t queue = 0;
  Handover* road = nullptr;
};

/// What a worker sends for another, on queue 0 of a port.
struct Carriage {
  Handover* road = nullptr;
  PortIndex port = 0;
  std::uint16_t device = 0;
  bool torn = false;  // A fragment was refused: the rest of its packet is to follow it.
};

/// What one worker has of one port.
struct PortPart {
  std::optional<Source> source;
  WayOut way_out;
  std::vector<Carriage> carriages;
};

/// All of it for one worker.
struct Share {
  std::vector<Source> sources;
  std::vector<Handover*> roads;  // By worker: to it, for it to judge; none where no port is shared.
  std::vector<Handover*> inboxes;   // From others, to be judged here.
  std::vector<WayOut> ways_out;     // By port.
  std::vector<Carriage> carriages;  // From others, to be sent here.
  /// Ports there will ever be, whose indexes are below this: where none comes later, as many as
  /// there are.
  std::size_t ports_max = 0;
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

  /// Adds a port to the shares; result[worker] is what it adds to this one's. Of a port with one
  /// queue the worker is host that has the fewest.
  /// REQUIRES: it was started; workers of its crew share another port. Errors: no memory for roads;
  /// nothing has changed.
  Result<std::vector<PortPart>> plug(PortIndex index, const Port& port);
  /// Takes it out of them. Its roads stay, for the next one of that index.
  /// REQUIRES: no worker uses them.
  void unplug(PortIndex index);

  [[nodiscard]] const Share& share(std::size_t worker) const { return shares_[worker]; }
  [[nodiscard]] Closing& closing() { return closing_; }

 private:
  explicit Exchange(std::size_t workers) : shares_(workers) {}
  Result<Handover*> add_road(const std::string& name);
  Result<void> join(const Crew& crew);
  [[nodiscard]] std::uint16_t host_of(const Crew& crew) const;
  Result<Handover*> road_out(std::uint16_t worker, PortIndex port);
  void add(PortIndex index, const std::vector<PortPart>& parts);

  std::vector<std::unique_ptr<Handover>> roads_;
  std::map<std::pair<std::uint16_t, PortIndex>, Handover*> roads_out_;  // By worker and port.
  std::vector<Share> shares_;
  Closing closing_;
};

}  // namespace portcullis::dataplane
