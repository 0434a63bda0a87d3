// SPDX-License-Identifier: MIT
// Two honest ends talk through a connection's judgement, at random, over a network that loses and
// reorders on both sides of it: nothing that they send is ever dropped, and both finish.
#include <algorithm>
#include <deque>
#include <map>
#include <optional>
#include <ostream>
#include <random>

#include <gtest/gtest.h>

#include "dataplane/tcp/window.h"

namespace portcullis::dataplane {
namespace {

using Event = Packet::Event;

struct World {
  const char* name = "";
  std::uint32_t buffer = 0;   // Of a receiver.
  std::uint32_t segment = 0;  // The longest.
  std::uint8_t scale = TcpSegment::kNoScale;
  std::uint32_t other_buffer = 0;
  std::uint8_t other_scale = TcpSegment::kNoScale;
};
std::ostream& operator<<(std::ostream& out, const World& world) {
  return out << world.name;
}

/// A segment with positions in its stream: 0 is the SYN, 1 the first byte.
struct Sent {
  std::uint64_t begin = 0;
  std::uint32_t length = 0;
  std::uint8_t flags = wire::kTcpAck;
  std::uint64_t ack = 0;
  std::uint64_t room = 0;  // Behind `ack`, before scaling down.
  std::uint16_t window = 0;
  std::uint8_t scale = TcpSegment::kNoScale;

  [[nodiscard]] std::uint64_t end() const {
    const bool counts = (flags & (wire::kTcpSyn | wire::kTcpFin)) != 0;
    return begin + length + (counts ? 1 : 0);
  }
};

/// An end, after RFC 9293, that never takes back room it gave.
class End {
 public:
  End(std::uint32_t buffer, std::uint32_t segment, std::uint8_t offered, std::uint64_t total)
      : buffer_(buffer), segment_max_(segment), offered_(offered), fin_at_(1 + total) {}

  [[nodiscard]] bool has_said_all() const { return una_ == fin_at_ + 1; }
  [[nodiscard]] bool is_open() const { return una_ > 0 && heard_ > 0; }

  Sent syn(bool answers) {
    next_ = std::max<std::uint64_t>(next_, 1);
    Sent syn = fill({.begin = 0, .flags = wire::kTcpSyn, .scale = offered_});
    syn.flags |= answers ? wire::kTcpAck : std::uint8_t{0};
    return syn;
  }

  /// Anything that an end may say now.
  template <typename Below>
  Sent speak(Below below) {
    const std::uint64_t stop = std::min(fin_at_, edge_);
    const auto length_to = [&](std::uint64_t from, std::uint64_t to) {
      return static_cast<std::uint32_t>(
          std::min<std::uint64_t>(1 + below(segment_max_), to - from));
    };
    switch (below(8)) {
      case 0:
        return fill({.begin = next_});
      case 1:  // A keep-alive.
        return fill({.begin = next_ - 1});
      case 2:  // A probe, where there is no room.
        if (next_ == edge_ && next_ < fin_at_) {
          ++next_;
          return fill({.begin = next_ - 1, .length = 1});
        }
        break;
      case 3:
      case 4:  // Once more what was sent, from anywhere.
        if (una_ < next_ && una_ < fin_at_) {
          const std::uint64_t end = std::min(next_, fin_at_);
          const std::uint64_t from = below(2) == 0 ? una_ : una_ + below(end - una_);
          return fill({.begin = from, .length = length_to(from, end)});
        }
        break;
      default:
        break;
    }
    if (next_ < stop) {
      const std::uint64_t from = next_;
      const std::uint32_t length = length_to(from, stop);
      next_ += length;
      return fill({.begin = from, .length = length});
    }
    if (next_ >= fin_at_ && fin_at_ < edge_) {
      next_ = fin_at_ + 1;
      return fill({.begin = fin_at_, .flags = wire::kTcpAck | wire::kTcpFin});
    }
    return fill({.begin = next_});
  }

  void hear(const Sent& sent) {
    if ((sent.flags & wire::kTcpSyn) != 0) {
      scaled_ = offered_ != TcpSegment::kNoScale && sent.scale != TcpSegment::kNoScale;
    }
    if ((sent.flags & wire::kTcpAck) != 0 && sent.ack <= next_) {
      una_ = std::max(una_, sent.ack);
      edge_ = std::max(edge_, sent.ack + sent.room);
    }
    if (sent.end() == sent.begin || sent.begin > heard_ + buffer_) {
      return;
    }
    std::uint64_t& end = early_[sent.begin];
    end = std::max(end, sent.end());
    while (!early_.empty() && early_.begin()->first <= heard_) {
      heard_ = std::max(heard_, early_.begin()->second);
      early_.erase(early_.begin());
    }
  }
  /// The application takes some of what has come.
  void read(std::uint64_t bytes) { taken_ = std::min(heard_, taken_ + bytes); }

 private:
  Sent fill(Sent sent) {
    sent.ack = heard_;
    const bool is_syn = (sent.flags & wire::kTcpSyn) != 0;
    const unsigned shift = scaled_ && !is_syn ? offered_ : 0U;
    const std::uint64_t free = buffer_ - std::min<std::uint64_t>(buffer_, heard_ - taken_);
    const std::uint64_t promised = given_ > heard_ ? given_ - heard_ : 0;
    const std::uint64_t units = std::max(free >> shift, (promised + (1U << shift) - 1) >> shift);
    sent.window = static_cast<std::uint16_t>(std::min<std::uint64_t>(units, 0xffff));
    sent.room = std::uint64_t{sent.window} << shift;
    given_ = std::max(given_, heard_ + sent.room);
    return sent;
  }

  std::uint32_t buffer_;
  std::uint32_t segment_max_;
  std::uint8_t offered_;
  std::uint64_t fin_at_;
  bool scaled_ = false;
  std::uint64_t next_ = 0;   // To be sent.
  std::uint64_t una_ = 0;    // Acknowledged.
  std::uint64_t edge_ = 0;   // The peer has room up to here.
  std::uint64_t heard_ = 0;  // In order.
  std::uint64_t taken_ = 0;
  std::uint64_t given_ = 0;
  std::map<std::uint64_t, std::uint64_t> early_;
};

/// What is on its way: some is lost, and some overtakes what lies less than the slack behind.
class Network {
 public:
  void put(const Sent& sent) { queue_.push_back(sent); }

  template <typename Below>
  std::optional<Sent> take(Below below, unsigned lost_of_100) {
    if (queue_.empty()) {
      return {};
    }
    auto next =
        queue_.begin() + static_cast<std::ptrdiff_t>(below(std::min(queue_.size(), kAhead)));
    const bool may_overtake = std::all_of(queue_.begin(), next, [&](const Sent& other) {
      constexpr std::uint64_t kSlack = TcpConnection::kSlack;
      return next->end() < other.begin + kSlack && next->ack < other.ack + kSlack;
    });
    if (!may_overtake) {
      next = queue_.begin();
    }
    const Sent sent = *next;
    queue_.erase(next);
    return below(100) < lost_of_100 ? std::nullopt : std::optional(sent);
  }

 private:
  static constexpr std::size_t kAhead = 6;
  std::deque<Sent> queue_;
};

class HonestEnds : public testing::TestWithParam<World> {
 protected:
  /// Bytes for many windows, in not too many segments.
  static std::uint64_t total_for(std::uint32_t buffer) {
    return std::min(std::uint64_t{buffer} * 60, std::uint64_t{GetParam().segment} * 2000);
  }

  std::uint64_t below(std::uint64_t bound) { return random_() % bound; }
  auto chance() {
    return [this](std::uint64_t bound) { return below(bound); };
  }

  [[nodiscard]] TcpSegment on_the_wire(const Sent& sent, std::size_t side) const {
    const bool acks = (sent.flags & wire::kTcpAck) != 0;
    return {.seq = first_[side] + static_cast<std::uint32_t>(sent.begin),
            .ack = acks ? first_[1 - side] + static_cast<std::uint32_t>(sent.ack) : 0,
            .length = sent.length,
            .window = sent.window,
            .flags = sent.flags,
            .scale = sent.scale};
  }
  static Event event_of(std::uint8_t flags) {
    if ((flags & wire::kTcpSyn) != 0) {
      return (flags & wire::kTcpAck) != 0 ? Event::accept : Event::begin;
    }
    return (flags & wire::kTcpFin) != 0 ? Event::finish : Event::data;
  }

  /// One packet of a side comes by.
  void judge(const Sent& sent, std::size_t side) {
    const TcpSegment segment = on_the_wire(sent, side);
    if (progress_.state == FlowState::none) {
      const bool begins = (sent.flags & wire::kTcpSyn) != 0;
      begins ? connection_.begin(segment) : connection_.pick_up(segment);
      progress_ = begin(classifier::kProtocolTcp, event_of(sent.flags));
      original_ = side;
      return;
    }
    const bool is_reply = side != original_;
    const TcpJudgement judgement =
        connection_.judge(segment, {.state = progress_.state, .is_reply = is_reply});
    ASSERT_LE(judgement, TcpJudgement::pass)
        << "side " << side << ": [" << sent.begin << ", " << sent.end() << ") ack " << sent.ack
        << " flags " << int{sent.flags} << " state " << static_cast<int>(progress_.state);
    if (judgement == TcpJudgement::believe) {
      progress_ = advance(progress_, classifier::kProtocolTcp, event_of(sent.flags), is_reply);
    }
  }

  /// A random thing happens. `judged`: packets come by the connection at all.
  void step(bool judged) {
    const std::size_t side = below(2);
    End& end = ends_[side];
    switch (below(4)) {
      case 0:
        if (end.is_open()) {
          near_[side].put(end.speak(chance()));
        } else if (side == 0 || answers_) {
          near_[side].put(end.syn(side == 1));
        }
        break;
      case 1:
        if (const auto sent = near_[side].take(chance(), lost_)) {
          if (judged) {
            judge(*sent, side);
          }
          far_[side].put(*sent);
        }
        break;
      case 2:
        if (const auto sent = far_[side].take(chance(), lost_)) {
          answers_ |= side == 0;
          ends_[1 - side].hear(*sent);
        }
        break;
      default:
        end.read(below(200'000));
        break;
    }
  }

  void start(std::uint64_t seed) {
    random_.seed(seed);
    const World& world = GetParam();
    const std::uint64_t total = total_for(world.other_buffer);
    const std::uint64_t back = below(total_for(world.buffer));
    ends_ = {End(world.buffer, world.segment, world.scale, total),
             End(world.other_buffer, world.segment, world.other_scale, back)};
    near_ = {};
    far_ = {};
    // The first wraps on the way.
    first_ = {0U - static_cast<std::uint32_t>(below(total)), static_cast<std::uint32_t>(random_())};
    lost_ = static_cast<unsigned>(below(10));
    answers_ = false;
    progress_ = {};
    original_ = 0;
  }
  [[nodiscard]] bool is_over() const { return ends_[0].has_said_all() && ends_[1].has_said_all(); }

  static constexpr std::uint64_t kSeeds = 6;
  static constexpr std::uint64_t kStepsMax = 5'000'000;
  std::mt19937_64 random_;
  std::array<End, 2> ends_{End{1, 1, 0, 1}, End{1, 1, 0, 1}};
  std::array<Network, 2> near_;  // From an end to the connection.
  std::array<Network, 2> far_;   // And on.
  std::array<std::uint32_t, 2> first_{};
  unsigned lost_ = 0;
  bool answers_ = false;  // The answering end has heard of the connection.
  TcpConnection connection_;
  FlowProgress progress_;
  std::size_t original_ = 0;
};

TEST_P(HonestEnds, AreNeverDropped) {
  for (std::uint64_t seed = 1; seed <= kSeeds; ++seed) {
    start(seed);
    std::uint64_t steps = 0;
    for (; !is_over() && steps < kStepsMax; ++steps) {
      step(true);
      ASSERT_FALSE(HasFatalFailure()) << "seed " << seed << ", step " << steps;
    }
    EXPECT_TRUE(is_over()) << "seed " << seed;
    EXPECT_EQ(progress_.state, FlowState::closing) << "seed " << seed;
  }
}

/// The same where the connection is met on its way, and the first packet may be any.
TEST_P(HonestEnds, AreNeverDroppedWhenPickedUp) {
  for (std::uint64_t seed = 1; seed <= kSeeds; ++seed) {
    start(seed);
    const std::uint64_t unseen = 500 + below(20'000);
    for (std::uint64_t steps = 0; !is_over() && steps < kStepsMax; ++steps) {
      const bool both_open = ends_[0].is_open() && ends_[1].is_open();
      step(steps > unseen && (both_open || progress_.state != FlowState::none));
      ASSERT_FALSE(HasFatalFailure()) << "seed " << seed << ", step " << steps;
    }
    EXPECT_TRUE(is_over()) << "seed " << seed;
  }
}

INSTANTIATE_TEST_SUITE_P(
    Worlds,
    HonestEnds,
    testing::Values(World{"small", 20'000, 1460, TcpSegment::kNoScale, 9'000, TcpSegment::kNoScale},
                    World{"one_scales", 65'535, 1460, 7, 60'000, TcpSegment::kNoScale},
                    World{"both_scale", 500'000, 1460, 4, 200'000, 3},
                    World{"super_packets", 4'000'000, 65'000, 7, 3'000'000, 9},
                    World{"tiny_windows", 1000, 500, 0, 700, 0}),
    [](const auto& world) { return world.param.name; });

}  // namespace
}  // namespace portcullis::dataplane
