// SPDX-License-Identifier: MIT
// One Ethernet port and the packet buffers of all: create, configure, start, stop.
// Thread: the control thread. A port's one rx and one tx queue belong to one worker.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include "base/result.h"
#include "config/config.h"
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

 private:
  explicit BufferPool(rte_mempool* pool) : pool_(pool) {}
  rte_mempool* pool_;
};

class Port {
 public:
  /// Creates the device (or takes it, if EAL knows it already) and sets it up; it stays stopped, so
  /// no packet comes in yet.
  /// Errors: begin with "ports.NAME".
  static Result<std::unique_ptr<Port>> open(const config::Port& options, const BufferPool& pool);
  Port(const Port&) = delete;
  Port& operator=(const Port&) = delete;
  /// Stops and closes the device.
  ~Port();

  Result<void> start();
  /// The queues must be at rest.
  void stop();

  [[nodiscard]] std::uint16_t id() const { return id_; }
  [[nodiscard]] const config::Port& options() const { return options_; }
  [[nodiscard]] const MacAddress& mac() const { return mac_; }

 private:
  Port(config::Port options, std::uint16_t id) : options_(std::move(options)), id_(id) {}
  Result<void> configure(const BufferPool& pool);
  Result<void> set_mtu();
  void listen();

  const config::Port options_;
  const std::uint16_t id_;
  MacAddress mac_{};
  bool started_ = false;
};

}  // namespace portcullis::dataplane
