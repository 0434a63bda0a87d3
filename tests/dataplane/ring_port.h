// SPDX-License-Identifier: MIT
// A port made of two memory rings, the test at its far end; and EAL for a test process.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "config/config.h"
#include "dataplane/dpdk/eal.h"
#include "tests/support/packet.h"

struct rte_mbuf;
struct rte_mempool;
struct rte_ring;

namespace portcullis::test {

/// EAL with little memory, lcores for two workers, and a file prefix of this process's own; it
/// starts at most once a process. Dies where it cannot start.
dataplane::Eal& test_eal();
config::Eal test_eal_options();

/// A frame in as many buffers as it takes with so many bytes in each; where `segment_bytes` is not
/// 0 it is a super-packet of such segments, as a device says so. REQUIRES: not empty. Dies without
/// buffers.
rte_mbuf* chain_of(const Bytes& frame,
                   std::size_t buffer_bytes,
                   std::uint16_t segment_bytes,
                   rte_mempool* pool);

/// Buffers that frames put into ring ports may still take: all, when none is on its way.
std::size_t free_buffers();
/// Buffers of the running engine that are in use: none, when no packet of its own is on its way.
std::size_t engine_buffers_in_use();
/// Bytes that DPDK's own memory has given out.
std::size_t dpdk_bytes_in_use();

class RingPort {
 public:
  /// `name` is unused by any other port of the process, and short.
  explicit RingPort(const std::string& name);
  RingPort(const RingPort&) = delete;
  RingPort& operator=(const RingPort&) = delete;
  ~RingPort();

  /// Makes the device again, after whoever had the port has closed it.
  void plug_in();

  /// For config::Port::vdev.
  [[nodiscard]] std::string device() const { return "net_ring_" + name_; }

  /// A frame comes in at the port. False when the ring is full.
  bool put(const Bytes& frame);
  /// A frame comes in as one of many buffers; as a super-packet, where a segment has a length.
  /// False when the ring is full.
  bool put_chain(const Bytes& frame, std::uint16_t segment_bytes);
  /// What went out of the port since, and is still there.
  std::vector<Bytes> take();
  /// The next frame for which `wanted` is true, others thrown away; none within four seconds: none.
  std::optional<Bytes> wait(const std::function<bool(const Bytes&)>& wanted);
  std::optional<Bytes> wait();

 private:
  std::optional<Bytes> take_one();

  const std::string name_;
  rte_ring* in_ = nullptr;
  rte_ring* out_ = nullptr;
};

}  // namespace portcullis::test
