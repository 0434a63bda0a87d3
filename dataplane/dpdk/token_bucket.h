// SPDX-License-Identifier: MIT
// TokenBucket: lets so many things happen a second, and a few at once.
// Thread: one; time is an argument.
#pragma once

#include <algorithm>
#include <cstdint>

namespace portcullis::dataplane {

class TokenBucket {
 public:
  TokenBucket(std::uint64_t a_second, std::uint64_t burst)
      : interval_ns_(1'000'000'000 / a_second), span_ns_(interval_ns_ * burst) {}

  /// True when it may happen now; it counts as happened then.
  bool take(std::uint64_t now_ns) noexcept {
    // spent_until_ns_ - now is the debt; each taking adds an interval to it.
    const std::uint64_t from = std::max(spent_until_ns_, now_ns);
    if (from - now_ns + interval_ns_ > span_ns_) {
      return false;
    }
    spent_until_ns_ = from + interval_ns_;
    return true;
  }

 private:
  std::uint64_t interval_ns_;
  std::uint64_t span_ns_;
  std::uint64_t spent_until_ns_ = 0;
};

}  // namespace portcullis::dataplane
