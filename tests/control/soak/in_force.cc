// SPDX-License-Identifier: MIT
#include "tests/control/soak/in_force.h"

#include <utility>

#include "base/check.h"

namespace portcullis::control {

void InForce::name(Content content) {
  const std::lock_guard lock(mutex_);
  const auto [place, is_new] = contents_.emplace(newest_.load(), std::move(content));
  PORTCULLIS_CHECK(is_new);
}

std::optional<InForce::Content> InForce::content(std::uint64_t number) const {
  const std::lock_guard lock(mutex_);
  const auto found = contents_.find(number);
  return found == contents_.end() ? std::nullopt : std::optional(found->second);
}

void InForce::forget_before(std::uint64_t number) {
  const std::lock_guard lock(mutex_);
  contents_.erase(contents_.begin(), contents_.lower_bound(number));
}

}  // namespace portcullis::control
