// SPDX-License-Identifier: MIT
#include "dataplane/dpdk/spread/handover.h"

// Loads and stores that say what they order, instead of bare fences: TSan follows those.
#define RTE_USE_C11_MEM_MODEL
#include <rte_errno.h>
#include <rte_lcore.h>
#include <rte_mbuf.h>
#include <rte_ring.h>

#include <fmt/format.h>

#include "base/limits.h"

namespace portcullis::dataplane {
namespace {

constexpr std::uint32_t kOverheard = 1U << 16U;
constexpr std::uint32_t kContinued = 1U << 17U;

}  // namespace

void set_tag(rte_mbuf* packet, Tag tag) noexcept {
  packet->hash.usr =
      tag.port | (tag.overheard ? kOverheard : 0U) | (tag.continued ? kContinued : 0U);
}

Tag tag_of(const rte_mbuf* packet) noexcept {
  const std::uint32_t word = packet->hash.usr;
  return {.port = static_cast<std::uint16_t>(word),
          .overheard = (word & kOverheard) != 0,
          .continued = (word & kContinued) != 0};
}

Result<std::unique_ptr<Handover>> Handover::make(const std::string& name) {
  rte_ring* const ring = rte_ring_create(
      name.c_str(), limits::kHandoverSlots, SOCKET_ID_ANY, RING_F_SP_ENQ | RING_F_SC_DEQ);
  if (ring == nullptr) {
    return fail(
        fmt::format("cannot take memory for the rings between workers ({}); raise eal.memory_mb, "
                    "or name fewer processors in eal.worker_cpus",
                    rte_strerror(rte_errno)));
  }
  return std::unique_ptr<Handover>(new Handover(ring));
}

Handover::~Handover() {
  rte_mbuf* packet = nullptr;
  while (take(std::span(&packet, 1)) == 1) {
    rte_pktmbuf_free(packet);
  }
  rte_ring_free(ring_);
}

std::size_t Handover::put(std::span<rte_mbuf* const> packets) noexcept {
  return rte_ring_sp_enqueue_burst(ring_,
                                   reinterpret_cast<void* const*>(packets.data()),
                                   static_cast<unsigned>(packets.size()),
                                   nullptr);
}

std::size_t Handover::take(std::span<rte_mbuf*> packets) noexcept {
  return rte_ring_sc_dequeue_burst(ring_,
                                   reinterpret_cast<void**>(packets.data()),
                                   static_cast<unsigned>(packets.size()),
                                   nullptr);
}

}  // namespace portcullis::dataplane
