// SPDX-License-Identifier: MIT
// Two ports made of memory rings, and the far end of both: frames of 64 bytes go in and come out.
// No DPDK type shows through.
//
// A receive queue has 1,024 slots, as our ports have descriptors, and takes no more than it has
// room for. The way out has room for every buffer there is, so nothing is ever lost there.
// Thread: one, an EAL thread on a processor of its own.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "base/result.h"

namespace portcullis::bench {

struct alignas(64) LineFrame {
  std::array<std::uint8_t, 64> bytes{};
};

class Line {
 public:
  static constexpr std::size_t kQueueSlots = 1024;
  static constexpr std::size_t kBurstMax = 64;

  /// `name` is short, and no other line's of this process. Errors: too little of EAL's memory.
  static Result<std::unique_ptr<Line>> make(const std::string& name);
  Line(const Line&) = delete;
  Line& operator=(const Line&) = delete;
  /// REQUIRES: nobody uses the ports any more.
  ~Line();

  /// For config::Port::vdev.
  [[nodiscard]] std::string device(std::size_t side) const;

  /// Packets that wait in the receive queue of this side's port.
  [[nodiscard]] std::size_t waiting(std::size_t side) const;
  /// They come in at this side's port. REQUIRES: the queue has room for them; at most kBurstMax.
  /// False: no buffers now, and none of them came in.
  bool send(std::size_t side, std::span<const LineFrame> frames);
  /// What has come out of this side's port, or the first of it. Returns how many.
  std::size_t take(std::size_t side, std::span<LineFrame, kBurstMax> frames);

  /// DPDK memory that it takes, in MiB.
  static constexpr std::size_t kMemoryMb = 8;

 private:
  struct State;
  explicit Line(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace portcullis::bench
