// SPDX-License-Identifier: MIT
#include "dataplane/fragments.h"

#include <map>
#include <random>
#include <set>
#include <vector>

#include <gtest/gtest.h>

namespace portcullis::dataplane {
namespace {

using Next = Fragments::Next;
using Action = Outcome::Action;

constexpr std::uint64_t kSecond = 1'000'000'000;
constexpr Outcome kForward{.action = Action::forward, .reason = DropReason::none};
constexpr Outcome kDeny{.action = Action::drop, .reason = DropReason::policy_denied};

DatagramKey key(std::uint32_t id, Family family = Family::v4) {
  return {.src = {10, 0, 0, 1}, .dst = {10, 0, 0, 2}, .id = id, .protocol = 17, .family = family};
}
Fragment part(std::uint32_t begin, std::uint32_t end, bool more = true) {
  return {.begin = begin, .end = end, .more = more, .well_formed = true};
}

class FragmentsTest : public testing::Test {
 protected:
  /// Sees one fragment, its first one judged as `verdict`.
  Outcome see(std::uint32_t id, const Fragment& fragment, const Outcome& verdict = kForward) {
    const Fragments::Seen seen = fragments_.see(key(id, family_), 0, fragment, 14, now_ns_);
    switch (seen.next) {
      case Next::judge:
        fragments_.decide(seen.datagram, {}, verdict, now_ns_);
        return verdict;
      case Next::follow:
        fragments_.follow(seen.datagram, kForward);
        return kForward;
      case Next::nothing:
        return seen.outcome;
    }
    return {};
  }
  std::uint64_t now_ns_ = kSecond;
  Family family_ = Family::v4;
  Fragments fragments_{7, limits::kFragmentsHeldMax};
};

TEST_F(FragmentsTest, ForgetsACompleteDatagram) {
  EXPECT_EQ(see(1, part(0, 8)).action, Action::forward);
  EXPECT_EQ(see(1, part(16, 24)).action, Action::forward);
  EXPECT_EQ(see(1, part(24, 30, false)).action, Action::forward);
  EXPECT_EQ(fragments_.datagrams(), 1U);
  EXPECT_EQ(see(1, part(8, 16)).action, Action::forward);
  EXPECT_EQ(fragments_.datagrams(), 0U);
  EXPECT_EQ(see(1, part(0, 8), kDeny).action, Action::drop);
  EXPECT_EQ(see(1, part(8, 16, false)).reason, DropReason::policy_denied);
  EXPECT_EQ(fragments_.datagrams(), 0U);
}

TEST_F(FragmentsTest, DropsWhatContradictsTheEnd) {
  for (const Fragment& bad : {part(32, 40),           // Behind the last one.
                              part(16, 32),           // Over it.
                              part(32, 40, false),    // Another last one, behind,
                              part(8, 16, false)}) {  // and ahead.
    fragments_.begin();
    now_ns_ += 60 * kSecond;
    EXPECT_EQ(see(1, part(0, 8)).action, Action::forward);
    EXPECT_EQ(see(1, part(24, 32, false)).action, Action::forward);
    EXPECT_EQ(see(1, bad).reason, DropReason::fragment_overlap);
    EXPECT_EQ(see(1, part(8, 16)).reason, DropReason::fragment_overlap);
  }
  now_ns_ += 60 * kSecond;
  EXPECT_EQ(see(1, part(0, 8)).action, Action::forward);
  EXPECT_EQ(see(1, part(24, 32)).action, Action::forward);
  EXPECT_EQ(see(1, part(8, 16, false)).reason, DropReason::fragment_overlap);
}

TEST_F(FragmentsTest, BoundsTheGapsOfADatagram) {
  EXPECT_EQ(see(1, part(0, 8)).action, Action::forward);
  for (std::uint32_t i = 1; i < limits::kDatagramStretchesMax; ++i) {
    EXPECT_EQ(see(1, part(16 * i, 16 * i + 8)).action, Action::forward);
  }
  EXPECT_EQ(see(1, part(8, 16)).action, Action::forward) << "closes a gap";
  EXPECT_EQ(see(1, part(10'000, 10'008)).action, Action::forward);
  EXPECT_EQ(see(1, part(20'000, 20'008)).reason, DropReason::fragments_full);
  EXPECT_EQ(see(1, part(24, 32)).reason, DropReason::fragments_full);
}

TEST_F(FragmentsTest, BoundsTheDatagrams) {
  for (std::uint32_t id = 0; id < 3 * limits::kDatagramsMax; ++id) {
    EXPECT_EQ(see(id, part(0, 8)).action, Action::forward);
    EXPECT_LE(fragments_.datagrams(), limits::kDatagramsMax);
  }
  // The longest queue gives: strays do not push out each other alone.
  fragments_.begin();
  EXPECT_EQ(see(90'000, part(8, 16)).action, Action::hold);
  EXPECT_EQ(see(90'001, part(8, 16)).action, Action::hold);
  EXPECT_EQ(see(90'000, part(0, 8)).action, Action::forward);
  EXPECT_EQ(fragments_.released().size(), 1U);
  EXPECT_EQ(see(3 * limits::kDatagramsMax - 1, part(8, 16)).action, Action::forward);
}

TEST_F(FragmentsTest, EndsInTimeWhatNobodyCompletes) {
  see(1, part(0, 8));
  see(2, part(8, 16));
  family_ = Family::v6;
  see(3, part(0, 8));
  EXPECT_EQ(fragments_.datagrams(), 3U);
  fragments_.begin();
  fragments_.expire(now_ns_ + kFragmentWaitNs);
  ASSERT_EQ(fragments_.released().size(), 1U);
  EXPECT_EQ(fragments_.released()[0].outcome.reason, DropReason::first_fragment_missing);
  EXPECT_EQ(fragments_.released()[0].outcome.l3_offset, 14U);
  EXPECT_EQ(fragments_.datagrams(), 2U);
  fragments_.expire(now_ns_ + kDatagramLifeNs4);
  EXPECT_EQ(fragments_.datagrams(), 1U);
  fragments_.expire(now_ns_ + kDatagramLifeNs6);
  EXPECT_EQ(fragments_.datagrams(), 0U);
}

/// Any fragments at all, with little room: each has one fate, and passes only where a first one of
/// its datagram has passed that nothing seen since overlaps.
TEST_F(FragmentsTest, AgreesWithASimpleModelWhateverComes) {
  const std::uint32_t seed = std::random_device{}();
  SCOPED_TRACE(seed);
  std::mt19937 random(seed);
  const auto below = [&random](std::uint32_t n) {
    return static_cast<std::uint32_t>(random() % n);
  };
  Fragments small(seed, 5);
  struct Model {
    bool allowed = false;           // A first one passed,
    std::set<std::uint32_t> units;  // and these eights of bytes since it did.
  };
  std::map<std::uint32_t, Model> models;
  std::map<HeldSlot, std::pair<std::uint32_t, Fragment>> held;
  std::size_t forwarded = 0;
  const auto passes = [&](std::uint32_t id, const Fragment& fragment) {
    Model& model = models[id];
    if (fragment.is_first()) {
      model = {.allowed = true, .units = {}};
    }
    EXPECT_TRUE(model.allowed);
    EXPECT_NE(id % 3, 0U) << "denied";
    for (std::uint32_t unit = fragment.begin / 8; unit < (fragment.end + 7) / 8; ++unit) {
      EXPECT_TRUE(model.units.insert(unit).second) << "passed twice";
    }
    ++forwarded;
  };
  for (int i = 0; i < 100'000; ++i) {
    const std::uint32_t id = below(20);
    const std::uint32_t begin = 8 * below(6);
    const bool more = below(4) != 0;
    const Fragment fragment = part(begin, begin + 8 * (1 + below(2)) - (more ? 0 : below(8)), more);
    small.begin();
    const Fragments::Seen seen = small.see(key(id), 0, fragment, 14, now_ns_);
    if (seen.next == Next::judge) {
      const Outcome outcome = id % 3 == 0 ? kDeny : kForward;
      if (outcome.action == Action::forward) {
        passes(id, fragment);
      }
      small.decide(seen.datagram, {}, outcome, now_ns_);
    } else if (seen.next == Next::follow) {
      passes(id, fragment);
      small.follow(seen.datagram, kForward);
    } else if (seen.outcome.action == Action::hold) {
      ASSERT_TRUE(held.emplace(seen.outcome.held_slot, std::pair(id, fragment)).second);
    } else {
      ASSERT_EQ(seen.outcome.action, Action::drop);
    }
    small.expire(now_ns_);
    for (const Released& one : small.released()) {
      const auto waited = held.find(one.slot);
      ASSERT_NE(waited, held.end());
      if (one.outcome.action == Action::forward) {
        passes(waited->second.first, waited->second.second);
      }
      held.erase(waited);
    }
    ASSERT_EQ(held.size(), small.held());
    ASSERT_LE(held.size(), 5U);
    now_ns_ += below(50) == 0 ? 40 * kSecond : kSecond / 50;
  }
  EXPECT_GT(forwarded, 1000U);
}

}  // namespace
}  // namespace portcullis::dataplane
