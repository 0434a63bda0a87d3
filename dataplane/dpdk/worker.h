// SPDX-License-Identifier: MIT
// Worker: the poll loop of one lcore, run to completion. Where several share a port, each judges
// the packets whose slots it owns, whoever received them.
// Thread: run() on its lcore; the rest by the control thread.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <variant>
#include <vector>

#include "base/busy_share.h"
#include "dataplane/counters.h"
#include "dataplane/dpdk/forward_mirror.h"
#include "dataplane/dpdk/forward_node.h"
#include "dataplane/dpdk/forward_wire.h"
#include "dataplane/dpdk/plug/port_change.h"
#include "dataplane/dpdk/spread/exchange.h"
#include "dataplane/dpdk/table_slot.h"
#include "dataplane/dpdk/token_bucket.h"
#include "dataplane/dpdk/transmit.h"
#include "dataplane/pipeline.h"
#include "dataplane/respond.h"

namespace portcullis::dataplane {

struct WorkerSetup {
  std::size_t index = 0;         // Its Reader's number, and its place in the exchange.
  Exchange* exchange = nullptr;  // Outlives it.
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

  /// Polls until stop(), and then until no road has a packet for it. REQUIRES: a generation was
  /// published.
  void run() noexcept;
  /// REQUIRES: the exchange's Closing says how many workers run; each of them is stopped, too.
  void stop() noexcept { stopping_.store(true, std::memory_order_release); }

  /// Where a question about its flows is laid for it.
  [[nodiscard]] FlowMailbox& mailbox() noexcept { return pipeline_.mailbox(); }
  /// Where a port that comes or goes is laid for it.
  [[nodiscard]] PortMailbox& port_mailbox() noexcept { return port_mailbox_; }
  [[nodiscard]] const Counters& counters() const noexcept { return pipeline_.counters(); }
  /// Packets lost after they were judged, and others ahead of it.
  [[nodiscard]] const Losses& losses() const noexcept { return transmit_.losses(); }
  [[nodiscard]] const Losses& unjudged() const noexcept { return unjudged_; }
  /// Packets handed to other workers, for them to judge.
  [[nodiscard]] std::uint64_t handed_to_judge() const noexcept { return handed_.get(); }
  [[nodiscard]] const Transmit& transmit() const noexcept { return transmit_; }
  /// Transport checksums that the kernel had left unfinished.
  [[nodiscard]] std::uint64_t checksums_finished() const noexcept {
    return checksums_finished_.get();
  }
  /// Super-packets that were cut. Their segments are the packets that the other counters count.
  [[nodiscard]] std::uint64_t super_packets() const noexcept { return super_packets_.get(); }
  /// Share of the last whole second in which it had packets.
  [[nodiscard]] double busy() const noexcept { return busy_.get(); }

 private:
  /// Packets of this burst for another worker.
  struct Outbox {
    Handover* road = nullptr;  // None: nobody, or this worker.
    std::size_t count = 0;
    std::array<rte_mbuf*, limits::kBurstMax> packets{};
  };
  /// A fragment that waits for the first one of its datagram.
  struct Kept {
    rte_mbuf* packet = nullptr;
    PortIndex port = 0;
  };
  struct Poll;  // What one turn of the loop has at hand.
  class Clock;

  template <Forwarder F>
  void loop(F& forwarder) noexcept;
  template <Forwarder F>
  void turn(TableSlot::Reader& reader, std::uint64_t now_ns, F& forwarder) noexcept;
  template <Forwarder F>
  void finish(TableSlot::Reader& reader, const Clock& clock, F& forwarder) noexcept;
  template <Forwarder F>
  void take(PortChange& change, std::uint64_t now_ns, F& forwarder) noexcept;
  template <Forwarder F>
  std::size_t serve(const Source& source, const Poll& poll, F& forwarder) noexcept;
  template <Forwarder F>
  std::size_t serve_inbox(Handover& inbox, const Poll& poll, F& forwarder) noexcept;
  template <Forwarder F>
  void judge(std::size_t count, const Poll& poll, F& forwarder) noexcept;
  template <Forwarder F>
  void settle(const Parcel& parcel,
              const Outcome& outcome,
              std::uint64_t now_ns,
              F& forwarder) noexcept;
  template <Forwarder F>
  void settle_other(const Parcel& parcel,
                    const Outcome& outcome,
                    std::uint64_t now_ns,
                    F& forwarder) noexcept;
  template <Forwarder F>
  void let_go(std::uint64_t now_ns, F& forwarder) noexcept;
  void reject(const Parcel& parcel, DropReason reason, std::uint64_t now_ns) noexcept;
  template <Forwarder F>
  void serve_super(const rte_mbuf* packet,
                   const Source& source,
                   const Poll& poll,
                   F& forwarder) noexcept;
  template <Forwarder F>
  std::size_t admit(rte_mbuf* packet,
                    std::size_t place,
                    PortIndex port,
                    const F& forwarder) noexcept;
  template <Forwarder F>
  void judge_own(const Source& source, std::size_t count, const Poll& poll, F& forwarder) noexcept;
  std::size_t keep_own(const Source& source, std::size_t count) noexcept;
  void tell_others(const Parcel& parcel) noexcept;
  void lose_unjudged(rte_mbuf* packet, DropReason reason) noexcept;
  void rest(TableSlot::Reader& reader) noexcept;

  const std::size_t index_;
  const bool sleeps_;
  const bool rejects_;
  TableSlot& slot_;
  Closing& closing_;
  rte_mempool* const pool_;
  std::vector<Source> sources_;
  std::vector<Outbox> outboxes_;  // By worker; none where it shares no port.
  std::vector<Handover*> inboxes_;
  std::vector<std::uint8_t> is_kernels_;  // Port::is_kernels(), by port.
  const Tunnels tunnels_;
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
  Losses unjudged_;
  Counter handed_;
  BusyShare busy_;
  Counter checksums_finished_;
  Counter super_packets_;
  alignas(64) std::atomic<bool> stopping_{false};
  PortMailbox port_mailbox_;  // In a line that each turn reads anyway.
};

}  // namespace portcullis::dataplane
