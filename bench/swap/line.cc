// SPDX-License-Identifier: MIT
#include "bench/swap/line.h"

#include <utility>
#include <vector>

#include <rte_eth_ring.h>
#include <rte_mbuf.h>
#include <rte_mempool.h>
#include <rte_ring.h>

#include <fmt/format.h>

#include "base/check.h"

namespace portcullis::bench {
namespace {

constexpr unsigned kBuffers = 8191;
constexpr unsigned kCached = 256;  // By each core.
constexpr std::size_t kReady = 4 * Line::kBurstMax;

/// Of a buffer as write_headers() leaves it.
LineFrame* frame_in(void* packet) {
  auto* const begin = static_cast<std::uint8_t*>(packet);
  return reinterpret_cast<LineFrame*>(begin + sizeof(rte_mbuf) + RTE_PKTMBUF_HEADROOM);
}

}  // namespace

struct Line::State {
  explicit State(std::string name) : name_(std::move(name)) {}
  State(const State&) = delete;
  State& operator=(const State&) = delete;
  ~State();

  Result<void> open();
  Result<void> write_headers();
  void make_ready();
  [[nodiscard]] std::string part(const char* what, std::size_t side) const {
    return fmt::format("{}_{}{}", name_, what, side);
  }

  const std::string name_;
  rte_mempool* pool_ = nullptr;
  std::array<rte_ring*, 2> in_{};
  std::array<rte_ring*, 2> out_{};
  // Buffers to be written to next, from head_ to tail_.
  std::array<void*, kReady> ready_{};
  std::size_t head_ = 0;
  std::size_t tail_ = 0;
};

Line::State::~State() {
  for (std::size_t side = 0; side < 2; ++side) {
    rte_ring_free(in_[side]);
    rte_ring_free(out_[side]);
  }
  rte_mempool_free(pool_);
}

Result<void> Line::State::open() {
  pool_ = rte_pktmbuf_pool_create(part("frames", 0).c_str(),
                                  kBuffers,
                                  kCached,
                                  0,
                                  RTE_PKTMBUF_HEADROOM + sizeof(LineFrame),
                                  SOCKET_ID_ANY);
  if (pool_ == nullptr) {
    return fail(fmt::format("no memory for {} frames", kBuffers));
  }
  for (std::size_t side = 0; side < 2; ++side) {
    constexpr unsigned kFlags = RING_F_SP_ENQ | RING_F_SC_DEQ | RING_F_EXACT_SZ;
    in_[side] = rte_ring_create(part("in", side).c_str(), kQueueSlots, SOCKET_ID_ANY, kFlags);
    out_[side] = rte_ring_create(part("out", side).c_str(), kBuffers, SOCKET_ID_ANY, kFlags);
    if (in_[side] == nullptr || out_[side] == nullptr) {
      return fail("no memory for the rings of a port");
    }
    if (rte_eth_from_rings(part("side", side).c_str(), &in_[side], 1, &out_[side], 1, 0) < 0) {
      return fail("cannot make a port of two rings");
    }
  }
  return write_headers();
}

/// Every buffer once, and for ever: what forwards changes nothing about it but its owner. So later
/// only frames are written and read, and no line goes to and fro between the cores but theirs.
Result<void> Line::State::write_headers() {
  std::vector<rte_mbuf*> packets(kBuffers);
  if (rte_pktmbuf_alloc_bulk(pool_, packets.data(), kBuffers) != 0) {
    return fail("no buffers");
  }
  for (rte_mbuf* const packet : packets) {
    packet->data_len = sizeof(LineFrame);
    packet->pkt_len = sizeof(LineFrame);
    PORTCULLIS_CHECK(frame_in(packet) == rte_pktmbuf_mtod(packet, LineFrame*));
    rte_mempool_put(pool_, packet);
  }
  return {};
}

/// Gets buffers some bursts ahead. Their lines are another core's, which used them last: asked for
/// together they come together, and stores need not wait for one after the other.
void Line::State::make_ready() {
  void* packet = nullptr;
  while (tail_ - head_ < kReady && rte_mempool_get(pool_, &packet) == 0) {
    __builtin_prefetch(frame_in(packet), 1);
    ready_[tail_++ % kReady] = packet;
  }
}

Result<std::unique_ptr<Line>> Line::make(const std::string& name) {
  auto state = std::make_unique<State>(name);
  PORTCULLIS_TRY_VOID(state->open());
  return std::unique_ptr<Line>(new Line(std::move(state)));
}

Line::Line(std::unique_ptr<State> state) : state_(std::move(state)) {}

Line::~Line() = default;

std::string Line::device(std::size_t side) const {
  return "net_ring_" + state_->part("side", side);
}

std::size_t Line::waiting(std::size_t side) const {
  return rte_ring_count(state_->in_[side]);
}

bool Line::send(std::size_t side, std::span<const LineFrame> frames) {
  state_->make_ready();
  if (state_->tail_ - state_->head_ < frames.size()) {
    return false;
  }
  std::array<void*, kBurstMax> packets;  // NOLINT(*-member-init): written up to the frames' count.
  for (std::size_t i = 0; i < frames.size(); ++i) {
    packets[i] = state_->ready_[state_->head_++ % kReady];
    *frame_in(packets[i]) = frames[i];
  }
  const auto count = static_cast<unsigned>(frames.size());
  PORTCULLIS_CHECK(rte_ring_sp_enqueue_bulk(state_->in_[side], packets.data(), count, nullptr) ==
                   count);
  return true;
}

std::size_t Line::take(std::size_t side, std::span<LineFrame, kBurstMax> frames) {
  std::array<void*, kBurstMax> packets;  // NOLINT(*-member-init): written up to count.
  const unsigned count =
      rte_ring_sc_dequeue_burst(state_->out_[side], packets.data(), kBurstMax, nullptr);
  for (std::size_t i = 0; i < count; ++i) {
    frames[i] = *frame_in(packets[i]);
  }
  rte_mempool_put_bulk(state_->pool_, packets.data(), count);
  return count;
}

}  // namespace portcullis::bench
