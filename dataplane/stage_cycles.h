// SPDX-License-Identifier: MIT
// How many cycles each stage of the pipeline takes, where the build option stage_cycles asks for
// it. Else nothing is read, counted or stored.
// Thread: as Counter.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#if defined(PORTCULLIS_STAGE_CYCLES)
#include <x86intrin.h>
#endif

namespace portcullis::dataplane {

/// In the order in which a burst goes through them.
enum class Stage : std::uint8_t { parse, conntrack, classify, settle, count };
inline constexpr std::array kStageNames{"parse", "conntrack", "classify", "settle", "count"};

#if defined(PORTCULLIS_STAGE_CYCLES)
inline constexpr std::size_t kStages = kStageNames.size();
inline std::uint64_t stage_clock() noexcept {
  return __rdtsc();
}
#else
inline constexpr std::size_t kStages = 0;
constexpr std::uint64_t stage_clock() noexcept {
  return 0;
}
#endif

/// Charges the time since it was made, or since the last end(), to a stage.
/// Shapes: totals[kStages], cycles of the time stamp counter.
template <typename Counter>
class StageTimer {
 public:
  explicit StageTimer(std::array<Counter, kStages>& totals) noexcept : totals_(totals) {}

  void end(Stage stage) noexcept {
    if constexpr (kStages > 0) {
      const std::uint64_t now = stage_clock();
      totals_[static_cast<std::size_t>(stage)].add(now - last_);
      last_ = now;
    }
  }

 private:
  std::array<Counter, kStages>& totals_;
  std::uint64_t last_ = stage_clock();
};

}  // namespace portcullis::dataplane
