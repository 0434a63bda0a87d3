// SPDX-License-Identifier: MIT
// Full load on a line, every packet of which is accounted for: both receive queues are filled again
// and again, and what comes out is held against what was sent.
//
// Packets carry numbers, and what forwards keeps them in order in each direction: what has not come
// out when a later packet has was dropped. Sending, taking and publishing follow each other on one
// thread, so it is known which generations a packet may have met.
// Thread: one, that of the line.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/result.h"
#include "bench/swap/judge.h"
#include "bench/swap/line.h"
#include "bench/swap/packets.h"

namespace portcullis::bench {

class Load {
 public:
  /// What was done so far.
  struct Progress {
    std::uint64_t sent = 0;
    std::uint64_t taken = 0;  // Came out.
    /// In which both queues may have been empty for a while, so that there was nothing to forward.
    std::uint64_t idle_cycles = 0;
  };

  /// Generation 1 is in force. Line and traffic outlive it.
  Load(Line& line, const SwapTraffic& traffic);

  /// Establishes flows. Errors: as run(); a packet of theirs was lost.
  Result<void> open();
  /// Sends for so long, as much as is forwarded.
  /// Errors: nothing comes out any more, or what was not sent.
  Result<void> run(double seconds);
  /// Waits until it is known what became of every packet. Errors: as run().
  Result<void> drain();

  /// Calls `publication`, on whose return the next generation is in force and no other.
  template <typename Publication>
  void swap(Publication&& publication) {
    publication();
    ++generation_;
  }
  [[nodiscard]] std::uint64_t generation() const { return generation_; }

  [[nodiscard]] const Progress& progress() const { return progress_; }
  [[nodiscard]] const Account& account() const { return account_; }

 private:
  /// Packets that may be between being sent and being accounted for; more than are ever inside.
  static constexpr std::size_t kInside = 8192;
  struct Sent {
    const LineFrame* frame = nullptr;
    FlowKind kind = FlowKind::steady;
    std::uint64_t generation = 0;  // In force then.
  };
  /// In at one side's port and out at the other's.
  struct Way {
    std::size_t side = 0;
    std::size_t next = 0;  // In the load.
    std::uint64_t sent = 0;
    std::uint64_t settled = 0;                              // It is known what became of them.
    std::vector<Sent> inside = std::vector<Sent>(kInside);  // By number.
    Judge judge;
  };

  std::size_t send(Way& way, const Packets& packets, std::size_t from);
  Result<void> send_all(const PacketsOfSides& packets);
  void note_idleness();
  void fill(Way& way);
  Result<void> take(Way& way);
  Result<void> take_all();
  void settle(Way& way, bool passed);
  [[nodiscard]] bool is_settled() const;

  Line& line_;
  const SwapTraffic& traffic_;
  std::uint64_t generation_ = 1;
  std::array<Way, 2> ways_;
  std::array<LineFrame, Line::kBurstMax> burst_;
  // In cycles: when something came out last, and when the queues were looked at ahead of a fill.
  std::uint64_t last_taken_ = 0;
  std::uint64_t last_look_ = 0;
  Progress progress_;
  Account account_{};
};

}  // namespace portcullis::bench
