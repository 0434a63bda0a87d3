// SPDX-License-Identifier: MIT
// One Ethernet port and the packet buffers of all: create, configure, start, stop.
// Thread: the control thread. Each of a port's queues belongs to one worker.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include "base/result.h"
#include "config/config.h"
#include "dataplane/dpdk/device/xdp.h"
#include "dataplane/dpdk/spread/crews.h"
#include "dataplane/packet/neighbour.h"

struct rte_mempool;

namespace portcullis::dataplane {

/// Packet buffers, each large enough for a whole frame of `frame_bytes_max`.
/// Errors: not enough memory; the message names eal.memory_mb and eal.mbufs.
class BufferPool {
 public:
  static Result<std::unique_ptr<BufferPool>> make(const config::Eal& options,
                                                  std::size_t frame_bytes_max);
  BufferPool(const BufferPool&) = delete;
  BufferPool& operator=(const BufferPool&) = delete;
  ~BufferPool();
  [[nodiscard]] rte_mempool* get() const { return pool_; }
  /// How many there are, whoever has them.
  [[nodiscard]] std::size_t buffers() const;
  /// The largest frame that one of them holds.
  [[nodiscard]] std::size_t frame_bytes_max() const;

 private:
  explicit BufferPool(rte_mempool* pool) : pool_(pool) {}
  rte_mempool* pool_;
};

/// The largest frame of a port of this MTU.
std::size_t frame_bytes_max(std::uint16_t mtu);

/// The name under which EAL knows the device: the part before its arguments, or a PCI address.
std::string device_name(const config::Port& options);

/// Queues of a port: one for each of its crew, or one for whoever serves it for all.
struct Queues {
  std::uint16_t rx = 1;
  std::uint16_t tx = 1;
};

class Port {
 public:
  /// Creates the device (or takes it, if EAL knows it already) and sets it up; it stays stopped, so
  /// no packet comes in yet. The workers of `crew`, not empty, are to serve it.
  /// Errors: begin with "ports.NAME"; among them, that DPDK has as many devices as it can have.
  static Result<std::unique_ptr<Port>> open(const config::Port& options,
                                            const Crew& crew,
                                            const BufferPool& pool);
  Port(const Port&) = delete;
  Port& operator=(const Port&) = delete;
  /// Stops and closes the device; EAL forgets a virtual one, so that its name can be used again.
  ~Port();

  /// Lets packets in. Where the device seemed to be able to spread them over the crew, and proves
  /// not to be, it has one queue to receive from afterwards.
  Result<void> start();
  /// The queues must be at rest.
  void stop();

  [[nodiscard]] std::uint16_t id() const { return id_; }
  /// Settled once start() returned.
  [[nodiscard]] const Queues& queues() const { return queues_; }
  [[nodiscard]] const Crew& crew() const { return crew_; }
  [[nodiscard]] const config::Port& options() const { return options_; }
  [[nodiscard]] const MacAddress& mac() const { return mac_; }
  /// Whether frames may come in with unfinished checksums, as the kernel hands them over.
  [[nodiscard]] bool is_kernels() const { return is_kernels_; }
  /// Packets that came in and found no buffer, which the device does not count.
  [[nodiscard]] std::uint64_t missed() const { return xdp_ == nullptr ? 0 : xdp_->missed(); }

 private:
  static Result<std::unique_ptr<Port>> try_open(const config::Port& options,
                                                const Crew& crew,
                                                const BufferPool& pool);
  Port(config::Port options, Crew crew, std::uint16_t id, const BufferPool& pool);
  Result<void> configure(bool spread);
  Result<void> set_up_queues();
  Result<void> learn_mac();
  Result<void> set_mtu();
  Result<void> start_device();
  void listen();

  const config::Port options_;
  const Crew crew_;
  const std::uint16_t id_;
  const bool is_kernels_;
  const BufferPool& pool_;
  std::unique_ptr<XdpSide> xdp_;
  Queues queues_;
  MacAddress mac_{};
  bool started_ = false;
};

}  // namespace portcullis::dataplane
