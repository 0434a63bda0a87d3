// SPDX-License-Identifier: MIT
// TCP connections through the pipeline, as frames: what is dropped for its sequence numbers, under
// which name, and what it leaves as it was. tcp_window_test.cc has the numbers themselves.
#include <optional>

#include <gtest/gtest.h>

#include "classifier/compile.h"
#include "classifier/key.h"
#include "dataplane/counters.h"
#include "dataplane/packet/headers.h"
#include "dataplane/pipeline.h"
#include "tests/support/packet.h"

namespace portcullis::dataplane {
namespace {

using test::Around;
using test::Bytes;
using test::Ends;
using test::Tcp;
using Action = Outcome::Action;
using enum DropReason;

constexpr std::uint64_t kSecond = 1'000'000'000;
constexpr Ends kV4{"10.0.0.1", "10.0.0.2", 40000, 80};
constexpr Ends kV6{"2001:db8::1", "2001:db8::2", 40000, 80};

/// Everything is allowed; what is dropped is dropped for its numbers.
class PipelineTcp : public testing::Test {
 protected:
  void start(const config::Conntrack& conntrack) {
    pipeline_.emplace(PipelineOptions{.conntrack = conntrack, .ports = 1});
  }
  Outcome send(Bytes bytes) {
    const Frame frame{bytes.data(), static_cast<std::uint32_t>(bytes.size())};
    Outcome outcome;
    pipeline_->process(
        generation_, now_ns_, std::span(&frame, 1), std::span(&outcome, 1), {hits_, {}});
    return outcome;
  }
  void passes(const Bytes& frame) {
    const std::uint64_t before = counters().forwarded.get();
    const Outcome outcome = send(frame);
    EXPECT_EQ(outcome.action, Action::forward) << to_string(outcome.reason);
    EXPECT_EQ(counters().forwarded.get(), before + 1);
  }
  void is_dropped(const Bytes& frame, DropReason reason) {
    const std::uint64_t before = drops(reason);
    const std::uint64_t replies = counters().replies.get();
    const Outcome outcome = send(frame);
    EXPECT_EQ(outcome.action, Action::drop);
    EXPECT_EQ(to_string(outcome.reason), to_string(reason));
    EXPECT_EQ(drops(reason), before + 1);
    EXPECT_EQ(counters().replies.get(), replies);
  }
  /// Both count from 1000 on, and then have said nothing more.
  void open(const Ends& ends = kV4, const Around& around = {}) {
    passes(test::tcp_frame(ends, test::kSyn, around));
    passes(test::tcp_frame(turned(ends), test::kSyn | test::kAck, around));
    passes(test::tcp_frame(ends, test::kAck, around));
  }
  /// A flow is over where a SYN of its own direction is judged again.
  bool is_over(const Ends& ends = kV4) {
    return send(test::tcp_frame(ends, Tcp{.seq = 1, .flags = test::kSyn})).judged;
  }

  const Counters& counters() { return pipeline_->counters(); }
  std::uint64_t drops(DropReason reason) {
    return counters().drops[static_cast<std::size_t>(reason)].get();
  }

  const Generation generation_{
      .epoch = 1,
      .table = classifier::compile({.default_mode = classifier::DefaultMode::kubernetes}).value(),
      .rule_ids = classifier::kBuiltinRules};
  std::vector<std::uint64_t> hits_ = std::vector<std::uint64_t>(classifier::kBuiltinRules);
  std::optional<Pipeline> pipeline_{std::in_place, PipelineOptions{.ports = 1}};
  std::uint64_t now_ns_ = 5 * kSecond;
};

constexpr Tcp reset(std::uint32_t seq) {
  return {.seq = seq, .flags = test::kRst};
}

TEST_F(PipelineTcp, SurvivesABlindReset) {
  const std::pair<Ends, Around> kinds[] = {
      {kV4, {}},
      {kV4, {.vlan_types = {0x8100}, .ipv4_options = Bytes(8, 1)}},
      {kV6, {}},
      {kV6, {.extensions = {{60, Bytes(8, 0)}}}}};
  for (const auto& [ends, around] : kinds) {
    start({});
    open(ends, around);
    for (const std::uint32_t seq : {0U, 1000U, 1001U + 70'000U, 0x9000'0000U}) {
      is_dropped(test::tcp_frame(ends, reset(seq), around), tcp_invalid_reset);
      is_dropped(test::tcp_frame(turned(ends), reset(seq), around), tcp_invalid_reset);
    }
    passes(test::tcp_frame(turned(ends), test::kAck, around));
    EXPECT_FALSE(is_over(ends));
    passes(test::tcp_frame(ends, reset(1001), around));
    EXPECT_TRUE(is_over(ends));
  }
}

TEST_F(PipelineTcp, EndsByTheAnswerToAChallenge) {
  open();
  passes(test::tcp_frame(kV4, reset(1500)));  // In the window, but not exact.
  EXPECT_FALSE(is_over());
  passes(test::tcp_frame(turned(kV4), test::kAck));
  passes(test::tcp_frame(kV4, reset(1001)));
  EXPECT_TRUE(is_over());
}

TEST_F(PipelineTcp, BelievesAResetThatAnswersTheSyn) {
  passes(test::tcp_frame(kV6, test::kSyn));
  is_dropped(test::tcp_frame(turned(kV6), Tcp{.ack = 5, .flags = test::kRst | test::kAck}),
             tcp_invalid_reset);
  EXPECT_EQ(counters().flows_created.get(), 1U);
  passes(test::tcp_frame(turned(kV6), Tcp{.ack = 1001, .flags = test::kRst | test::kAck}));
  EXPECT_TRUE(is_over(kV6));
  EXPECT_EQ(counters().flows_created.get(), 2U);
}

TEST_F(PipelineTcp, WantsTheSynAcknowledged) {
  passes(test::tcp_frame(kV4, test::kSyn));
  is_dropped(test::tcp_frame(turned(kV4), Tcp{.ack = 999, .flags = test::kSyn | test::kAck}),
             tcp_out_of_window);
  passes(test::tcp_frame(turned(kV4), test::kSyn | test::kAck));
}

TEST_F(PipelineTcp, DropsWhatIsOutOfTheWindow) {
  for (const Ends& ends : {kV4, kV6}) {
    open(ends);
    is_dropped(test::tcp_frame(ends, Tcp{.seq = 200'000, .ack = 1001}), tcp_out_of_window);
    is_dropped(test::tcp_frame(ends, Tcp{.seq = 1001, .ack = 1002}), tcp_out_of_window);
    for (const Ends& side : {ends, turned(ends)}) {
      is_dropped(
          test::tcp_frame(side, Tcp{.seq = 900'000, .ack = 1001, .flags = test::kFin | test::kAck}),
          tcp_out_of_window);
    }
    EXPECT_FALSE(is_over(ends)) << "by FINs of both";
  }
}

TEST_F(PipelineTcp, CountsPayloadByTheLengthOfIp) {
  const Around options{.ipv4_options = Bytes(12, 1)};
  const Around extension{.extensions = {{60, Bytes(8, 0)}, {60, Bytes(8, 0)}}};
  for (const auto& [ends, around] : {std::pair(kV4, options), std::pair(kV6, extension)}) {
    open(ends, around);
    Bytes padded = test::tcp_frame(ends, Tcp{.seq = 1001, .ack = 1001, .payload_bytes = 3}, around);
    padded.resize(padded.size() + 20, 0);  // Ethernet's, not the sender's.
    passes(padded);
    is_dropped(test::tcp_frame(turned(ends), Tcp{.seq = 1001, .ack = 1005}), tcp_out_of_window);
    passes(test::tcp_frame(turned(ends), Tcp{.seq = 1001, .ack = 1004}));
  }
}

TEST_F(PipelineTcp, TakesSuperPackets) {
  constexpr std::uint32_t kPayload = 65'535 - 40;
  const Bytes scale{1, 3, 3, 7};
  passes(test::tcp_frame(kV4, Tcp{.seq = 0xffff'0000, .flags = test::kSyn, .options = scale}));
  passes(test::tcp_frame(
      turned(kV4), Tcp{.ack = 0xffff'0001, .flags = test::kSyn | test::kAck, .options = scale}));
  passes(test::tcp_frame(turned(kV4), Tcp{.seq = 1, .ack = 0xffff'0001}));
  std::uint32_t seq = 0xffff'0001;
  for (int i = 0; i < 100; ++i, seq += kPayload) {
    passes(test::tcp_frame(kV4, Tcp{.seq = seq, .ack = 1, .payload_bytes = kPayload}));
  }
  // Segments of the one that are acknowledged one by one.
  passes(test::tcp_frame(turned(kV4), Tcp{.seq = 1, .ack = seq - kPayload + 1460}));
  is_dropped(test::tcp_frame(turned(kV4), Tcp{.seq = 1, .ack = seq + 1}), tcp_out_of_window);
}

TEST_F(PipelineTcp, ScalesWindowsWhereBothOfferIt) {
  const Bytes scale{1, 3, 3, 4};
  for (const bool both : {true, false}) {
    start({});
    passes(
        test::tcp_frame(kV6, Tcp{.seq = 0, .flags = test::kSyn, .window = 100, .options = scale}));
    passes(test::tcp_frame(turned(kV6),
                           Tcp{.ack = 1,
                               .flags = test::kSyn | test::kAck,
                               .window = 100,
                               .options = both ? scale : Bytes{}}));
    passes(test::tcp_frame(turned(kV6), Tcp{.seq = 1, .ack = 1, .window = 100}));
    const Bytes far = test::tcp_frame(kV6, Tcp{.seq = 1601, .ack = 1, .window = 100});
    both ? passes(far) : is_dropped(far, tcp_out_of_window);
  }
}

TEST_F(PipelineTcp, IsNotKeptAliveByWhatItDrops) {
  open();
  now_ns_ += 7000 * kSecond;
  is_dropped(test::tcp_frame(kV4, Tcp{.seq = 200'000, .ack = 1001}), tcp_out_of_window);
  is_dropped(test::tcp_frame(kV4, reset(5)), tcp_invalid_reset);
  passes(test::tcp_frame(kV4, Tcp{.seq = 5, .flags = test::kSyn}));  // Passes, and no more.
  passes(test::tcp_frame(kV4, reset(1500)));
  now_ns_ += 300 * kSecond;
  is_dropped(test::tcp_frame(kV4, test::kAck), not_a_new_flow);
}

TEST_F(PipelineTcp, IsKeptAliveByKeepAlives) {
  open();
  for (int i = 0; i < 3; ++i) {
    now_ns_ += 7000 * kSecond;
    passes(test::tcp_frame(kV4, Tcp{.seq = 1000, .ack = 1001}));
  }
  passes(test::tcp_frame(turned(kV4), test::kAck));
}

TEST_F(PipelineTcp, BeginsAnewAfterAReset) {
  open();
  const Bytes anew = test::tcp_frame(kV4, Tcp{.seq = 77'000, .flags = test::kSyn});
  passes(anew);
  is_dropped(
      test::tcp_frame(turned(kV4), Tcp{.seq = 5, .ack = 77'001, .flags = test::kSyn | test::kAck}),
      tcp_out_of_window);
  passes(test::tcp_frame(turned(kV4), test::kAck));  // The challenge, and what answers it.
  passes(test::tcp_frame(kV4, reset(1001)));
  EXPECT_TRUE(send(anew).judged);
  passes(
      test::tcp_frame(turned(kV4), Tcp{.seq = 5, .ack = 77'001, .flags = test::kSyn | test::kAck}));
  passes(test::tcp_frame(kV4, Tcp{.seq = 77'001, .ack = 6}));
  EXPECT_EQ(counters().flows_created.get(), 2U);
  EXPECT_EQ(counters().flows.get(), 1U);
}

TEST_F(PipelineTcp, OpensFromBothSidesAtOnce) {
  passes(test::tcp_frame(kV4, test::kSyn));
  passes(test::tcp_frame(turned(kV4), Tcp{.seq = 9000, .flags = test::kSyn}));
  passes(test::tcp_frame(kV4, Tcp{.seq = 1000, .ack = 9001, .flags = test::kSyn | test::kAck}));
  passes(test::tcp_frame(turned(kV4),
                         Tcp{.seq = 9000, .ack = 1001, .flags = test::kSyn | test::kAck}));
  passes(test::tcp_frame(kV4, Tcp{.seq = 1001, .ack = 9001, .payload_bytes = 9}));
  is_dropped(test::tcp_frame(turned(kV4), Tcp{.seq = 9001, .ack = 1011}), tcp_out_of_window);
  EXPECT_EQ(counters().flows.get(), 1U);
}

TEST_F(PipelineTcp, LearnsWhatItPicksUp) {
  start({.tcp_loose = true});
  passes(test::tcp_frame(kV6, Tcp{.seq = 500'000, .ack = 70, .payload_bytes = 10}));
  passes(test::tcp_frame(turned(kV6), Tcp{.seq = 70, .ack = 900'000, .payload_bytes = 10}));
  passes(test::tcp_frame(kV6, Tcp{.seq = 900'000, .ack = 80}));
  is_dropped(test::tcp_frame(kV6, Tcp{.seq = 0x9000'0000, .ack = 80}), tcp_out_of_window);
  is_dropped(test::tcp_frame(turned(kV6), reset(60)), tcp_invalid_reset);
  passes(test::tcp_frame(turned(kV6), reset(80)));
  EXPECT_TRUE(is_over(kV6));
}

/// The flow of a segment's first fragment may be gone when the later ones come.
TEST_F(PipelineTcp, PicksNothingUpFromLaterFragments) {
  start({.flows_max = 1, .tcp_loose = true});
  const Bytes whole = test::tcp_frame(kV4, Tcp{.seq = 1001, .ack = 1001, .payload_bytes = 4000});
  const std::vector<Bytes> parts = test::cut(whole, 1400, 7);
  passes(parts[0]);
  passes(parts[1]);
  now_ns_ += kSecond / 2;
  passes(test::tcp_frame(kV4, Tcp{.seq = 1001, .ack = 1001, .flags = test::kFin | test::kAck}));
  passes(test::tcp_frame(turned(kV4),
                         Tcp{.seq = 1001, .ack = 1001, .flags = test::kFin | test::kAck}));
  passes(test::udp_frame({"10.0.0.5", "10.0.0.6", 1, 2}, {1}));  // Takes the place of what is over.
  is_dropped(parts[2], not_a_new_flow);
}

TEST_F(PipelineTcp, BelievesEverythingWhereConfigured) {
  start({.tcp_window = config::TcpWindow::off});
  open();
  passes(test::tcp_frame(kV4, Tcp{.seq = 0x9000'0000, .ack = 0x4000'0000}));
  passes(test::tcp_frame(kV4, reset(5)));
  EXPECT_TRUE(is_over());
  EXPECT_EQ(drops(tcp_out_of_window) + drops(tcp_invalid_reset), 0U);
}

/// Only the first fragment has numbers, and does not say how long the datagram is.
TEST_F(PipelineTcp, FollowsSegmentsInFragments) {
  for (const Ends& ends : {kV4, kV6}) {
    open(ends);
    const Bytes whole =
        test::tcp_frame(ends, Tcp{.seq = 1001, .ack = 1001, .payload_bytes = 40'000});
    for (const Bytes& part : test::cut(whole, 1400, 7)) {
      passes(part);
    }
    passes(test::tcp_frame(turned(ends), Tcp{.seq = 1001, .ack = 41'001}));
    passes(test::tcp_frame(ends, Tcp{.seq = 41'001, .ack = 1001, .payload_bytes = 10}));
    is_dropped(test::tcp_frame(turned(ends), Tcp{.seq = 1001, .ack = 1001 + 65'536}),
               tcp_out_of_window);
    const Bytes blind =
        test::tcp_frame(ends, Tcp{.seq = 900'000, .ack = 1001, .payload_bytes = 4000});
    for (const Bytes& part : test::cut(blind, 1400, 8)) {
      is_dropped(part, tcp_out_of_window);
    }
  }
}

TEST_F(PipelineTcp, GivesAnEntryToOneFlowAfterAnother) {
  start({.flows_max = 1});
  open();
  passes(test::tcp_frame(kV4, reset(1001)));
  passes(test::udp_frame({"10.0.0.5", "10.0.0.6", 1, 2}, {1}));
  const Ends other{"10.0.0.7", "10.0.0.8", 1, 2};
  passes(test::tcp_frame(other, Tcp{.seq = 0x8000'0000, .flags = test::kSyn}));
  passes(test::tcp_frame(turned(other), Tcp{.ack = 0x8000'0001, .flags = test::kSyn | test::kAck}));
  passes(test::tcp_frame(other, Tcp{.seq = 0x8000'0001, .ack = 1}));
  is_dropped(test::tcp_frame(other, test::kAck), tcp_out_of_window);
}

}  // namespace
}  // namespace portcullis::dataplane
