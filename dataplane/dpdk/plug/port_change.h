// SPDX-License-Identifier: MIT
// PortChange: what one worker is told of a pod's port that comes or goes while it runs; and
// PortMailbox: the slot in which the worker finds it.
// Thread: a worker and the control thread, as each function says.
//
// Invariants:
//   1. All workers know a port (learn) before any receives from it (serve). None receives from it
//      any more (rest) before it is forgotten (forget), and nobody hands a packet over for it any
//      more before the worker that sends for all sends the last ones (clear).
//   2. A worker takes a change between two turns of its loop, when it has no packet to send.
//   3. A worker takes no memory for it: its lists have room for limits::kPortsMax from the start,
//      and what else is needed comes with the change.
//   4. What still names a port that is gone (a packet handed over, a fragment that waits) finds its
//      index as it was, or as the next port's: what it sends there is dropped, or is an answer that
//      is addressed to nobody; and its source is not the next pod's.
//   5. The control thread fills an empty slot (release), the worker empties it (release), each
//      after it has seen the other's store (acquire). While the slot is full the change is the
//      worker's.
#pragma once

#include <atomic>
#include <cstdint>
#include <vector>

#include "base/ip.h"
#include "dataplane/dpdk/spread/exchange.h"
#include "dataplane/outcome.h"
#include "dataplane/packet/neighbour.h"

namespace portcullis::dataplane {

/// Where nothing else is said, a part means something to the step `learn` only.
struct PortChange {
  enum class Step : std::uint8_t {
    learn,   // There is such a port: its addresses, and the way out to it.
    serve,   // Receive from it, as part.source says.
    rest,    // Receive from it no more.
    forget,  // Send to it no more: its addresses have no route.
    clear,   // Send what others have handed over for it. There comes no more.
  };
  Step step = Step::learn;
  PortIndex port = 0;  // Of every step.
  PortPart part;       // This worker's.
  std::uint16_t device = 0;
  std::uint16_t mtu = 0;
  MacAddress mac{};
  bool is_kernels = false;           // Port::is_kernels().
  std::vector<IpAddress> addresses;  // Neighbours that are there.
  std::vector<IpAddress> sources;    // That it may use; comes back with what the index had before.
};

class PortMailbox {
 public:
  /// True when the worker has let go of what was posted. Thread: the control thread.
  [[nodiscard]] bool empty() const noexcept {
    return posted_.load(std::memory_order_acquire) == nullptr;
  }
  /// REQUIRES: empty(); the change lives until it is so again. Thread: the control thread.
  void post(PortChange& change) noexcept { posted_.store(&change, std::memory_order_release); }

  /// Null: nothing has changed. Cost: one relaxed load then. Thread: the worker.
  [[nodiscard]] PortChange* posted() const noexcept {
    if (posted_.load(std::memory_order_relaxed) == nullptr) [[likely]] {
      return nullptr;
    }
    return posted_.load(std::memory_order_acquire);
  }
  /// The change is done, and the worker will not touch it again. Thread: the worker.
  void let_go() noexcept { posted_.store(nullptr, std::memory_order_release); }

 private:
  std::atomic<PortChange*> posted_{nullptr};
};

}  // namespace portcullis::dataplane
