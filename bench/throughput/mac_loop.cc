// SPDX-License-Identifier: MIT
#include "bench/throughput/mac_loop.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdint>
#include <utility>

#include <rte_ethdev.h>
#include <rte_launch.h>
#include <rte_mbuf.h>
#include <rte_pause.h>
#include <rte_prefetch.h>

#include <fmt/format.h>

#include "base/limits.h"
#include "dataplane/dpdk/port.h"
#include "dataplane/packet/headers.h"

namespace portcullis::bench {
namespace {

namespace wire = dataplane::wire;

constexpr unsigned kWorkerLcore = 1;
constexpr std::array<std::uint8_t, wire::kMacBytes> kPeerMac{0x02, 0, 0, 0, 0, 0x03};

}  // namespace

struct MacLoop::State {
  // In this order: ports end before the buffers they were given.
  std::unique_ptr<dataplane::BufferPool> pool;
  std::array<std::unique_ptr<dataplane::Port>, 2> ports;
  bool launched = false;
  alignas(64) std::atomic<bool> stopping{false};

  ~State() {
    stopping.store(true, std::memory_order_relaxed);
    if (launched) {
      rte_eal_wait_lcore(kWorkerLcore);
    }
  }
  State() = default;
  State(const State&) = delete;
  State& operator=(const State&) = delete;

  static int run(void* state);
  void loop() noexcept;
  static bool pass(const dataplane::Port& from, const dataplane::Port& to) noexcept;
};

int MacLoop::State::run(void* state) {
  static_cast<State*>(state)->loop();
  return 0;
}

void MacLoop::State::loop() noexcept {
  while (!stopping.load(std::memory_order_relaxed)) {
    const bool first = pass(*ports[0], *ports[1]);
    const bool second = pass(*ports[1], *ports[0]);
    if (!first && !second) {
      rte_pause();
    }
  }
}

/// Forwards a burst; false where there is none.
bool MacLoop::State::pass(const dataplane::Port& from, const dataplane::Port& to) noexcept {
  std::array<rte_mbuf*, limits::kBurstMax> packets;  // NOLINT(*-member-init): rx writes them.
  const std::uint16_t count = rte_eth_rx_burst(from.id(), 0, packets.data(), packets.size());
  if (count == 0) {
    return false;
  }
  for (std::uint16_t i = 0; i < count; ++i) {
    if (i + 1 < count) {
      rte_prefetch0(rte_pktmbuf_mtod(packets[i + 1U], void*));
    }
    auto* const bytes = rte_pktmbuf_mtod(packets[i], std::uint8_t*);
    std::copy(kPeerMac.begin(), kPeerMac.end(), bytes);
    std::copy(to.mac().begin(), to.mac().end(), bytes + wire::kMacBytes);
  }
  const std::uint16_t sent = rte_eth_tx_burst(to.id(), 0, packets.data(), count);
  rte_pktmbuf_free_bulk(packets.data() + sent, count - sent);
  return true;
}

Result<std::unique_ptr<MacLoop>> MacLoop::start(const config::Config& config) {
  auto state = std::make_unique<State>();
  PORTCULLIS_TRY(state->pool,
                 dataplane::BufferPool::make(config.eal, std::size_t{config.ports[0].mtu}));
  for (std::size_t i = 0; i < state->ports.size(); ++i) {
    PORTCULLIS_TRY(state->ports[i], dataplane::Port::open(config.ports[i], {0}, *state->pool));
    PORTCULLIS_TRY_VOID(state->ports[i]->start());
  }
  if (const int error = rte_eal_remote_launch(State::run, state.get(), kWorkerLcore); error != 0) {
    return fail(fmt::format("the mac loop does not start: {}", rte_strerror(-error)));
  }
  state->launched = true;
  return std::unique_ptr<MacLoop>(new MacLoop(std::move(state)));
}

MacLoop::MacLoop(std::unique_ptr<State> state) : state_(std::move(state)) {}

MacLoop::~MacLoop() = default;

}  // namespace portcullis::bench
