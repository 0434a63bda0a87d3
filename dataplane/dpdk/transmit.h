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
#include "dataplane/pipeline.h"

struct rte_mbuf;

namespace portcullis::dataplane {

/// Packets that the pipeline let pass and that were lost behind it, by reason.
struct alignas(64) Losses {
  Counter all;
  std::array<Counter, kDropReasons> drops;
};

class Transmit {
 public:
  /// ports[i] is the port with index i; send() may name those that belong to the worker.
  Transmit(std::span<const std::unique_ptr<Port>> ports, const BufferPool& pool);

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
  /// Sends a frame of our own making. Out of buffers it is lost, and counted.
  void send_copy(PortIndex port, std::span<const std::uint8_t> frame) noexcept;
  /// Takes the packet and ends it.
  void drop(rte_mbuf* packet, DropReason reason) noexcept;
  void count_drop(DropReason reason) noexcept;
  /// Takes a packet that has served its purpose (ARP and the like).
  static void consume(rte_mbuf* packet) noexcept;
  /// Hands everything to the devices; what they do not take is dropped.
  void flush() noexcept;

  [[nodiscard]] const Losses& losses() const noexcept { return losses_; }
  [[nodiscard]] const MacAddress& mac(PortIndex port) const noexcept { return lanes_[port].mac; }
  [[nodiscard]] std::uint16_t mtu(PortIndex port) const noexcept { return lanes_[port].mtu; }

 private:
  struct Lane {
    std::uint16_t device = 0;
    std::uint16_t mtu = 0;
    std::uint16_t count = 0;
    MacAddress mac{};
    /// Bit i: packets[i + 1] is the next fragment of the same packet, and counts for both.
    std::uint64_t continued = 0;
    std::array<rte_mbuf*, limits::kBurstMax> packets{};
  };
  static_assert(limits::kBurstMax <= 64, "a bit for each packet");
  void flush(Lane& lane) noexcept;
  void flush_full(PortIndex port) noexcept;

  rte_mempool* pool_;
  std::vector<Lane> lanes_;
  std::vector<PortIndex> waiting_;  // Lanes with packets; capacity taken at start.
  Losses losses_;
};

}  // namespace portcullis::dataplane
