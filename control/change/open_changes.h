// SPDX-License-Identifier: MIT
// OpenChanges: how many changes were received and are not answered yet, and how many there may be.
// Each waits for its turn with all that it came with, so that unbounded they would take memory, and
// the last one would wait for ever.
// Thread: the control thread.
#pragma once

#include <cstddef>
#include <memory>

namespace portcullis::control {

class OpenChanges {
 public:
  /// For one change, from its receipt to its answer; it is free again when the last copy goes.
  using Place = std::shared_ptr<const void>;

  explicit OpenChanges(std::size_t limit) : limit_(limit) {}

  /// Null: all places are taken.
  [[nodiscard]] Place enter() {
    if (used() >= limit_) {
      return nullptr;
    }
    return std::make_shared<std::shared_ptr<int>>(all_);
  }
  [[nodiscard]] std::size_t used() const { return static_cast<std::size_t>(all_.use_count()) - 1; }
  [[nodiscard]] std::size_t limit() const { return limit_; }

 private:
  std::size_t limit_;
  std::shared_ptr<int> all_ = std::make_shared<int>(0);  // Every place has a copy.
};

}  // namespace portcullis::control
