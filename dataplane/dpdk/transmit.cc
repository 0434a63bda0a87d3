// SPDX-License-Identifier: MIT
#include "dataplane/dpdk/transmit.h"

#include <algorithm>
#include <utility>

#include <rte_ethdev.h>
#include <rte_mbuf.h>

#include "base/check.h"
#include "dataplane/dpdk/fragmenter.h"
#include "dataplane/dpdk/plug/port_change.h"
#include "dataplane/dpdk/tsan.h"

namespace portcullis::dataplane {
namespace {

/// Bursts of one road that are sent in one turn: as many packets as a busy worker makes in one.
constexpr unsigned kBurstsInATurn = 8;

/// Ends a packet that a device did not take.
void refuse(Carriage& carriage, rte_mbuf* packet) {
  carriage.torn = tag_of(packet).continued;
  if (!carriage.torn) {
    carriage.road->refused().add();
  }
  Transmit::consume(packet);
}

/// A buffer that a device sends is another's next.
void let_go(std::span<rte_mbuf* const> packets) {
  for (rte_mbuf* const packet : packets) {
    tsan_release(packet);
  }
}

}  // namespace

Transmit::Transmit(std::span<const std::unique_ptr<Port>> ports,
                   const BufferPool& pool,
                   Share share)
    : pool_(pool.get()), carriages_(std::move(share.carriages)) {
  const std::size_t others = share.roads.empty() ? 0 : share.roads.size() - 1;
  lanes_.reserve(share.ports_max);
  waiting_.reserve(share.ports_max);
  roads_.reserve(share.ports_max);
  carriages_.reserve(share.ports_max * others);
  for (std::size_t i = 0; i < ports.size(); ++i) {
    open({.port = static_cast<PortIndex>(i),
          .part = {.way_out = share.ways_out[i]},
          .device = ports[i]->id(),
          .mtu = ports[i]->options().mtu,
          .mac = ports[i]->mac()});
  }
}

void Transmit::open(const PortChange& change) noexcept {
  if (change.port >= lanes_.size()) {
    PORTCULLIS_CHECK(change.port < lanes_.capacity());
    lanes_.resize(change.port + 1U);
  }
  Lane& lane = lanes_[change.port];
  lane.device = change.device;
  lane.way = change.part.way_out;
  lane.mtu = change.mtu;
  lane.mac = change.mac;
  if (lane.way.road != nullptr && std::ranges::find(roads_, lane.way.road) == roads_.end()) {
    roads_.push_back(lane.way.road);
  }
  PORTCULLIS_CHECK(carriages_.size() + change.part.carriages.size() <= carriages_.capacity());
  carriages_.insert(carriages_.end(), change.part.carriages.begin(), change.part.carriages.end());
}

/// No more than a road holds comes, since nobody puts anything on it.
void Transmit::clear(PortIndex port) noexcept {
  for (Carriage& carriage : carriages_) {
    while (carriage.port == port && carry(carriage) > 0) {
    }
  }
  std::erase_if(carriages_, [port](const Carriage& carriage) { return carriage.port == port; });
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

rte_mbuf* Transmit::copy_of(std::span<const std::uint8_t> frame) noexcept {
  rte_mbuf* const packet = rte_pktmbuf_alloc(pool_);
  if (packet == nullptr) {
    return nullptr;
  }
  tsan_acquire(packet);
  char* const room = rte_pktmbuf_append(packet, static_cast<std::uint16_t>(frame.size()));
  if (room == nullptr) {
    consume(packet);
    return nullptr;
  }
  std::copy(frame.begin(), frame.end(), room);
  return packet;
}

void Transmit::send_copy(PortIndex port, std::span<const std::uint8_t> frame) noexcept {
  rte_mbuf* const packet = copy_of(frame);
  if (packet == nullptr) {
    count_drop(DropReason::no_memory);
    return;
  }
  send(port, packet);
}

void Transmit::drop(rte_mbuf* packet, DropReason reason) noexcept {
  count_drop(reason);
  consume(packet);
}

void Transmit::count_drop(DropReason reason) noexcept {
  losses_.count(reason);
}

void Transmit::consume(rte_mbuf* packet) noexcept {
  tsan_release(packet);
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
  const std::span<rte_mbuf*> packets(lane.packets.data(), count);
  DropReason reason = DropReason::tx_full;
  std::size_t sent = 0;
  if (lane.way.by == WayOut::By::queue) [[likely]] {
    let_go(packets);
    sent = rte_eth_tx_burst(lane.device, lane.way.queue, packets.data(), count);
  } else if (lane.way.by == WayOut::By::road) {
    reason = DropReason::handover_full;
    sent = hand_over(lane, packets);
  } else {
    reason = DropReason::no_route;  // The port went after they were judged.
  }
  const std::uint64_t continued = std::exchange(lane.continued, 0);
  for (std::size_t i = sent; i < count; ++i) {
    if ((continued >> i & 1U) != 0) {
      consume(packets[i]);
    } else {
      drop(packets[i], reason);
    }
  }
}

std::size_t Transmit::hand_over(const Lane& lane, std::span<rte_mbuf* const> packets) noexcept {
  for (std::size_t i = 0; i < packets.size(); ++i) {
    set_tag(packets[i], {.continued = (lane.continued >> i & 1U) != 0});
  }
  const std::size_t taken = lane.way.road->put(packets);
  handed_.add(taken);
  return taken;
}

std::size_t Transmit::carry() noexcept {
  std::size_t carried = 0;
  for (Carriage& carriage : carriages_) {
    std::size_t burst = limits::kBurstMax;
    for (unsigned i = 0; i < kBurstsInATurn && burst == limits::kBurstMax; ++i) {
      burst = carry(carriage);
      carried += burst;
    }
  }
  return carried;
}

/// One burst of one road. A device takes the front of it; where a fragment is refused, all later
/// ones of its packet are, so that one is lost whole or not at all, whatever bursts it comes in.
std::size_t Transmit::carry(Carriage& carriage) noexcept {
  std::array<rte_mbuf*, limits::kBurstMax> taken;
  const std::size_t count = carriage.road->take(taken);
  std::span<rte_mbuf*> packets = std::span(taken).first(count);
  while (carriage.torn && !packets.empty()) {
    refuse(carriage, packets.front());
    packets = packets.subspan(1);
  }
  if (packets.empty()) {
    return count;  // Some drivers would call the system all the same.
  }
  let_go(packets);
  const std::uint16_t sent = rte_eth_tx_burst(
      carriage.device, 0, packets.data(), static_cast<std::uint16_t>(packets.size()));
  for (rte_mbuf* const packet : packets.subspan(sent)) {
    refuse(carriage, packet);
  }
  return count;
}

std::uint64_t Transmit::refused() const noexcept {
  std::uint64_t refused = 0;
  for (const Handover* const road : roads_) {
    refused += road->refused().get();
  }
  return refused;
}

}  // namespace portcullis::dataplane
