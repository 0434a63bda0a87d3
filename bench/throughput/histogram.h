// SPDX-License-Identifier: MIT
// Counts of values by size, for percentiles: 32 buckets to each doubling, so that a percentile is
// at most one part in 32 above the truth, and the greatest value is exact.
// Thread: one.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>

namespace portcullis::bench {

class Histogram {
 public:
  void add(std::uint64_t value, std::uint64_t times = 1) noexcept {
    counts_[bucket_of(value)] += times;
    count_ += times;
    max_ = std::max(max_, value);
  }

  [[nodiscard]] std::uint64_t count() const noexcept { return count_; }
  [[nodiscard]] std::uint64_t max() const noexcept { return max_; }

  /// The least value that this share of all values does not exceed; 0 where there is none.
  [[nodiscard]] std::uint64_t percentile(double share) const noexcept {
    const auto wanted = static_cast<std::uint64_t>(std::ceil(share * static_cast<double>(count_)));
    std::uint64_t seen = 0;
    for (std::size_t bucket = 0; bucket < kBuckets; ++bucket) {
      seen += counts_[bucket];
      if (seen >= wanted && seen > 0) {
        return std::min(last_of(bucket), max_);
      }
    }
    return max_;
  }

 private:
  static constexpr unsigned kSubBits = 5;
  static constexpr std::size_t kSubBuckets = std::size_t{1} << kSubBits;
  static constexpr std::size_t kBuckets = (64 - kSubBits + 1) * kSubBuckets;

  /// Values below kSubBuckets have a bucket each; of the others the first six bits count.
  static std::size_t bucket_of(std::uint64_t value) noexcept {
    if (value < kSubBuckets) {
      return value;
    }
    const auto shift = static_cast<unsigned>(std::bit_width(value)) - 1 - kSubBits;
    return (shift + 1) * kSubBuckets + (value >> shift) - kSubBuckets;
  }
  static std::uint64_t last_of(std::size_t bucket) noexcept {
    if (bucket < kSubBuckets) {
      return bucket;
    }
    const std::size_t shift = bucket / kSubBuckets - 1;
    const std::uint64_t first = (kSubBuckets + bucket % kSubBuckets) << shift;
    return first + ((std::uint64_t{1} << shift) - 1);
  }

  std::array<std::uint64_t, kBuckets> counts_{};
  std::uint64_t count_ = 0;
  std::uint64_t max_ = 0;
};

}  // namespace portcullis::bench
