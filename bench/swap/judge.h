// SPDX-License-Identifier: MIT
// Holds what became of each packet against the tables that may have judged it. Generations are
// numbered from 1: odd ones enforce edition a, even ones edition b.
// Thread: one.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>

#include "bench/swap/editions.h"

namespace portcullis::bench {

constexpr Edition edition_of(std::uint64_t generation) {
  return generation % 2 == 1 ? Edition::a : Edition::b;
}

/// What a packet may have met: from the generation that was in force when it was sent to the one
/// that was when it was seen what became of it.
struct Met {
  std::uint64_t oldest = 0;
  std::uint64_t newest = 0;
};

/// Packets of one kind.
struct Judged {
  std::uint64_t passed = 0;
  std::uint64_t denied = 0;
  std::uint64_t at_swaps = 0;  // Of these: more than one generation may have judged them.
  std::uint64_t lost = 0;      // Denied, though each edition allows them.
  std::uint64_t mixed = 0;     // Else: as no generation would have judged them by itself.
};
using Account = std::array<Judged, kFlowKinds>;

/// All kinds together.
Judged sum(const Account& account);

/// Of packets that go one way, which one worker judges in their order: once a generation has judged
/// one of them, no earlier generation judges those behind it.
class Judge {
 public:
  void add(FlowKind kind, bool passed, const Met& met, Account& account) {
    Judged& judged = account[static_cast<std::size_t>(kind)];
    (passed ? judged.passed : judged.denied) += 1;
    judged.at_swaps += met.oldest == met.newest ? 0 : 1;
    const std::uint64_t first = std::max(reached_, met.oldest);
    // Editions take turns: if neither of two explains it, none does.
    for (std::uint64_t one = first; one <= std::min(first + 1, met.newest); ++one) {
      if (allows(edition_of(one), kind) == passed) {
        reached_ = one;
        return;
      }
    }
    const bool is_lost = !passed && allows(Edition::a, kind) && allows(Edition::b, kind);
    (is_lost ? judged.lost : judged.mixed) += 1;
  }

 private:
  std::uint64_t reached_ = 0;  // No earlier generation judges any more.
};

}  // namespace portcullis::bench
