// SPDX-License-Identifier: MIT
// Datagrams in fragments through the whole pipeline: none passes unjudged, none is lost.
#include <algorithm>
#include <map>
#include <optional>
#include <random>

#include <gtest/gtest.h>

#include "base/limits.h"
#include "classifier/compile.h"
#include "classifier/key.h"
#include "dataplane/counters.h"
#include "dataplane/fragments.h"
#include "dataplane/packet/headers.h"
#include "dataplane/pipeline.h"
#include "tests/support/packet.h"

namespace portcullis::dataplane {
namespace {

using test::Bytes;
using test::Ends;
using Action = Outcome::Action;

constexpr std::uint64_t kMillisecond = 1'000'000;
constexpr std::uint64_t kSecond = 1'000 * kMillisecond;
constexpr Ends kDns4{"10.0.0.1", "10.0.0.2", 40000, 53};
constexpr Ends kDns6{"2001:db8::1", "2001:db8::2", 40000, 53};
constexpr Ends kDenied4{"10.0.0.1", "10.0.0.2", 40000, 54};
constexpr Ends kDenied6{"2001:db8::1", "2001:db8::2", 40000, 54};

/// The first endpoint reaches the second on UDP 53, TCP 53 and by ICMP; nobody reaches the first.
Generation generation(bool open, std::uint64_t epoch) {
  using namespace classifier;
  const auto ip = [](std::string_view text) { return parse_ip(text).value(); };
  RuleSet rules{.default_mode = DefaultMode::kubernetes};
  rules.endpoints = {{.addresses = {ip("10.0.0.1"), ip("2001:db8::1")}},
                     {.addresses = {ip("10.0.0.2"), ip("2001:db8::2")}}};
  rules.sets = {{.endpoints = {0}}, {.endpoints = {1}}, {.everything = true}};
  rules.port_sets = {{.ranges = {PortRange{kProtocolIcmp, 0, 0},
                                 PortRange{kProtocolTcp, 53, 53},
                                 PortRange{kProtocolUdp, 53, 53},
                                 PortRange{kProtocolIcmpv6, 0, 0}}},
                     {.everything = true}};
  using classifier::Action;
  rules.rules = {
      {.action = open ? Action::allow : Action::deny, .subjects = 1, .peers = 0, .ports = 0},
      {.action = Action::deny, .subjects = 1, .peers = 2, .ports = 1},
      {.action = Action::deny, .subjects = 0, .peers = 2, .ports = 1}};
  return {.epoch = epoch, .table = compile(rules).value(), .rule_ids = kBuiltinRules + 3};
}

/// Sends numbered frames and keeps what became of each: nothing while it is held.
class PipelineFragments : public testing::Test {
 protected:
  void start(const PipelineOptions& options) { pipeline_.emplace(options); }

  /// Returns the number of the first frame; the others follow.
  std::size_t send(const std::vector<Bytes>& frames, PortIndex port = 0) {
    const std::size_t base = fates_.size();
    std::vector<Bytes> copies = frames;
    std::vector<Frame> burst;
    for (Bytes& bytes : copies) {
      burst.push_back({bytes.data(), static_cast<std::uint32_t>(bytes.size()), port});
    }
    std::vector<Outcome> outcomes(burst.size());
    pipeline_->process(*generation_, now_ns_, burst, outcomes, {hits_, {}});
    for (std::size_t i = 0; i < outcomes.size(); ++i) {
      fates_.emplace_back();
      if (outcomes[i].action != Action::hold) {
        fates_.back() = outcomes[i];
        continue;
      }
      EXPECT_LT(outcomes[i].held_slot, kHeldSlots);
      EXPECT_TRUE(held_.emplace(outcomes[i].held_slot, base + i).second) << "a slot used twice";
    }
    collect();
    return base;
  }
  void expire() {
    pipeline_->expire(now_ns_);
    collect();
  }
  void release_all() {
    pipeline_->release_all();
    collect();
  }
  void publish(bool open) { generation_ = generation(open, ++epoch_); }

  void expect_forwarded(std::size_t frame, bool is_reply = false) {
    ASSERT_TRUE(fates_.at(frame).has_value()) << frame;
    EXPECT_EQ(fates_[frame]->action, Action::forward) << to_string(fates_[frame]->reason);
    EXPECT_EQ(fates_[frame]->is_reply, is_reply);
  }
  void expect_dropped(std::size_t frame, DropReason reason) {
    ASSERT_TRUE(fates_.at(frame).has_value()) << frame;
    EXPECT_EQ(fates_[frame]->action, Action::drop);
    EXPECT_EQ(to_string(fates_[frame]->reason), to_string(reason));
  }
  bool is_held(std::size_t frame) { return !fates_.at(frame).has_value(); }

  /// Every frame is counted once, and those that wait apart.
  void expect_counted() {
    const Counters& c = pipeline_->counters();
    EXPECT_EQ(c.packets.get(), c.forwarded.get() + c.dropped.get() + c.link.get() + c.held.get());
    EXPECT_EQ(c.held.get(), held_.size());
    std::uint64_t drops = 0;
    for (const Counter& reason : c.drops) {
      drops += reason.get();
    }
    EXPECT_EQ(drops, c.dropped.get());
  }
  std::uint64_t drops(DropReason reason) {
    return pipeline_->counters().drops[static_cast<std::size_t>(reason)].get();
  }

  std::uint64_t epoch_ = 1;
  std::optional<Generation> generation_ = generation(true, 1);
  std::vector<std::uint64_t> hits_ = std::vector<std::uint64_t>(classifier::kBuiltinRules + 3);
  std::optional<Pipeline> pipeline_{std::in_place, PipelineOptions{.ports = 2}};
  std::uint64_t now_ns_ = 5 * kSecond;
  std::vector<std::optional<Outcome>> fates_;

 private:
  void collect() {
    for (const Released& one : pipeline_->released()) {
      const auto held = held_.find(one.slot);
      ASSERT_NE(held, held_.end()) << "released without being held";
      ASSERT_TRUE(one.outcome.action == Action::forward || one.outcome.action == Action::drop);
      fates_.at(held->second) = one.outcome;
      held_.erase(held);
    }
    expect_counted();
  }

  std::map<HeldSlot, std::size_t> held_;
};

std::vector<Bytes> datagram(const Ends& ends, std::uint32_t id) {
  return test::cut(test::udp_frame(ends, Bytes(100, 7)), 40, id);
}

TEST_F(PipelineFragments, FollowTheFirstOneInOrder) {
  for (const Ends& ends : {kDns4, kDns6}) {
    const std::size_t sent = send(datagram(ends, 1));
    for (std::size_t i = 0; i < 3; ++i) {
      expect_forwarded(sent + i);
      EXPECT_EQ(fates_[sent + i]->judged, i == 0);
    }
    const std::size_t reply = send(datagram(turned(ends), 1));
    for (std::size_t i = 0; i < 3; ++i) {
      expect_forwarded(reply + i, true);
    }
  }
  EXPECT_EQ(pipeline_->counters().flows.get(), 2U);
  EXPECT_EQ(pipeline_->counters().replies.get(), 6U);
  EXPECT_EQ(pipeline_->counters().held_ever.get(), 0U);
}

TEST_F(PipelineFragments, WaitForTheFirstOneAndLeaveBehindIt) {
  for (const Ends& ends : {kDns4, kDns6}) {
    const auto parts = datagram(ends, 2);
    const std::size_t sent = send({parts[2]});
    EXPECT_TRUE(is_held(sent));
    now_ns_ += kMillisecond;
    send({parts[1]});
    EXPECT_TRUE(is_held(sent + 1));
    send({parts[0]});
    for (std::size_t i = 0; i < 3; ++i) {
      expect_forwarded(sent + i);
    }
    // All in one burst: held and released in the same call.
    const std::size_t reversed = send({parts[2], parts[1], parts[0]});
    for (std::size_t i = 0; i < 3; ++i) {
      expect_forwarded(reversed + i);
    }
  }
  EXPECT_EQ(pipeline_->counters().held_ever.get(), 8U);
}

TEST_F(PipelineFragments, ShareTheDenialOfTheFirstOne) {
  for (const Ends& ends : {kDenied4, kDenied6}) {
    const auto parts = datagram(ends, 3);
    const std::size_t sent = send({parts[1], parts[0], parts[2]});
    for (std::size_t i = 0; i < 3; ++i) {
      expect_dropped(sent + i, DropReason::policy_denied);
    }
    // Its identification is free again.
    const std::size_t next = send(datagram({ends.src, ends.dst, 40000, 53}, 3));
    expect_forwarded(next);
    expect_forwarded(next + 2);
  }
  EXPECT_EQ(drops(DropReason::policy_denied), 6U);
  EXPECT_EQ(pipeline_->counters().flows.get(), 2U);
}

TEST_F(PipelineFragments, KeepInterleavedDatagramsApart) {
  const auto allowed = datagram(kDns4, 4);
  const auto denied = datagram(kDenied4, 5);
  const auto sixth = datagram(kDns6, 4);
  const std::size_t sent = send({allowed[1],
                                 denied[1],
                                 sixth[2],
                                 denied[0],
                                 allowed[0],
                                 sixth[0],
                                 denied[2],
                                 allowed[2],
                                 sixth[1]});
  for (const std::size_t i : {0, 2, 4, 5, 7, 8}) {
    expect_forwarded(sent + i);
  }
  for (const std::size_t i : {1, 3, 6}) {
    expect_dropped(sent + i, DropReason::policy_denied);
  }
}

TEST_F(PipelineFragments, AreDroppedWithTheWholeDatagramOnceTheyOverlap) {
  for (const Ends& ends : {kDns4, kDns6}) {
    const auto parts = datagram(ends, 6);
    const auto others = test::cut(test::udp_frame(ends, Bytes(100, 9)), 48, 6);
    // A duplicate, an overlap, and a second first one.
    for (const Bytes& bad : {parts[1], others[1], parts[0]}) {
      const std::size_t sent = send({parts[0], parts[1], bad, parts[2], parts[0]});
      expect_forwarded(sent);
      expect_forwarded(sent + 1);
      for (std::size_t i = 2; i < 5; ++i) {
        expect_dropped(sent + i, DropReason::fragment_overlap);
      }
      now_ns_ += 60 * kSecond;
    }
    // Ahead of the first one: what waits goes too.
    const std::size_t early = send({parts[1], others[1], parts[0]});
    for (std::size_t i = 0; i < 3; ++i) {
      expect_dropped(early + i, DropReason::fragment_overlap);
    }
    now_ns_ += 60 * kSecond;
  }
}

/// RFC 3128: a later fragment that would write over the judged TCP header.
TEST_F(PipelineFragments, NeverRewriteTheHeaderThatWasJudged) {
  const auto parts = test::cut(test::tcp_frame(kDns4, test::kSyn), 24, 7);
  Bytes over = test::cut(test::tcp_frame(kDns4, test::kSyn), 8, 7)[1];
  const std::size_t sent = send({over, parts[0], over});
  for (std::size_t i = 0; i < 3; ++i) {
    EXPECT_TRUE(i != 1 || !is_held(sent + i));
  }
  const auto tiny = test::cut(test::tcp_frame(kDns4, test::kSyn), 8, 8);
  const std::size_t few = send({tiny[0], tiny[1], tiny[2]});
  expect_dropped(few, DropReason::invalid_header);
  EXPECT_TRUE(is_held(few + 1));
  now_ns_ += 2 * kSecond;
  expire();
  expect_dropped(few + 1, DropReason::first_fragment_missing);
  expect_dropped(few + 2, DropReason::first_fragment_missing);
}

TEST_F(PipelineFragments, WaitNoLongerThanASecond) {
  const auto parts = datagram(kDns4, 9);
  const std::size_t sent = send({parts[1], parts[2]});
  now_ns_ += kFragmentWaitNs - 1;
  expire();
  EXPECT_TRUE(is_held(sent));
  now_ns_ += 1;
  // The first one is too late, also where nobody has called expire() yet.
  send({parts[0]});
  expect_dropped(sent, DropReason::first_fragment_missing);
  expect_dropped(sent + 1, DropReason::first_fragment_missing);
  expect_forwarded(sent + 2);
  EXPECT_EQ(drops(DropReason::first_fragment_missing), 2U);
}

TEST_F(PipelineFragments, FollowForHalfAMinuteAtTheLatest) {
  const auto four = datagram(kDns4, 10);
  const auto six = datagram(kDns6, 10);
  const std::size_t first = send({four[0], six[0]});
  now_ns_ += kDatagramLifeNs4 - kFragmentWaitNs - 1;
  const std::size_t second = send({four[1], six[1]});
  now_ns_ += 1;
  expire();
  const std::size_t third = send({four[2], six[2]});
  for (const std::size_t i : {first, first + 1, second, second + 1, third + 1}) {
    expect_forwarded(i);
  }
  EXPECT_TRUE(is_held(third));
  release_all();
  expect_dropped(third, DropReason::first_fragment_missing);
}

TEST_F(PipelineFragments, KeepTheirFlowAlive) {
  Pipeline& pipeline = *pipeline_;
  const auto parts = datagram(kDns4, 11);
  send({parts[0]});
  now_ns_ += 20 * kSecond;
  send({parts[1]});
  now_ns_ += 20 * kSecond;  // Past the deadline that the first packet gave an unanswered flow.
  pipeline.expire(now_ns_);
  const std::size_t reply = send({test::udp_frame(turned(kDns4), {1})});
  expect_forwarded(reply, true);
}

TEST_F(PipelineFragments, AreJudgedByTheGenerationOfNow) {
  for (const Ends& ends : {kDns4, kDns6}) {
    publish(true);
    const auto parts = datagram(ends, 12);
    const std::size_t sent = send({parts[0]});
    publish(true);
    send({parts[1]});
    expect_forwarded(sent);
    expect_forwarded(sent + 1);
    publish(false);
    send({parts[2]});
    expect_dropped(sent + 2, DropReason::policy_denied);
    // Held under one generation, judged under the next.
    publish(true);
    const std::size_t held = send({parts[1]});
    publish(false);
    send({parts[0]});
    expect_dropped(held, DropReason::policy_denied);
    expect_dropped(held + 1, DropReason::policy_denied);
    // Denied once, a datagram stays so.
    publish(true);
    send({parts[2]});
    expect_dropped(held + 2, DropReason::policy_denied);
  }
}

TEST_F(PipelineFragments, OutliveASwapWhereFlowsAreKept) {
  const auto parts = datagram(kDns4, 13);
  const std::size_t sent = send({parts[0]});
  publish(false);
  generation_->kept_before = epoch_;
  send({parts[1], parts[2]});
  expect_forwarded(sent + 1);
  expect_forwarded(sent + 2);
}

TEST_F(PipelineFragments, CarryPingsBothWays) {
  for (const Ends& ends : {kDns4, kDns6}) {
    const bool v4 = ends.src == kDns4.src;
    const auto ping = [&](bool reply, const Ends& way) {
      const int type = v4 ? (reply ? 0 : 8) : (reply ? 129 : 128);
      return test::cut(test::icmp_frame(way,
                                        {.type = static_cast<std::uint8_t>(type),
                                         .rest = 0x0007'0001,
                                         .body = Bytes(4000, 1)}),
                       1480,
                       reply ? 77 : 76);
    };
    const std::size_t sent = send(ping(false, ends));
    const auto answer = ping(true, turned(ends));
    const std::size_t answered = send({answer[2], answer[1], answer[0]});
    for (std::size_t i = 0; i < 3; ++i) {
      expect_forwarded(sent + i);
      expect_forwarded(answered + i, true);
    }
    // Nobody may ping the first endpoint.
    const std::size_t back = send(ping(false, turned(ends)));
    expect_dropped(back + 2, DropReason::policy_denied);
  }
}

TEST_F(PipelineFragments, TravelInVlansAndToGroups) {
  const auto tagged =
      test::cut(test::udp_frame(kDns4, Bytes(100, 1), {.vlan_types = {0x88a8, 0x8100}}), 48, 14);
  const std::size_t sent = send({tagged[1], tagged[0], tagged[2]});
  for (std::size_t i = 0; i < 3; ++i) {
    expect_forwarded(sent + i);
    EXPECT_EQ(fates_[sent + i]->l3_offset, 22U);
  }
  const auto group =
      test::cut(test::udp_frame({"10.0.0.9", "224.0.0.251", 5353, 5353}, Bytes(100, 1)), 48, 15);
  const std::size_t many = send({group[1], group[0], group[2]});
  for (std::size_t i = 0; i < 3; ++i) {
    expect_forwarded(many + i);
  }
}

TEST_F(PipelineFragments, OfTheSameDatagramMayCrossTwoPorts) {
  const auto parts = datagram(kDns4, 16);
  const std::size_t sent = send({parts[0], parts[1]}, 0);
  send({parts[0], parts[1], parts[2]}, 1);
  send({parts[2]}, 0);
  for (std::size_t i = 0; i < 6; ++i) {
    expect_forwarded(sent + i);
  }
}

TEST_F(PipelineFragments, MakeRoomForTheNewest) {
  start({.ports = 1, .fragments_held_max = 2});
  const auto a = datagram(kDns4, 17);
  const auto b = datagram(kDns4, 18);
  const std::size_t sent = send({a[1], a[2], b[1]});
  expect_dropped(sent, DropReason::fragments_full);
  expect_dropped(sent + 1, DropReason::fragments_full);
  EXPECT_TRUE(is_held(sent + 2));
  send({b[0]});
  expect_forwarded(sent + 2);
  // One datagram that wants more room than there is.
  const auto many = test::cut(test::udp_frame(kDns4, Bytes(400, 1)), 40, 19);
  const std::size_t large = send({many[1], many[2], many[3]});
  for (std::size_t i = 0; i < 3; ++i) {
    expect_dropped(large + i, DropReason::fragments_full);
  }
}

/// Whatever the order, each fragment of an allowed datagram passes exactly once, and none of a
/// denied one does.
TEST_F(PipelineFragments, PassExactlyOnceInAnyOrder) {
  const std::uint32_t seed = std::random_device{}();
  SCOPED_TRACE(seed);
  std::mt19937 random(seed);
  const auto below = [&random](std::size_t n) { return static_cast<std::size_t>(random() % n); };
  for (int round = 0; round < 200; ++round) {
    std::vector<std::pair<Bytes, bool>> frames;
    for (std::uint32_t id = 0; id < 12; ++id) {
      const bool allowed = below(2) == 0;
      const bool v4 = below(2) == 0;
      Ends ends = v4 ? (allowed ? kDns4 : kDenied4) : (allowed ? kDns6 : kDenied6);
      ends.src_port = static_cast<std::uint16_t>(below(4));
      const Bytes whole = below(2) == 0 ? test::udp_frame(ends, Bytes(below(700), 1))
                                        : test::ip_frame(ends, 47, Bytes(300, 1));
      const bool gre = whole.at(v4 ? 23 : 20) == 47;
      for (Bytes& part : test::cut(whole, 8 * (3 + below(20)), 1000U + id)) {
        frames.emplace_back(std::move(part), allowed && !gre);
      }
    }
    std::shuffle(frames.begin(), frames.end(), random);
    const std::size_t base = fates_.size();
    for (std::size_t at = 0; at < frames.size();) {
      const std::size_t count = std::min(1 + below(limits::kBurstMax), frames.size() - at);
      std::vector<Bytes> burst;
      for (std::size_t i = 0; i < count; ++i) {
        burst.push_back(frames[at + i].first);
      }
      send(burst);
      at += count;
      now_ns_ += below(kMillisecond);
      expire();
    }
    for (std::size_t i = 0; i < frames.size(); ++i) {
      ASSERT_FALSE(is_held(base + i));
      ASSERT_EQ(fates_[base + i]->action, frames[i].second ? Action::forward : Action::drop)
          << to_string(fates_[base + i]->reason);
    }
  }
  EXPECT_EQ(pipeline_->counters().held.get(), 0U);
  EXPECT_GT(pipeline_->counters().held_ever.get(), 0U);
}

}  // namespace
}  // namespace portcullis::dataplane
