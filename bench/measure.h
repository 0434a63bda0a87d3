// SPDX-License-Identifier: MIT
// How time and memory are measured: processor time of this thread, medians, peaks of a child.
#pragma once

#include <cstddef>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "bench/baselines/contestant.h"

namespace portcullis::bench {

inline constexpr int kRepetitions = 5;

/// Processor time of this thread since it was made: a neighbour on the core does not count.
class Stopwatch {
 public:
  Stopwatch();
  [[nodiscard]] double seconds() const;
  [[nodiscard]] double milliseconds() const { return seconds() * 1e3; }

 private:
  double start_;
};

double median(std::vector<double> values);

/// Million keys a second of each contestant over its loaded trace of `keys` keys: the median of
/// five repetitions of `seconds` each. They take turns, so that what else the machine does in
/// one moment hits all of them.
std::vector<double> rates_mlps(std::span<Contestant* const> contestants,
                               std::size_t keys,
                               double seconds);

/// Median processor time of five runs of `work`, in milliseconds.
double median_ms(const std::function<void()>& work);

/// By how many bytes the resident memory of a child of this process grows at most while it does
/// `work`. Nothing where the system does not tell.
std::optional<std::size_t> peak_bytes(const std::function<void()>& work);

/// Bytes of this process's own that are in memory: heap, tables and stacks, not code. Exact, and
/// slow. Nothing where the system does not tell.
std::optional<std::size_t> anonymous_bytes();

/// Bytes that the system could give without swapping.
std::size_t available_bytes();

/// Bytes of huge pages that DPDK could take: free, and mounted.
std::size_t free_hugepage_bytes();

/// Stays on the last core that this process may use. Returns it, or -1.
int pin_to_core();

/// Processor model and load average, in one line.
std::string machine();

}  // namespace portcullis::bench
