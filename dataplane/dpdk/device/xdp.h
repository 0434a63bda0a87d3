// SPDX-License-Identifier: MIT
// What a port of net_af_xdp has beside its device: buffers of its own, and the sockets that the
// driver forgets.
//
// The driver lays buffers before the kernel and takes none of them back when the device closes, nor
// when it fails to open (DPDK 22.11): in the pool of all, some ports that come and go would leave
// nothing to receive into. So it gets a pool that ends with the port, and nothing of it leaves:
// what comes in is copied into the pool of all, and what goes out into the port's own, before
// anybody else or the driver looks at it. (What the driver copies itself, Debian's 22.11.11
// describes to the kernel in a way that is refused.) Nor does that version ever close its socket,
// since it counts wrongly, so that the interface's queue stays taken; it is closed here, where it
// is still open. Thread: the control thread, but for copies, which are made by who receives or
// sends.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "config/config.h"

struct rte_eth_rxtx_callback;
struct rte_mbuf;
struct rte_mempool;

namespace portcullis::dataplane {

/// Whether the kernel's interface gives all that it receives to the one queue that the device
/// takes: the others' packets would go past Portcullis. Any other device passes.
/// Errors: begin with "ports.NAME"; it has several, or is not there.
Result<void> check_xdp_queues(const config::Port& options);

class XdpSide {
 public:
  /// Null where the port is of another driver. `all`: where packets are copied to.
  /// Errors: begin with "ports.NAME"; eal.memory_mb has no room for its buffers.
  static Result<std::unique_ptr<XdpSide>> make(const config::Port& options, rte_mempool* all);
  XdpSide(const XdpSide&) = delete;
  XdpSide& operator=(const XdpSide&) = delete;
  /// REQUIRES: the device is closed, after prepare_to_close().
  ~XdpSide();

  /// For the device's queues.
  [[nodiscard]] rte_mempool* pool() const { return pool_; }
  /// After the queues were set up: the device's handles are those that make() did not see, and what
  /// it receives or sends is copied from now on. Errors: begin with "ports.NAME".
  Result<void> adopt(const config::Port& options, std::uint16_t device);
  /// REQUIRES: nobody uses the device any more, and it is not closed yet.
  void prepare_to_close();
  /// Packets that came in and found no buffer.
  [[nodiscard]] std::uint64_t missed() const { return missed_.load(std::memory_order_relaxed); }

 private:
  /// A socket of AF_XDP, or the program or map that go with it.
  struct Handle {
    int fd;
    std::string identity;  // Tells it from whatever has the number later.
    bool operator==(const Handle&) const = default;
  };
  XdpSide(rte_mempool* pool, rte_mempool* all);
  static std::vector<Handle> handles();
  static std::vector<Handle> new_since(const std::vector<Handle>& then);
  /// Puts copies in the place of packets that came, of those that find a buffer; says how many.
  std::uint16_t copy_in(std::span<rte_mbuf*> packets) noexcept;
  /// The same of packets that go, up to the first one that finds none; it and the rest stay.
  std::uint16_t copy_out(std::span<rte_mbuf*> packets) noexcept;

  rte_mempool* const pool_;
  rte_mempool* const all_;
  std::vector<Handle> others_;   // That were there before the device was opened, or is closed.
  std::vector<Handle> handles_;  // The device's.
  std::uint16_t device_ = 0;
  const rte_eth_rxtx_callback* receiving_ = nullptr;
  const rte_eth_rxtx_callback* sending_ = nullptr;
  std::atomic<std::uint64_t> missed_{0};
};

}  // namespace portcullis::dataplane
