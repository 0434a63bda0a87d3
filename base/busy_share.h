// SPDX-License-Identifier: MIT
// How much of its time a loop has work to do, while it never stops to ask.
// Thread: one tells, any may read.
#pragma once

#include <atomic>
#include <cstdint>

namespace portcullis {

class BusyShare {
 public:
  /// A turn of the loop begins; `had_work` is of the turn that ends with it. Time is monotonic.
  void turn(std::uint64_t now_ns, bool had_work) noexcept {
    busy_ns_ += had_work ? now_ns - turn_began_ns_ : 0;
    turn_began_ns_ = now_ns;
    const std::uint64_t length = now_ns - window_began_ns_;
    if (length >= kWindowNs) [[unlikely]] {
      share_.store(static_cast<float>(busy_ns_) / static_cast<float>(length),
                   std::memory_order_relaxed);
      busy_ns_ = 0;
      window_began_ns_ = now_ns;
    }
  }

  /// Of the last whole second; 0 in the first one. From 0 to 1.
  [[nodiscard]] float get() const noexcept { return share_.load(std::memory_order_relaxed); }

 private:
  static constexpr std::uint64_t kWindowNs = 1'000'000'000;

  std::uint64_t turn_began_ns_ = 0;
  std::uint64_t window_began_ns_ = 0;
  std::uint64_t busy_ns_ = 0;  // Of this window.
  std::atomic<float> share_ = 0;
};

}  // namespace portcullis
