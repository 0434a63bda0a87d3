// SPDX-License-Identifier: MIT
// What one connection lets pass, without frames. tcp_honesty_test.cc has ends that talk at random.
#include <random>

#include <gtest/gtest.h>

#include "dataplane/tcp/window.h"

namespace portcullis::dataplane {
namespace {

using Event = Packet::Event;
using enum TcpJudgement;

constexpr std::uint8_t kFin = wire::kTcpFin;
constexpr std::uint8_t kSyn = wire::kTcpSyn;
constexpr std::uint8_t kRst = wire::kTcpRst;
constexpr std::uint8_t kAck = wire::kTcpAck;
constexpr std::uint8_t kNone = TcpSegment::kNoScale;
constexpr std::uint32_t kHalf = 0x8000'0000;
constexpr std::uint32_t kSlack = TcpConnection::kSlack;

Event event_of(std::uint8_t flags) {
  if ((flags & kRst) != 0) {
    return Event::abort;
  }
  if ((flags & kSyn) != 0) {
    return (flags & kAck) != 0 ? Event::accept : Event::begin;
  }
  return (flags & kFin) != 0 ? Event::finish : Event::data;
}

/// A connection and the state of its flow, as the pipeline has them.
struct Line {
  void begin(const TcpSegment& syn) {
    connection.begin(syn);
    progress = dataplane::begin(classifier::kProtocolTcp, Event::begin);
  }
  void pick_up(const TcpSegment& first) {
    connection.pick_up(first);
    progress = dataplane::begin(classifier::kProtocolTcp, event_of(first.flags));
  }
  TcpJudgement send(const TcpSegment& segment, bool is_reply) {
    const TcpJudgement judgement =
        connection.judge(segment, {.state = progress.state, .is_reply = is_reply});
    if (judgement == believe) {
      progress = advance(progress, classifier::kProtocolTcp, event_of(segment.flags), is_reply);
    }
    return judgement;
  }
  TcpJudgement ask(const TcpSegment& segment) { return send(segment, false); }
  TcpJudgement reply(const TcpSegment& segment) { return send(segment, true); }

  TcpConnection connection;
  FlowProgress progress;
};

/// Where both count from, and what they offer.
struct Opening {
  std::uint32_t asker = 1000;
  std::uint32_t answerer = 50'000;
  std::uint16_t window = 10'000;
  std::uint8_t asker_scale = kNone;
  std::uint8_t answerer_scale = kNone;
};

/// An established connection. `asker` and `answerer` are then the next bytes of both.
struct Established : Line, Opening {
  explicit Established(const Opening& opening = {}) : Opening(opening) {
    begin({.seq = asker++, .window = window, .flags = kSyn, .scale = asker_scale});
    EXPECT_EQ(reply({.seq = answerer++,
                     .ack = asker,
                     .window = window,
                     .flags = kSyn | kAck,
                     .scale = answerer_scale}),
              believe);
    EXPECT_EQ(progress.state, FlowState::accepted);
    EXPECT_EQ(ask(ack()), believe);
    EXPECT_EQ(progress.state, FlowState::established);
  }
  [[nodiscard]] TcpSegment ack(std::uint32_t length = 0) const {
    return {.seq = asker, .ack = answerer, .length = length, .window = window, .flags = kAck};
  }
  [[nodiscard]] TcpSegment ack_back(std::uint32_t length = 0) const {
    return {.seq = answerer, .ack = asker, .length = length, .window = window, .flags = kAck};
  }
};

TEST(TcpWindow, BoundsWhatASideMaySend) {
  Established line;
  TcpSegment data = line.ack(100);
  data.seq = line.asker + line.window;  // Where the peer has no room yet: a probe.
  EXPECT_EQ(line.ask(data), believe);
  for (const std::uint32_t far : {line.window + 2U, 1U << 20U, kHalf - 1U, kHalf, kHalf + 1U}) {
    data.seq = line.asker + far;
    EXPECT_EQ(line.ask(data), out_of_window) << far;
  }
  // What is older than the peer's window is of another time.
  data.seq = line.asker + 100 - kSlack - 99;
  EXPECT_EQ(line.ask(data), believe);
  data.seq = line.asker - kSlack - 101;
  EXPECT_EQ(line.ask(data), out_of_window);
}

TEST(TcpWindow, BoundsWhatASideMayAcknowledge) {
  Established line;
  TcpSegment ack = line.ack_back();
  EXPECT_EQ(line.reply(ack), believe);
  ack.ack = line.asker + 1;
  EXPECT_EQ(line.reply(ack), out_of_window) << "nobody has sent it";
  EXPECT_EQ(line.ask(line.ack(1)), believe);
  EXPECT_EQ(line.reply(ack), believe);
  ack.ack = line.asker + 1 - line.window - kSlack;
  EXPECT_EQ(line.reply(ack), believe);
  --ack.ack;
  EXPECT_EQ(line.reply(ack), out_of_window);
}

TEST(TcpWindow, MovesTheWindowAlong) {
  Established line({.asker = 0xffff'f000, .answerer = 0xffff'ffff});  // Both numbers wrap soon.
  for (int i = 0; i < 3000; ++i) {
    EXPECT_EQ(line.ask(line.ack(line.window)), believe);
    line.asker += line.window;
    EXPECT_EQ(line.reply(line.ack_back(1460)), believe);
    line.answerer += 1460;
  }
  TcpSegment data = line.ack(1);
  data.seq += line.window + 2U;
  EXPECT_EQ(line.ask(data), out_of_window);
}

TEST(TcpWindow, NeverTakesRoomBack) {
  Established line;
  TcpSegment closed = line.ack_back();
  closed.window = 0;
  EXPECT_EQ(line.reply(closed), believe);
  // The segments were on their way before their sender knew.
  EXPECT_EQ(line.ask(line.ack(line.window)), believe);
}

TEST(TcpWindow, LetsProbesOfAClosedWindowPass) {
  Established line;
  EXPECT_EQ(line.ask(line.ack(line.window)), believe);
  line.asker += line.window;
  TcpSegment closed = line.ack_back();
  closed.window = 0;
  EXPECT_EQ(line.reply(closed), believe);
  EXPECT_EQ(line.ask(line.ack(1)), believe) << "a byte where there is no room";
  TcpSegment empty = line.ack();
  --empty.seq;
  EXPECT_EQ(line.ask(empty), believe) << "nothing, one byte back";
  EXPECT_EQ(line.reply(closed), believe);
  TcpSegment behind = line.ack();
  behind.seq += 1;
  EXPECT_EQ(line.ask(behind), believe) << "the byte counts as sent";
  behind.seq += 1;
  EXPECT_EQ(line.ask(behind), out_of_window);
}

TEST(TcpWindow, LetsKeepAlivesPass) {
  Established line;
  for (const std::uint32_t length : {0U, 1U}) {
    TcpSegment alive = line.ack(length);
    --alive.seq;
    EXPECT_EQ(line.ask(alive), believe);
    EXPECT_EQ(line.reply(line.ack_back()), believe);
  }
}

TEST(TcpWindow, LetsRetransmissionsAndOldAcksPass) {
  Established line;
  for (std::uint32_t at = 0; at < 10'000; at += 1000) {
    TcpSegment data = line.ack(1000);
    data.seq += at;
    EXPECT_EQ(line.ask(data), believe);
  }
  TcpSegment ack = line.ack_back();
  for (const std::uint32_t at : {10'000U, 0U, 3000U}) {  // Overtaken on the way.
    ack.ack = line.asker + at;
    EXPECT_EQ(line.reply(ack), believe);
  }
  EXPECT_EQ(line.ask(line.ack(1000)), believe) << "again, though it was acknowledged";
}

TEST(TcpWindow, ScalesWindowsOnlyWhereBothOfferIt) {
  constexpr std::uint32_t kScaled = 10'000 << 7U;
  for (const std::uint8_t answer : {std::uint8_t{7}, kNone}) {
    Established line({.asker_scale = 3, .answerer_scale = answer});
    TcpSegment data = line.ack(100);
    data.seq += 10'002;
    EXPECT_EQ(line.ask(data), out_of_window) << "the window in a SYN ACK is never scaled";
    EXPECT_EQ(line.reply(line.ack_back()), believe);
    data.seq = line.asker + kScaled;
    EXPECT_EQ(line.ask(data), answer == 7 ? believe : out_of_window);
    data.seq = line.asker + kScaled + 2;
    EXPECT_EQ(line.ask(data), out_of_window);
    TcpSegment back = line.ack_back(100);
    back.seq += 10'000U << 3U;
    EXPECT_EQ(line.reply(back), answer == 7 ? believe : out_of_window);
  }
}

TEST(TcpWindow, ReadsTheScaleFromTheOptions) {
  using Bytes = std::vector<std::uint8_t>;
  EXPECT_EQ(
      offered_scale(Bytes{2, 4, 5, 0xb4, 4, 2, 8, 10, 0, 0, 0, 0, 0, 0, 0, 0, 1, 3, 3, 7}, true),
      7);
  EXPECT_EQ(offered_scale(Bytes{3, 3, 15, 0}, true), 14) << "RFC 7323 has no larger";
  for (const Bytes& none : {Bytes{},
                            Bytes{1, 1, 1, 1},
                            Bytes{0, 3, 3, 7},
                            Bytes{3, 2, 7, 0},
                            Bytes{3, 0, 7, 0},
                            Bytes{1, 1, 3, 3},
                            Bytes{1, 1, 1, 3},
                            Bytes{8, 200, 3, 3}}) {
    EXPECT_EQ(offered_scale(none, true), kNone);
    EXPECT_EQ(offered_scale(none, false), 14) << "what was not captured may say so";
  }
}

TEST(TcpWindow, WantsTheSynAcknowledged) {
  Line line;
  line.begin({.seq = 1000, .window = 100, .flags = kSyn});
  for (const std::uint32_t ack : {1000U, 1002U, 0U, 1001U + kHalf}) {
    EXPECT_EQ(line.reply({.seq = 7, .ack = ack, .window = 100, .flags = kSyn | kAck}),
              out_of_window);
  }
  EXPECT_EQ(line.ask({.seq = 1000, .ack = 8, .window = 100, .flags = kSyn | kAck}), out_of_window);
  EXPECT_EQ(line.ask({.seq = 1001, .ack = 8, .window = 100, .flags = kAck}), out_of_window);
  EXPECT_EQ(line.reply({.seq = 8, .ack = 1001, .length = 5, .window = 100, .flags = kAck}),
            out_of_window);
  EXPECT_EQ(line.progress.state, FlowState::opening);
  EXPECT_EQ(line.reply({.seq = 7, .ack = 1001, .window = 100, .flags = kSyn | kAck}), believe);
}

TEST(TcpWindow, TakesPayloadInASynAcknowledgedOrNot) {
  for (const std::uint32_t ack : {1001U, 1501U, 1502U}) {
    Line line;
    line.begin({.seq = 1000, .length = 500, .window = 100, .flags = kSyn});
    EXPECT_EQ(line.reply({.seq = 7, .ack = ack, .window = 9000, .flags = kSyn | kAck}),
              ack == 1502 ? out_of_window : believe);
    if (ack != 1502) {
      EXPECT_EQ(line.ask({.seq = ack, .ack = 8, .length = 500, .window = 9, .flags = kAck}),
                believe);
    }
  }
}

TEST(TcpWindow, BeginsAgainWithTheLatestSyn) {
  Line line;
  line.begin({.seq = 1000, .window = 100, .flags = kSyn});
  EXPECT_EQ(line.ask({.seq = 1000, .window = 100, .flags = kSyn}), believe);
  EXPECT_EQ(line.ask({.seq = 9000, .window = 100, .flags = kSyn}), believe);
  EXPECT_EQ(line.reply({.seq = 7, .ack = 1001, .window = 100, .flags = kSyn | kAck}),
            out_of_window);
  EXPECT_EQ(line.reply({.seq = 7, .ack = 9001, .window = 100, .flags = kSyn | kAck}), believe);
  // The answer was lost behind us. The next may count from elsewhere, as SYN cookies do.
  EXPECT_EQ(line.ask({.seq = 9000, .window = 100, .flags = kSyn}), believe);
  EXPECT_EQ(line.reply({.seq = 7, .ack = 9001, .window = 100, .flags = kSyn | kAck}), believe);
  EXPECT_EQ(line.reply({.seq = 70'000, .ack = 9002, .window = 100, .flags = kSyn | kAck}),
            out_of_window);
  EXPECT_EQ(line.reply({.seq = 70'000, .ack = 9001, .window = 100, .flags = kSyn | kAck}), believe);
  EXPECT_EQ(line.progress.state, FlowState::accepted);
  EXPECT_EQ(line.ask({.seq = 9001, .ack = 70'001, .window = 100, .flags = kAck}), believe);
  EXPECT_EQ(line.progress.state, FlowState::established);
  EXPECT_EQ(line.reply({.seq = 70'000, .ack = 9001, .window = 100, .flags = kSyn | kAck}), believe)
      << "a late copy";
}

TEST(TcpWindow, OpensFromBothSidesAtOnce) {
  Line line;
  line.begin({.seq = 1000, .window = 100, .flags = kSyn, .scale = 2});
  EXPECT_EQ(line.reply({.seq = 5000, .window = 200, .flags = kSyn, .scale = 1}), believe);
  EXPECT_EQ(line.ask({.seq = 1000, .ack = 5001, .window = 100, .flags = kSyn | kAck}), believe);
  EXPECT_EQ(line.reply({.seq = 5000, .ack = 1001, .window = 200, .flags = kSyn | kAck}), believe);
  EXPECT_EQ(line.progress.state, FlowState::established);
  EXPECT_EQ(line.reply({.seq = 5001, .ack = 1001, .window = 200, .flags = kAck}), believe);
  TcpSegment data{.seq = 1001 + 400, .ack = 5001, .length = 9, .window = 100, .flags = kAck};
  EXPECT_EQ(line.ask(data), believe) << "200 << 1";
  data.seq += 2;
  EXPECT_EQ(line.ask(data), out_of_window);
}

TEST(TcpWindow, ClosesOneSideAfterTheOther) {
  Established line;
  TcpSegment fin = line.ack(10);
  fin.flags |= kFin;
  EXPECT_EQ(line.ask(fin), believe);
  line.asker += 11;
  EXPECT_TRUE(line.progress.finished_original);
  for (int i = 0; i < 50; ++i) {  // The other side goes on.
    EXPECT_EQ(line.reply(line.ack_back(1000)), believe);
    line.answerer += 1000;
    EXPECT_EQ(line.ask(line.ack()), believe);
  }
  EXPECT_EQ(line.progress.state, FlowState::established);
  EXPECT_EQ(line.ask(fin), pass) << "a late copy";
  fin = line.ack_back();
  fin.flags |= kFin;
  EXPECT_EQ(line.reply(fin), believe);
  ++line.answerer;
  EXPECT_EQ(line.progress.state, FlowState::closing);
  EXPECT_EQ(line.reply(fin), believe) << "again: its acknowledgement was lost";
  EXPECT_EQ(line.ask(line.ack()), believe);
}

TEST(TcpWindow, BelievesNoFinFromElsewhere) {
  Established line;
  for (const std::uint32_t far : {20'000U, kHalf, 0U - 1000U, 0U - 300'000U}) {
    TcpSegment fin = line.ack();
    fin.seq += far;
    fin.flags |= kFin;
    EXPECT_NE(line.ask(fin), believe) << far;
  }
  EXPECT_FALSE(line.progress.finished_original);
}

TEST(TcpWindow, BelievesAResetInItsPlaceOnly) {
  const Established before;
  const std::uint32_t next = before.asker;
  const auto judge = [&](std::uint32_t seq) {
    Established line = before;
    // Sent, and not yet acknowledged.
    EXPECT_EQ(line.ask(line.ack(500)), believe);
    return line.ask({.seq = seq, .flags = kRst});
  };
  EXPECT_EQ(judge(next), believe) << "what the receiver awaits, as far as is known";
  EXPECT_EQ(judge(next + 500), believe) << "behind all that was sent";
  for (const std::uint32_t inside : {1U, 499U, 501U, 10'000U}) {
    EXPECT_EQ(judge(next + inside), pass) << inside;
  }
  for (const std::uint32_t outside : {0U - 1U, 0U - 5000U, 10'001U, 1U << 24U, kHalf, kHalf + 1U}) {
    EXPECT_EQ(judge(next + outside), invalid_reset) << outside;
  }
}

TEST(TcpWindow, BelievesAResetThatAnswersTheSyn) {
  Line line;
  line.begin({.seq = 1000, .window = 100, .flags = kSyn});
  const Line opening = line;
  EXPECT_EQ(line.reply({.ack = 1000, .flags = kRst | kAck}), invalid_reset);
  EXPECT_EQ(line.reply({.ack = 1002, .flags = kRst | kAck}), invalid_reset);
  EXPECT_EQ(line.reply({.seq = 1001, .ack = 1001, .flags = kRst}), invalid_reset);
  EXPECT_EQ(line.ask({.seq = 1002, .flags = kRst}), invalid_reset);
  EXPECT_EQ(line.progress.state, FlowState::opening);
  EXPECT_EQ(line.reply({.ack = 1001, .flags = kRst | kAck}), believe);
  EXPECT_EQ(line.progress.state, FlowState::closing);
  line = opening;
  EXPECT_EQ(line.ask({.seq = 1001, .flags = kRst}), believe) << "it does not want to, any more";
}

/// RFC 5961: the receiver of a RST or SYN that is not exact asks back, and only an honest sender
/// can answer.
TEST(TcpWindow, LetsChallengesBeAnswered) {
  Established line;
  EXPECT_EQ(line.ask(line.ack(500)), believe);
  EXPECT_EQ(line.ask({.seq = line.asker + 200, .flags = kRst}), pass);
  EXPECT_EQ(line.progress.state, FlowState::established);
  EXPECT_EQ(line.reply(line.ack_back()), believe) << "the challenge";
  EXPECT_EQ(line.ask({.seq = line.asker, .flags = kRst}), believe);
  EXPECT_EQ(line.progress.state, FlowState::closing);

  Established other;
  for (const std::uint32_t isn : {other.asker + 10, other.asker + kHalf}) {
    EXPECT_EQ(other.ask({.seq = isn, .window = 100, .flags = kSyn}), pass);
  }
  EXPECT_EQ(other.reply({.seq = other.answerer + 1, .window = 100, .flags = kSyn}), pass);
  EXPECT_EQ(other.ask(other.ack(100)), believe) << "the SYN has changed nothing";
  EXPECT_EQ(other.reply(other.ack_back()), believe);
  EXPECT_EQ(other.ask({.seq = other.asker, .flags = kRst}), believe);
}

/// An end that has started anew on ports whose old connection only its peer still knows.
TEST(TcpWindow, LetsAForgottenConnectionBeReset) {
  Line line;
  line.begin({.seq = 1000, .window = 100, .flags = kSyn});
  EXPECT_EQ(line.ask({.seq = 777'777, .flags = kRst}), invalid_reset);
  EXPECT_EQ(line.reply({.seq = 424'242, .ack = 777'777, .window = 100, .flags = kAck}), pass);
  EXPECT_EQ(line.ask({.seq = 777'777, .flags = kRst}), pass);
  EXPECT_EQ(line.progress.state, FlowState::opening);
  EXPECT_EQ(line.ask({.seq = 1000, .window = 100, .flags = kSyn}), believe);
  EXPECT_EQ(line.reply({.seq = 7, .ack = 1001, .window = 100, .flags = kSyn | kAck}), believe);
  EXPECT_EQ(line.progress.state, FlowState::accepted);
}

TEST(TcpWindow, LearnsAConnectionInMidstream) {
  Line line;
  line.pick_up({.seq = 0xffff'fff0, .ack = 9000, .length = 100, .window = 50, .flags = kAck});
  // The reply acknowledges more than was seen: the first segment came again.
  EXPECT_EQ(line.reply({.seq = 12'000, .ack = 200'000, .length = 10, .window = 60, .flags = kAck}),
            believe);
  EXPECT_EQ(line.ask({.seq = 200'000, .ack = 12'010, .window = 50, .flags = kAck}), believe);
  EXPECT_EQ(line.ask({.seq = 200'000 + (60U << 14U), .ack = 9000, .length = 9, .flags = kAck}),
            believe)
      << "scaled by the largest";
  EXPECT_EQ(line.ask({.seq = 200'000 + kHalf, .ack = 9000, .flags = kAck}), out_of_window);
  EXPECT_EQ(line.reply({.seq = 9000 + kHalf, .ack = 200'000, .flags = kAck}), out_of_window);
  EXPECT_EQ(line.ask({.seq = 300'000, .flags = kRst}), pass);
  EXPECT_EQ(line.reply({.seq = 9000 + kHalf, .flags = kRst}), invalid_reset);
  EXPECT_EQ(line.progress.state, FlowState::established);
  EXPECT_EQ(line.reply({.seq = 12'010, .flags = kRst}), believe);
}

TEST(TcpWindow, KeepsNothingOfTheConnectionBefore) {
  Established line;
  line.begin({.seq = 77, .window = 10, .flags = kSyn});
  EXPECT_EQ(line.reply({.seq = 3, .ack = 78, .window = 10, .flags = kSyn | kAck}), believe);
  EXPECT_EQ(line.ask({.seq = 78, .ack = 4, .window = 10, .flags = kAck}), believe);
  EXPECT_EQ(line.ask(line.ack()), out_of_window);
  EXPECT_EQ(line.reply(line.ack_back()), out_of_window);
}

/// Whoever knows addresses and ports, but no numbers, has two chances in 2^32 to end a connection.
TEST(TcpWindow, LeavesABlindAttackerTwoNumbersOfAllForAReset) {
  Established line;
  EXPECT_EQ(line.ask(line.ack(500)), believe);
  std::uint32_t believed = 0;
  const auto strike = [&](std::uint32_t seq) {
    const TcpPlace place{.state = FlowState::established, .is_reply = false};
    return line.connection.judge({.seq = seq, .flags = kRst}, place) == believe;
  };
  constexpr std::uint32_t kAround = 1U << 21U;
  for (std::uint32_t seq = line.asker - kAround; seq != line.asker + kAround; ++seq) {
    believed += strike(seq) ? 1U : 0U;
  }
  EXPECT_EQ(believed, 2U);
  std::mt19937 random(1);
  for (int i = 0; i < 1'000'000; ++i) {
    const auto seq = static_cast<std::uint32_t>(random());
    if (seq - (line.asker - kAround) >= 2 * kAround) {
      ASSERT_FALSE(strike(seq)) << seq;
    }
  }
}

TEST(TcpWindow, LeavesABlindAttackerTheWindowForData) {
  const Established line;
  constexpr int kTries = 4'000'000;
  // Bounds 1 and 2, with the ack right, which an attacker would have to guess, too.
  const double share = (2.0 * line.window + kSlack + 1) / 4294967296.0;
  std::mt19937 random(2);
  int data = 0;
  int finished = 0;
  for (int i = 0; i < kTries; ++i) {
    TcpSegment blind = line.ack();
    blind.seq = static_cast<std::uint32_t>(random());
    Established victim = line;
    data += victim.ask(blind) == believe ? 1 : 0;
    blind.flags |= kFin;
    victim = line;
    finished += victim.ask(blind) == believe ? 1 : 0;
  }
  EXPECT_GT(data, 0);
  EXPECT_LT(data, 2 * share * kTries);
  EXPECT_LT(finished, 4 * (line.window + 1.0) / 4294967296.0 * kTries);
}

}  // namespace
}  // namespace portcullis::dataplane
