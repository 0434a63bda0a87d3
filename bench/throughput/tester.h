// SPDX-License-Identifier: MIT
// The tester of RFC 2544: a generator that sends at a given rate into a pair of ring ports, and the
// sink behind them, both on the calling thread; what forwards between the ports is another thread's
// business. No DPDK type shows through.
//
// As at a NIC, a packet that finds the receive queue of its port full (1024 slots, as many as our
// ports have descriptors) is lost. The way back is wider than all packets there are, so that
// nothing is lost there: a packet that went in and does not come out was dropped by the forwarder
// itself.
//
// Before a packet is sent, its first 64 bytes are written into a used buffer, as a NIC would write
// it; the rest of the buffer is zero and stays so. It carries no time stamp: what forwards keeps
// the order in each direction, and so it is known when the n-th packet that comes out went in.
// Thread: one, an EAL thread on a processor of its own.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "bench/throughput/histogram.h"

namespace portcullis::bench {

/// What one side sends, in this order and again and again.
struct Schedule {
  struct alignas(64) Head {
    std::array<std::uint8_t, 64> bytes{};
  };
  std::vector<Head> heads;
  /// Shapes: one for each head, at least 64, at most frame_bytes; empty: all are frame_bytes long.
  std::vector<std::uint16_t> lengths;
};
using Schedules = std::array<Schedule, 2>;

/// What became of a load.
struct Offered {
  std::uint64_t sent = 0;  // Those lost included.
  std::uint64_t lost = 0;
  double seconds = 0;         // In which packets were sent.
  Histogram latency;          // Cycles of the time stamp counter from enqueued to dequeued.
  std::uint64_t untimed = 0;  // Came out while the sink was kept from its processor.

  [[nodiscard]] double rate() const {
    return seconds > 0 ? static_cast<double>(sent) / seconds : 0;
  }
};

class Tester {
 public:
  /// `name` is short, and no other tester's of this process; `schedules` outlive the tester.
  /// Errors: too little of EAL's memory.
  static Result<std::unique_ptr<Tester>> make(const std::string& name,
                                              std::size_t frame_bytes,
                                              const Schedules& schedules);
  Tester(const Tester&) = delete;
  Tester& operator=(const Tester&) = delete;
  /// REQUIRES: nobody uses the ports any more.
  ~Tester();

  /// For config::Port::vdev.
  [[nodiscard]] std::string device(std::size_t side) const;

  /// Sends every packet of the one side, then of the other, no faster than they are forwarded.
  /// Errors: as offer().
  Result<void> pass_all();

  /// Sends so many packets a second, or as many as it can, and waits until all have come out. It
  /// does not catch up on time in which it was kept from its processor: that would be a burst, and
  /// a loss of its own making.
  /// Errors: a packet does not come out, or not in its turn.
  Result<Offered> offer(double rate, double seconds);

  /// DPDK memory that it takes, in MiB.
  static std::size_t memory_mb(std::size_t frame_bytes);

 private:
  struct State;
  explicit Tester(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace portcullis::bench
