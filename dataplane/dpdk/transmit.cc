// SPDX-License-Identifier: MIT
#include "dataplane/dpdk/transmit.h"

#include <algorithm>
#include <utility>

#include <rte_ethdev.h>
#include <rte_mbuf.h>

#include "dataplane/dpdk/fragmenter.h"

namespace portcullis::dataplane {

Transmit::Transmit(std::span<const std::unique_ptr<Port>> ports, const BufferPool& pool)
    : pool_(pool.get()), lanes_(ports.size()) {
  waiting_.reserve(ports.size());
  for (std::size_t i = 0; i < ports.size(); ++i) {
    lanes_[i].device = ports[i]->id();
    lanes_[i].mtu = ports[i]->options().mtu;
    lanes_[i].mac = ports[i]->mac();
  }
}

void Transmit::flush_full(PortIndex port) noexcept {
  flush(lanes_[port]);
  std::erase(waiting_, port);
}

void Transmit::send_in_fragments(PortIndex port, rte_mbuf* packet) noexcept {
  const FragmentBurst fragments = fragment_ipv4(packet, mtu(port), pool_);
  if (fragments.count == 0) {
    drop(packet, fragments.reason);
    return;
  }
  consume(packet);
  Lane& lane = lanes_[port];
  static_assert(kFragmentsOfPacketMax <= limits::kBurstMax);
  if (lane.count + fragments.count > lane.packets.size()) {
    flush_full(port);
  }
  // All in one burst, of which a device takes the front: where any is left, the last one is.
  lane.continued |= ((std::uint64_t{1} << (fragments.count - 1)) - 1) << lane.count;
  for (std::size_t i = 0; i < fragments.count; ++i) {
    send(port, fragments.packets[i]);
  }
}

void Transmit::send_copy(PortIndex port, std::span<const std::uint8_t> frame) noexcept {
  rte_mbuf* const packet = rte_pktmbuf_alloc(pool_);
  if (packet == nullptr) {
    count_drop(DropReason::no_memory);
    return;
  }
  char* const room = rte_pktmbuf_append(packet, static_cast<std::uint16_t>(frame.size()));
  if (room == nullptr) {
    drop(packet, DropReason::no_memory);
    return;
  }
  std::copy(frame.begin(), frame.end(), room);
  send(port, packet);
}

void Transmit::drop(rte_mbuf* packet, DropReason reason) noexcept {
  count_drop(reason);
  rte_pktmbuf_free(packet);
}

void Transmit::count_drop(DropReason reason) noexcept {
  losses_.all.add();
  losses_.drops[static_cast<std::size_t>(reason)].add();
}

void Transmit::consume(rte_mbuf* packet) noexcept {
  rte_pktmbuf_free(packet);
}

void Transmit::flush() noexcept {
  for (const PortIndex port : waiting_) {
    flush(lanes_[port]);
  }
  waiting_.clear();
}

void Transmit::flush(Lane& lane) noexcept {
  const std::uint16_t count = std::exchange(lane.count, 0);
  const std::uint64_t continued = std::exchange(lane.continued, 0);
  const std::uint16_t sent = rte_eth_tx_burst(lane.device, 0, lane.packets.data(), count);
  for (std::uint16_t i = sent; i < count; ++i) {
    if ((continued >> i & 1U) != 0) {
      consume(lane.packets[i]);
    } else {
      drop(lane.packets[i], DropReason::tx_full);
    }
  }
}

}  // namespace portcullis::dataplane
