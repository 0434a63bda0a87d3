// SPDX-License-Identifier: MIT
// Worker: the poll loop of one lcore, run to completion.
// Thread: run() on its lcore; the rest by the control thread.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <variant>
#include <vector>

#include "dataplane/counters.h"
#include "dataplane/dpdk/forward_mirror.h"
#include "dataplane/dpdk/forward_node.h"
#include "dataplane/dpdk/forward_wire.h"
#include "dataplane/dpdk/table_slot.h"
#include "dataplane/dpdk/token_bucket.h"
#include "dataplane/dpdk/transmit.h"
#include "dataplane/pipeline.h"
#include "dataplane/respond.h"

namespace portcullis::dataplane {

struct WorkerSetup {
  std::size_t index = 0;         // Its Reader's number.
  std::vector<PortIndex> ports;  // That it polls; nobody else touches them.
  PipelineOptions pipeline;
  bool sleeps = true;    // Sleep when no packet comes.
  bool rejects = false;  // Tell the senders of denied packets.
};

/// The forwarder of the configured mode. Chosen once at the start of run(), not per packet.
using AnyForwarder = std::variant<ForwardWire, ForwardNode, ForwardMirror>;

class Worker {
 public:
  Worker(const WorkerSetup& setup,
         TableSlot& slot,
         std::span<const std::unique_ptr<Port>> ports,
         const BufferPool& pool,
         AnyForwarder forwarder);
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;
  ~Worker() = default;

  /// Polls until stop(). REQUIRES: a generation was published.
  void run() noexcept;
  void stop() noexcept { stopping_.store(true, std::memory_order_relaxed); }

  /// Where a question about its flows is laid for it.
  [[nodiscard]] FlowMailbox& mailbox() noexcept { return pipeline_.mailbox(); }
  [[nodiscard]] const Counters& counters() const noexcept { return pipeline_.counters(); }
  [[nodiscard]] const Losses& losses() const noexcept { return transmit_.losses(); }
  /// Share of polls that found packets, since start.
  [[nodiscard]] double busy() const noexcept;

 private:
  struct Lane {
    PortIndex port = 0;
    std::uint16_t device = 0;
  };
  /// A fragment that waits for the first one of its datagram.
  struct Kept {
    rte_mbuf* packet = nullptr;
    PortIndex port = 0;
  };
  struct Poll;  // What one turn of the loop has at hand.

  template <Forwarder F>
  void loop(F& forwarder) noexcept;
  template <Forwarder F>
  std::size_t serve(const Lane& lane, const Poll& poll, F& forwarder) noexcept;
  template <Forwarder F>
  void settle(const Parcel& parcel,
              const Outcome& outcome,
              std::uint64_t now_ns,
              F& forwarder) noexcept;
  template <Forwarder F>
  void let_go(std::uint64_t now_ns, F& forwarder) noexcept;
  void reject(const Parcel& parcel, DropReason reason, std::uint64_t now_ns) noexcept;
  template <Forwarder F>
  std::size_t receive(const Lane& lane, const F& forwarder) noexcept;
  void rest(TableSlot::Reader& reader) noexcept;

  const std::size_t index_;
  const bool sleeps_;
  const bool rejects_;
  TableSlot& slot_;
  std::vector<Lane> lanes_;
  Pipeline pipeline_;
  Transmit transmit_;
  AnyForwarder forwarder_;

  std::array<rte_mbuf*, limits::kBurstMax> packets_{};
  std::array<Frame, limits::kBurstMax> frames_;
  std::array<Outcome, limits::kBurstMax> outcomes_;
  std::array<Kept, kHeldSlots> kept_{};
  TokenBucket rejections_;
  std::array<std::uint8_t, kResponseBytesMax> response_{};
  std::uint32_t empty_polls_ = 0;  // In a row.
  Counter polls_;
  Counter busy_polls_;
  alignas(64) std::atomic<bool> stopping_{false};
};

}  // namespace portcullis::dataplane
