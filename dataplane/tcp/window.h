// SPDX-License-Identifier: MIT
// The sequence numbers of a TCP connection: what both ends have said, and whether one more segment
// may be theirs. After G. van Rooij, "Real Stateful TCP Packet Filtering in IP Filter", and RFC
// 5961, by which an end itself tells a forged RST or SYN.
// Thread: any; plain values. Units: bytes, modulo 2^32.
//
// Each side has a last byte that it sent (end), one that it may send (limit, what its peer
// acknowledged and the window after it), and one up to which it has all of its peer's (acked).
// A segment of bytes [seq, end), with its ack, fits where
//
//   1. seq <= limit + 1                                it begins where the peer has room;
//   2. end >= side.end - window of the peer - slack    what is older was acknowledged long ago;
//   3. ack <= peer.end                                 it acknowledges what was sent;
//   4. ack >= peer.end - window of the side - slack    and not what nobody waits for.
//
// The first is about where it begins and not where it ends: so receivers judge. A probe of a closed
// window passes, and so does what its sender says behind that one byte. The windows of 2 and 4 are
// the largest ever told.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>

#include "dataplane/flow_state.h"
#include "dataplane/packet/headers.h"
#include "dataplane/tcp/segment.h"

namespace portcullis::dataplane {

/// Where a segment meets its connection.
struct TcpPlace {
  FlowState state = FlowState::none;
  bool is_reply = false;
};

enum class TcpJudgement : std::uint8_t {
  believe,        // It is of the connection, and may move it on.
  pass,           // It may go on its way and changes nothing: who receives it can tell.
  out_of_window,  // Neither.
  invalid_reset,  // The same, of a RST.
};

/// | original | reply |, each | end 4 | limit 4 | acked 4 | window 2 | scale 1 | offered, marks 1 |
class alignas(32) TcpConnection {
 public:
  /// The connection that a SYN begins. The same object serves one connection after another.
  void begin(const TcpSegment& syn) noexcept;
  /// One whose beginning nobody saw. Its windows may be as large as there are, and it may have sent
  /// more than was seen: what is acknowledged counts as sent.
  void pick_up(const TcpSegment& first) noexcept;

  /// Judges one more segment, and learns from it what it believes.
  /// Cost: no allocation; one branch that is nearly never taken, for SYN, FIN, RST and the
  /// handshake.
  TcpJudgement judge(const TcpSegment& segment, const TcpPlace& place) noexcept;

  static constexpr std::uint32_t kLargestWindow = std::uint32_t{65'535} << wire::kTcpScaleMax;
  /// What 2 and 4 let be older than a window: segments that overtook each other, keep-alives, and
  /// as much as a first fragment may have counted for too long.
  static constexpr std::uint32_t kSlack = 65'536;

 private:
  struct Side {
    std::uint32_t end = 0;
    std::uint32_t limit = 0;
    std::uint32_t acked = 0;
    std::uint16_t window = 0;  // The largest told, in units of 1 << scale.
    std::uint8_t scale = 0;    // In force: of every window that this side tells.
    std::uint8_t offered : 4 = TcpSegment::kNoScale;
    bool picked_up : 1 = false;
    bool challenged : 1 = false;  // It answered a SYN with a mere ACK, of `acked`.

    [[nodiscard]] std::uint32_t largest_window() const { return std::uint32_t{window} << scale; }
  };

  static bool is_before(std::uint32_t a, std::uint32_t b) {
    return static_cast<std::int32_t>(a - b) < 0;
  }
  static std::uint32_t later(std::uint32_t a, std::uint32_t b) { return is_before(a, b) ? b : a; }

  static Side side_of(const TcpSegment& syn) noexcept;
  static void agree_on_scales(Side& first, Side& second) noexcept;
  static void join(Side& first, Side& second, const TcpSegment& syn, std::uint32_t ack) noexcept;
  static bool follow(Side& from, Side& to, const TcpSegment& segment) noexcept;

  TcpJudgement judge_with_care(const TcpSegment& segment, const TcpPlace& place) noexcept;
  TcpJudgement judge_opening(const TcpSegment& segment, bool is_reply) noexcept;
  TcpJudgement judge_syn(const TcpSegment& segment, const TcpPlace& place) noexcept;
  TcpJudgement judge_syn_ack(TcpSegment segment, const TcpPlace& place) noexcept;
  [[nodiscard]] TcpJudgement judge_reset(const TcpSegment& segment,
                                         const TcpPlace& place) const noexcept;

  std::array<Side, 2> sides_;
};
static_assert(sizeof(TcpConnection) == 32);

// What every TCP packet needs, here to be inlined.

inline bool TcpConnection::follow(Side& from, Side& to, const TcpSegment& segment) noexcept {
  const std::uint32_t end = segment.end();
  const std::uint32_t sent = to.picked_up ? to.limit : to.end;
  // The sign of any says no: four branches would be four to predict.
  const std::uint32_t signs =
      (from.limit + 1 - segment.seq) | (end - (from.end - to.largest_window() - kSlack)) |
      (sent - segment.ack) | (segment.ack - (to.end - from.largest_window() - kSlack));
  if (static_cast<std::int32_t>(signs) < 0) [[unlikely]] {
    return false;
  }
  from.end = later(from.end, end);
  from.acked = later(from.acked, segment.ack);
  from.window = std::max(from.window, segment.window);
  to.limit = later(to.limit, segment.ack + (std::uint32_t{segment.window} << from.scale));
  if (to.picked_up) [[unlikely]] {
    to.end = later(to.end, segment.ack);
  }
  return true;
}

inline TcpJudgement TcpConnection::judge(const TcpSegment& segment,
                                         const TcpPlace& place) noexcept {
  constexpr std::uint8_t kRare = wire::kTcpSyn | wire::kTcpFin | wire::kTcpRst;
  if (segment.has(kRare) || place.state == FlowState::opening) [[unlikely]] {
    return judge_with_care(segment, place);
  }
  Side& from = sides_[place.is_reply ? 1 : 0];
  Side& to = sides_[place.is_reply ? 0 : 1];
  return follow(from, to, segment) ? TcpJudgement::believe : TcpJudgement::out_of_window;
}

}  // namespace portcullis::dataplane
