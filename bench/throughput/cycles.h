// SPDX-License-Identifier: MIT
// The processor's time stamp counter, and how fast it runs.
// Thread: any.
#pragma once

#include <chrono>
#include <cstdint>

#if defined(__x86_64__)
#include <x86intrin.h>
#endif

namespace portcullis::bench {

/// Units: cycles of the counter, which need not be those of the core; nanoseconds where the
/// processor has no such counter.
inline std::uint64_t cycles() {
#if defined(__x86_64__)
  return __rdtsc();
#else
  return static_cast<std::uint64_t>(
      std::chrono::nanoseconds(std::chrono::steady_clock::now().time_since_epoch()).count());
#endif
}

/// Cycles a second, measured once over 20 ms.
inline double cycles_hz() {
  static const double hz = [] {
    using Clock = std::chrono::steady_clock;
    constexpr std::chrono::milliseconds kLong(20);
    const auto begin = Clock::now();
    const std::uint64_t first = cycles();
    while (Clock::now() - begin < kLong) {
    }
    const std::uint64_t last = cycles();
    const std::chrono::duration<double> took = Clock::now() - begin;
    return static_cast<double>(last - first) / took.count();
  }();
  return hz;
}

}  // namespace portcullis::bench
