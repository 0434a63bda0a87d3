// SPDX-License-Identifier: MIT
// The way out of one worker: a small buffer per port, and what was lost after the verdict.
// Thread: one worker; the counters may be read by anyone.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "base/limits.h"
#include "dataplane/counters.h"
#include "dataplane/dpdk/port.h"
#include "dataplane/dpdk/spread/exchange.h"
#include "dataplane/outcome.h"

struct rte_mbuf;

namespace portcullis::dataplane {

struct PortChange;

/// Packets that were lost ahead of the pipeline, or that it let pass and that were lost behind it,
/// by reason.
struct alignas(64) Losses {
  Counter all;
  std::array<Counter, kDropReasons> drops;

  void count(DropReason reason) noexcept {
    all.add();
    drops[static_cast<std::size_t>(reason)].add();
  }
};

class Transmit {
 public:
  /// ports[i] is the port with index i; send() may name those that belong to the worker.
  Transmit(std::span<const std::unique_ptr<Port>> ports, const BufferPool& pool, Share share);

  /// Takes the packet; it leaves with the next flush(), or earlier when the buffer is full.
  void send(PortIndex port, rte_mbuf* packet) noexcept {
    Lane& lane = lanes_[port];
    if (lane.count == 0) {
      waiting_.push_back(port);  // At most once a lane until flush(): within the capacity.
    }
    lane.packets[lane.count++] = packet;
    if (lane.count == lane.packets.size()) {
      flush_full(port);
    }
  }
  /// Takes an untagged packet that is larger than the port's MTU, and sends it in fragments. To the
  /// counters they are one packet: where one of them is lost, all of it is, once.
  /// REQUIRES: may_be_fragmented() of its frame, MACs written.
  void send_in_fragments(PortIndex port, rte_mbuf* packet) noexcept;
  /// A packet with these bytes, or null where buffers have run out.
  [[nodiscard]] rte_mbuf* copy_of(std::span<const std::uint8_t> frame) noexcept;
  /// Sends a frame of our own making. Out of buffers it is lost, and counted.
  void send_copy(PortIndex port, std::span<const std::uint8_t> frame) noexcept;
  /// Takes the packet and ends it.
  void drop(rte_mbuf* packet, DropReason reason) noexcept;
  void count_drop(DropReason reason) noexcept;
  /// Takes a packet that has served its purpose (ARP and the like).
  static void consume(rte_mbuf* packet) noexcept;
  /// Hands everything to the devices, or to the workers that may; what they do not take is dropped.
  void flush() noexcept;
  /// From now on there is such a port. Cost: no allocation; so of the next two.
  void open(const PortChange& change) noexcept;
  /// From now on there is none, and what is sent to it is dropped.
  void close(PortIndex port) noexcept { lanes_[port].way.by = WayOut::By::nobody; }
  /// Sends the last of what other workers hand over for it.
  void clear(PortIndex port) noexcept;
  /// Sends what other workers handed over for it, and says how many packets that were. What a
  /// device does not take is dropped, and counts as theirs.
  std::size_t carry() noexcept;

  [[nodiscard]] const Losses& losses() const noexcept { return losses_; }
  /// Packets handed to other workers, for them to send; and those of them that no device took.
  [[nodiscard]] std::uint64_t handed() const noexcept { return handed_.get(); }
  [[nodiscard]] std::uint64_t refused() const noexcept;
  [[nodiscard]] const MacAddress& mac(PortIndex port) const noexcept { return lanes_[port].mac; }
  [[nodiscard]] std::uint16_t mtu(PortIndex port) const noexcept { return lanes_[port].mtu; }

 private:
  struct Lane {
    std::uint16_t device = 0;
    WayOut way;
    std::uint16_t mtu = 0;
    std::uint16_t count = 0;
    MacAddress mac{};
    /// Bit i: packets[i + 1] is the next fragment of the same packet, and counts for both.
    std::uint64_t continued = 0;
    std::array<rte_mbuf*, limits::kBurstMax> packets{};
  };
  static_assert(limits::kBurstMax <= 64, "a bit for each packet");
  void flush(Lane& lane) noexcept;
  std::size_t hand_over(const Lane& lane, std::span<rte_mbuf* const> packets) noexcept;
  static std::size_t carry(Carriage& carriage) noexcept;
  void flush_full(PortIndex port) noexcept;

  rte_mempool* pool_;
  std::vector<Lane> lanes_;
  std::vector<PortIndex> waiting_;  // Lanes with packets; capacity taken at start.
  std::vector<Carriage> carriages_;
  std::vector<const Handover*> roads_;  // That it ever used, each once.
  Losses losses_;
  Counter handed_;
};

}  // namespace portcullis::dataplane
