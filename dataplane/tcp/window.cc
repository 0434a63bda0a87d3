// SPDX-License-Identifier: MIT
#include "dataplane/tcp/window.h"

#include <utility>

namespace portcullis::dataplane {

using enum TcpJudgement;

/// A side that said no more than its SYN. It may send nothing behind the SYN until it knows a
/// window: a SYN with payload (RFC 7413) ends later.
TcpConnection::Side TcpConnection::side_of(const TcpSegment& syn) noexcept {
  Side side;
  side.end = syn.end();
  side.limit = syn.seq + 1;
  side.window = syn.window;
  side.offered = syn.scale & 0xfU;
  return side;
}

void TcpConnection::begin(const TcpSegment& syn) noexcept {
  sides_ = {side_of(syn), Side{}};
}

void TcpConnection::pick_up(const TcpSegment& first) noexcept {
  auto& [original, reply] = sides_;
  original = {.end = first.end(),
              .limit = first.end() + kLargestWindow,
              .acked = first.ack,
              .window = 0xffff,
              .scale = wire::kTcpScaleMax,
              .picked_up = true};
  // Of the other side only what the first packet says of it. It may lack much that went before.
  reply = {.end = first.ack,
           .limit = first.ack + kLargestWindow,
           .acked = first.seq - kLargestWindow / 2,
           .window = 0xffff,
           .scale = wire::kTcpScaleMax,
           .picked_up = true};
}

/// Scales hold where both offered one, and not for the windows in the SYNs.
void TcpConnection::agree_on_scales(Side& first, Side& second) noexcept {
  constexpr std::uint32_t kWindowMax = 0xffff;
  const bool both = first.offered != TcpSegment::kNoScale && second.offered != TcpSegment::kNoScale;
  for (Side* side : {&first, &second}) {
    const std::uint32_t bytes = side->largest_window();
    side->scale = both ? side->offered : std::uint8_t{0};
    const std::uint32_t units = (bytes + (1U << side->scale) - 1) >> side->scale;
    side->window = static_cast<std::uint16_t>(std::min(units, kWindowMax));
  }
}

/// The second SYN of a connection. `ack`: what its sender has of the first side.
void TcpConnection::join(Side& first,
                         Side& second,
                         const TcpSegment& syn,
                         std::uint32_t ack) noexcept {
  second = side_of(syn);
  second.acked = ack;
  second.limit += first.largest_window();
  first.acked = syn.seq;
  first.limit = later(first.limit, ack + syn.window);
  agree_on_scales(first, second);
}

TcpJudgement TcpConnection::judge_with_care(const TcpSegment& segment,
                                            const TcpPlace& place) noexcept {
  if (segment.has(wire::kTcpRst)) {
    return judge_reset(segment, place);
  }
  if (segment.has(wire::kTcpSyn)) {
    return segment.has(wire::kTcpAck) ? judge_syn_ack(segment, place) : judge_syn(segment, place);
  }
  if (place.state == FlowState::opening) {
    return judge_opening(segment, place.is_reply);
  }
  Side& from = sides_[place.is_reply ? 1 : 0];
  Side& to = sides_[place.is_reply ? 0 : 1];
  const bool is_new = is_before(to.acked, segment.end());
  if (!follow(from, to, segment)) {
    return out_of_window;
  }
  // A FIN that its receiver has acknowledged was believed before. One that is merely old enough to
  // look so is not to end anything.
  return is_new ? believe : pass;
}

/// Neither SYN nor RST, before both sides have told their numbers. One answer makes sense: an end
/// that has a connection already on these ports says so by an ACK of what it has (RFC 5961), upon
/// which the other resets it and tries again.
TcpJudgement TcpConnection::judge_opening(const TcpSegment& segment, bool is_reply) noexcept {
  if (!is_reply || segment.has(wire::kTcpFin) || segment.length > 0) {
    return out_of_window;
  }
  sides_[1].acked = segment.ack;
  sides_[1].challenged = true;
  return pass;
}

/// In a connection that is open a SYN changes nothing, wherever it lies, and passes: it may come
/// from an end that has started anew. Its peer answers with an ACK, it resets the old connection in
/// the exact place, and its next SYN finds this one closing.
TcpJudgement TcpConnection::judge_syn(const TcpSegment& segment, const TcpPlace& place) noexcept {
  auto& [original, reply] = sides_;
  if (place.state == FlowState::opening) {
    if (place.is_reply) {
      join(original, reply, segment, original.limit);
    } else if (segment.seq + 1 != original.limit) {
      begin(segment);  // Its sender tries again, from another beginning.
    } else {
      original.window = std::max(original.window, segment.window);
    }
    return believe;
  }
  const Side& from = sides_[place.is_reply ? 1 : 0];
  return place.state == FlowState::accepted && segment.end() == from.end ? believe : pass;
}

TcpJudgement TcpConnection::judge_syn_ack(TcpSegment segment, const TcpPlace& place) noexcept {
  auto& [original, reply] = sides_;
  if (place.state == FlowState::opening) {
    // Payload in the SYN may be acknowledged or not.
    if (!place.is_reply || is_before(segment.ack, original.limit) ||
        is_before(original.end, segment.ack)) {
      return out_of_window;
    }
    join(original, reply, segment, segment.ack);
    return believe;
  }
  // An answer to a repeated SYN may have another beginning: the sender forgot the first, or counts
  // its SYN cookies on.
  if (place.state == FlowState::accepted && place.is_reply && segment.seq != original.acked &&
      (segment.ack == reply.acked || segment.ack == original.end)) {
    join(original, reply, segment, segment.ack);
    return believe;
  }
  // Late, or once more. Its window is not scaled.
  Side& from = place.is_reply ? reply : original;
  Side& to = place.is_reply ? original : reply;
  const std::uint32_t window = std::exchange(segment.window, std::uint16_t{0});
  if (!follow(from, to, segment)) {
    return out_of_window;
  }
  to.limit = later(to.limit, segment.ack + window);
  return believe;
}

/// A RST is believed only in the one place where its receiver believes it, which is the next byte
/// that it awaits (RFC 5961), or behind all that its sender has sent. One elsewhere in the window
/// goes on: its receiver asks back, and the answer is exact.
TcpJudgement TcpConnection::judge_reset(const TcpSegment& segment,
                                        const TcpPlace& place) const noexcept {
  const auto& [original, reply] = sides_;
  const auto is_within = [](std::uint32_t first, std::uint32_t number, std::uint32_t last) {
    return !is_before(number, first) && !is_before(last, number);
  };
  if (place.state == FlowState::opening) {
    if (place.is_reply) {
      const bool answers =
          segment.has(wire::kTcpAck) && is_within(original.limit, segment.ack, original.end);
      return answers ? believe : invalid_reset;
    }
    if (is_within(original.limit, segment.seq, original.end)) {
      return believe;
    }
    return reply.challenged && segment.seq == reply.acked ? pass : invalid_reset;
  }
  const Side& from = place.is_reply ? reply : original;
  const Side& to = place.is_reply ? original : reply;
  if (segment.seq == to.acked || segment.seq == from.end) {
    return believe;
  }
  return is_within(to.acked, segment.seq, from.limit) ? pass : invalid_reset;
}

}  // namespace portcullis::dataplane
