// SPDX-License-Identifier: MIT
// RuleIndex: which rules name a set as subjects or as peers.
// Thread: one.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "classifier/rule.h"

namespace portcullis::classifier {

/// One of the four parts that an address can play.
struct RoleName {
  Direction direction = Direction::egress;
  bool is_peer = false;

  /// In the order of ClassRoles.
  [[nodiscard]] std::size_t number() const {
    return static_cast<std::size_t>(direction) * 2 + (is_peer ? 1 : 0);
  }
};
inline constexpr std::array<RoleName, 4> kRoles{RoleName{Direction::egress, false},
                                                RoleName{Direction::egress, true},
                                                RoleName{Direction::ingress, false},
                                                RoleName{Direction::ingress, true}};

class RuleIndex {
 public:
  explicit RuleIndex(const RuleSet& rules);

  void add(std::uint32_t number, const Rule& rule);
  void remove(std::uint32_t number, const Rule& rule);

  [[nodiscard]] std::span<const std::uint32_t> rules_of(RoleName role, SetIndex set) const;
  /// True when the set tells addresses of that role apart.
  [[nodiscard]] bool tells_apart(RoleName role, SetIndex set) const;
  /// Rules whose subjects are everything.
  [[nodiscard]] std::span<const std::uint32_t> of_everything(Direction direction) const;

 private:
  const RuleSet& rules_;
  std::array<std::vector<std::vector<std::uint32_t>>, 4> by_set_;  // By role and set.
  std::array<std::vector<std::uint32_t>, 2> of_everything_;        // By Direction.
};

}  // namespace portcullis::classifier
