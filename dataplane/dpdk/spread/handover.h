// SPDX-License-Identifier: MIT
// Handover: a one-way road for packets from one worker to another, of bounded length.
// Thread: one worker puts, one takes. What the one did with a packet happens before the other has
// it; what either did with the road, nobody waits for.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "base/result.h"
#include "dataplane/counters.h"

struct rte_mbuf;
struct rte_ring;

namespace portcullis::dataplane {

/// What travels with a packet, in the field of a buffer that DPDK leaves to applications.
struct Tag {
  std::uint16_t port = 0;  // To be judged: where it came in.
  bool overheard = false;  // Already judged and dealt with: only to be learnt from.
  bool continued = false;  // To be sent: the next one is a fragment of the same packet.
};
void set_tag(rte_mbuf* packet, Tag tag) noexcept;
[[nodiscard]] Tag tag_of(const rte_mbuf* packet) noexcept;

class Handover {
 public:
  /// `name` is unused by any other in this process, and short. Errors: no memory for it.
  static Result<std::unique_ptr<Handover>> make(const std::string& name);
  Handover(const Handover&) = delete;
  Handover& operator=(const Handover&) = delete;
  /// Frees the packets that are still on the road.
  ~Handover();

  /// Takes the front of `packets` and says how many; the rest stays the caller's.
  std::size_t put(std::span<rte_mbuf* const> packets) noexcept;
  /// Fills the front of `packets` with those that have waited longest, and says how many.
  std::size_t take(std::span<rte_mbuf*> packets) noexcept;

  /// Packets to be sent that the device at the far end did not take. Written by who takes; they
  /// count as lost by who put, who has counted them as forwarded.
  [[nodiscard]] Counter& refused() noexcept { return refused_; }
  [[nodiscard]] const Counter& refused() const noexcept { return refused_; }

 private:
  explicit Handover(rte_ring* ring) : ring_(ring) {}
  rte_ring* ring_;
  Counter refused_;
};

}  // namespace portcullis::dataplane
