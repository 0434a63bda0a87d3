// SPDX-License-Identifier: MIT
#include "bench/throughput/tester.h"

#include <algorithm>
#include <span>
#include <utility>

#include <rte_eth_ring.h>
#include <rte_mbuf.h>
#include <rte_mempool.h>
#include <rte_ring.h>

#include <fmt/format.h>

#include "base/limits.h"
#include "bench/throughput/cycles.h"

namespace portcullis::bench {
namespace {

constexpr unsigned kQueueSlots = 1024;
/// More than both queues hold and a forwarder has in hand; the buffers of two NIC queues.
constexpr unsigned kBuffers = 4096;
constexpr std::size_t kSendMax = 32;  // At once: with one look at the clock.
constexpr std::size_t kTakeMax = 64;
/// Away longer than this is away. A packet that comes out then is not timed.
constexpr double kLapseSeconds = 10e-6;
/// A load takes so many times as long as was asked for, at most, however often we are away.
constexpr std::uint64_t kAwayMost = 4;
/// What may be sent late, at most.
constexpr double kCreditMax = 256;
/// So long may nothing come out while something is inside.
constexpr double kPatienceSeconds = 2;
constexpr std::size_t kPageBytes = 4096;
constexpr std::size_t kBufferOverhead = 192;

std::size_t buffer_bytes(std::size_t frame_bytes) {
  return RTE_ALIGN(RTE_PKTMBUF_HEADROOM + std::max(frame_bytes, sizeof(Schedule::Head)), 64U);
}

/// Packets that went in together.
struct Batch {
  std::uint64_t time = 0;
  rte_mbuf* first = nullptr;
  std::uint32_t count = 0;
};

/// A queue within a fixed array: there are never more elements than buffers.
template <typename Value>
class Fifo {
 public:
  [[nodiscard]] std::size_t size() const { return tail_ - head_; }
  Value& front() { return values_[head_ % kBuffers]; }
  /// The n-th from the front; where there are fewer, one that was there earlier.
  [[nodiscard]] const Value& ahead(std::size_t n) const { return values_[(head_ + n) % kBuffers]; }
  void pop() { ++head_; }
  void push(const Value& value) { values_[tail_++ % kBuffers] = value; }

 private:
  std::size_t head_ = 0;
  std::size_t tail_ = 0;
  std::vector<Value> values_ = std::vector<Value>(kBuffers);
};

/// One direction: into a port's receive queue, out of the other's transmit queue.
struct Way {
  const Schedule* schedule = nullptr;
  rte_ring* in = nullptr;
  rte_ring* out = nullptr;
  std::size_t next = 0;  // In the schedule.
  Fifo<Batch> inside;
};

}  // namespace

struct Tester::State {
  explicit State(std::string name) : name_(std::move(name)) {}
  State(const State&) = delete;
  State& operator=(const State&) = delete;
  ~State();

  Result<void> open(std::size_t frame_bytes, const Schedules& schedules);
  std::size_t send(Way& way, std::size_t count);
  std::size_t take(Way& way, bool timed, Offered& offered);
  Result<void> drain(Offered& offered);
  [[nodiscard]] std::string ring_name(const char* what, std::size_t i) const {
    return fmt::format("{}_{}{}", name_, what, i);
  }
  [[nodiscard]] bool is_empty() const { return free_.size() == kBuffers; }

  const std::string name_;
  rte_mempool* pool_ = nullptr;
  std::array<rte_ring*, 2> in_{};
  std::array<rte_ring*, 2> out_{};
  std::array<Way, 2> ways_;
  Fifo<rte_mbuf*> free_;
  bool ordered_ = true;
};

Tester::State::~State() {
  for (std::size_t side = 0; side < 2; ++side) {
    rte_ring_free(in_[side]);
    rte_ring_free(out_[side]);
  }
  rte_mempool_free(pool_);
}

Result<void> Tester::State::open(std::size_t frame_bytes, const Schedules& schedules) {
  pool_ = rte_pktmbuf_pool_create(ring_name("frames", 0).c_str(),
                                  kBuffers,
                                  0,
                                  0,
                                  static_cast<std::uint16_t>(buffer_bytes(frame_bytes)),
                                  SOCKET_ID_ANY);
  if (pool_ == nullptr) {
    return fail(fmt::format("no memory for {} frames of {} bytes", kBuffers, frame_bytes));
  }
  for (std::size_t side = 0; side < 2; ++side) {
    constexpr unsigned kFlags = RING_F_SP_ENQ | RING_F_SC_DEQ | RING_F_EXACT_SZ;
    in_[side] = rte_ring_create(ring_name("in", side).c_str(), kQueueSlots, SOCKET_ID_ANY, kFlags);
    out_[side] = rte_ring_create(ring_name("out", side).c_str(), kBuffers, SOCKET_ID_ANY, kFlags);
    if (in_[side] == nullptr || out_[side] == nullptr) {
      return fail("no memory for the rings of a port");
    }
    if (rte_eth_from_rings(ring_name("side", side).c_str(), &in_[side], 1, &out_[side], 1, 0) < 0) {
      return fail("cannot make a port of two rings");
    }
  }
  for (std::size_t side = 0; side < 2; ++side) {
    ways_[side].schedule = &schedules[side];
    ways_[side].in = in_[side];
    ways_[side].out = out_[1 - side];
  }
  for (unsigned i = 0; i < kBuffers; ++i) {
    rte_mbuf* const packet = rte_pktmbuf_alloc(pool_);
    char* const bytes = packet == nullptr
                            ? nullptr
                            : rte_pktmbuf_append(packet, static_cast<std::uint16_t>(frame_bytes));
    if (bytes == nullptr) {
      return fail("a buffer does not hold its frame");
    }
    std::fill_n(bytes, frame_bytes, '\0');
    free_.push(packet);
  }
  return {};
}

/// Returns how many found the queue full.
std::size_t Tester::State::send(Way& way, std::size_t count) {
  std::array<void*, kSendMax> packets;  // NOLINT(*-member-init): written up to count.
  const Schedule& schedule = *way.schedule;
  for (std::size_t i = 0; i < count; ++i) {
    rte_mbuf* const packet = free_.front();
    free_.pop();
    // The forwarder's core has the line still; stores would wait for one after the other.
    if (rte_mbuf* const later = free_.ahead(kSendMax); later != nullptr) {
      __builtin_prefetch(static_cast<std::uint8_t*>(later->buf_addr) + RTE_PKTMBUF_HEADROOM, 1);
    }
    *rte_pktmbuf_mtod(packet, Schedule::Head*) = schedule.heads[way.next];
    if (!schedule.lengths.empty()) {
      packet->data_len = schedule.lengths[way.next];
      packet->pkt_len = packet->data_len;
    }
    packets[i] = packet;
    way.next = way.next + 1 == schedule.heads.size() ? 0 : way.next + 1;
  }
  const std::uint64_t now = cycles();
  const unsigned taken =
      rte_ring_sp_enqueue_burst(way.in, packets.data(), static_cast<unsigned>(count), nullptr);
  if (taken > 0) {
    way.inside.push({.time = now, .first = static_cast<rte_mbuf*>(packets[0]), .count = taken});
  }
  for (std::size_t i = taken; i < count; ++i) {
    free_.push(static_cast<rte_mbuf*>(packets[i]));
  }
  return count - taken;
}

/// Takes a burst that has come out. Returns how many.
std::size_t Tester::State::take(Way& way, bool timed, Offered& offered) {
  std::array<void*, kTakeMax> packets;  // NOLINT(*-member-init): written up to count.
  const unsigned count =
      rte_ring_sc_dequeue_burst(way.out, packets.data(), packets.size(), nullptr);
  if (count == 0) {
    return 0;
  }
  const std::uint64_t now = cycles();
  for (unsigned i = 0; i < count;) {
    if (way.inside.size() == 0) {
      ordered_ = false;
      break;
    }
    Batch& batch = way.inside.front();
    if (batch.first != nullptr) {
      ordered_ = ordered_ && batch.first == packets[i];
      batch.first = nullptr;
    }
    const unsigned part = std::min(batch.count, count - i);
    if (timed) {
      offered.latency.add(now - batch.time, part);
    } else {
      offered.untimed += part;
    }
    i += part;
    batch.count -= part;
    if (batch.count == 0) {
      way.inside.pop();
    }
  }
  for (void* const packet : std::span(packets).first(count)) {
    free_.push(static_cast<rte_mbuf*>(packet));
  }
  return count;
}

/// Waits until all packets have come out.
Result<void> Tester::State::drain(Offered& offered) {
  const auto patience = static_cast<std::uint64_t>(kPatienceSeconds * cycles_hz());
  for (std::uint64_t last = cycles(); !is_empty();) {
    if (take(ways_[0], true, offered) + take(ways_[1], true, offered) > 0) {
      last = cycles();
    } else if (cycles() - last > patience) {
      return fail(fmt::format("{} packets went in and did not come out: the forwarder dropped them",
                              kBuffers - free_.size()));
    }
  }
  return ordered_ ? Result<void>{} : fail("packets come out in another order than they went in");
}

Result<std::unique_ptr<Tester>> Tester::make(const std::string& name,
                                             std::size_t frame_bytes,
                                             const Schedules& schedules) {
  auto state = std::make_unique<State>(name);
  PORTCULLIS_TRY_VOID(state->open(frame_bytes, schedules));
  return std::unique_ptr<Tester>(new Tester(std::move(state)));
}

Tester::Tester(std::unique_ptr<State> state) : state_(std::move(state)) {}

Tester::~Tester() = default;

std::string Tester::device(std::size_t side) const {
  return "net_ring_" + state_->ring_name("side", side);
}

Result<void> Tester::pass_all() {
  Offered ignored;
  for (Way& way : state_->ways_) {
    way.next = 0;
    for (std::size_t left = way.schedule->heads.size(); left > 0;) {
      const std::size_t count = std::min(left, kSendMax);
      if (state_->send(way, count) > 0) {
        return fail("an empty queue took no packet");
      }
      PORTCULLIS_TRY_VOID(state_->drain(ignored));
      left -= count;
    }
  }
  return {};
}

Result<Offered> Tester::offer(double rate, double seconds) {
  const double per_cycle = rate / cycles_hz();
  const auto lapse = static_cast<std::uint64_t>(kLapseSeconds * cycles_hz());
  const std::uint64_t begin = cycles();
  const auto length = static_cast<std::uint64_t>(seconds * cycles_hz());
  Offered offered;
  std::uint64_t last = begin;
  std::uint64_t away = 0;
  double credit = 0;
  const auto is_over = [&] {
    return last - begin - away >= length || last - begin >= kAwayMost * length;
  };
  for (std::size_t turn = 0; !is_over(); ++turn) {
    const std::uint64_t now = cycles();
    const bool here = now - last <= lapse;
    if (here) {
      credit = std::min(credit + static_cast<double>(now - last) * per_cycle, kCreditMax);
    } else {
      away += now - last;
    }
    last = now;
    // All that waits, so that none of it is lost on the way back; what waits now while we were away
    // would be timed wrong.
    for (Way& way : state_->ways_) {
      while (state_->take(way, here, offered) == kTakeMax) {
      }
    }
    const auto due = static_cast<std::size_t>(credit);
    const std::size_t count = std::min({due, kSendMax, state_->free_.size()});
    if (count > 0) {
      offered.lost += state_->send(state_->ways_[turn % 2], count);
      offered.sent += count;
      credit -= static_cast<double>(count);
    }
  }
  offered.seconds = static_cast<double>(last - begin - away) / cycles_hz();
  PORTCULLIS_TRY_VOID(state_->drain(offered));
  return offered;
}

std::size_t Tester::memory_mb(std::size_t frame_bytes) {
  // Without huge pages a buffer lies within a page, or begins one.
  const std::size_t each = buffer_bytes(frame_bytes) + kBufferOverhead;
  const std::size_t pages = (each + kPageBytes - 1) / kPageBytes;
  return ((kBuffers * std::max(each, pages * kPageBytes)) >> 20U) + 2;
}

}  // namespace portcullis::bench
