// SPDX-License-Identifier: MIT
#include "dataplane/flow_state.h"

namespace portcullis::dataplane {
namespace {

using enum FlowState;
using Event = Packet::Event;

FlowProgress advance_connected(FlowProgress progress, Event event, bool is_reply) {
  if (event == Event::abort) {
    progress.state = closing;
    return progress;
  }
  if (event == Event::finish) {
    (is_reply ? progress.finished_reply : progress.finished_original) = true;
    if (progress.finished_reply && progress.finished_original) {
      progress.state = closing;
      return progress;
    }
  }
  if (progress.state == opening && is_reply && (event == Event::accept || event == Event::begin)) {
    progress.state = accepted;
  } else if (progress.state == accepted && !is_reply && event != Event::begin) {
    progress.state = established;
  }
  return progress;
}

}  // namespace

std::string_view to_string(FlowState state) noexcept {
  constexpr std::array<std::string_view, kFlowStates> kNames{
      "none", "opening", "accepted", "established", "closing"};
  return kNames[static_cast<std::size_t>(state)];
}

FlowProgress advance(FlowProgress progress,
                     std::uint8_t protocol,
                     Event event,
                     bool is_reply) noexcept {
  if (is_connected(protocol)) {
    return advance_connected(progress, event, is_reply);
  }
  if (is_reply) {
    progress.state = established;
  }
  return progress;
}

FlowProgress begin(std::uint8_t protocol, Event event) noexcept {
  // A connection picked up in mid-stream has both ends' consent already.
  const bool in_midstream = is_connected(protocol) && event != Event::begin;
  return {.state = in_midstream ? established : opening,
          .finished_original = event == Event::finish};
}

bool may_begin(const Packet& packet, bool loose) noexcept {
  if (packet.kind != Packet::Kind::flow || packet.answer) {
    return false;
  }
  switch (packet.tuple.protocol) {
    case classifier::kProtocolTcp:
      return packet.event == Event::begin ||
             // A later fragment has no numbers to pick a connection up by.
             (loose && packet.l4_offset != 0 &&
              (packet.event == Event::data || packet.event == Event::finish));
    case classifier::kProtocolSctp:
      return packet.event == Event::begin;
    default:
      return true;
  }
}

FlowTimeouts::FlowTimeouts(const config::Conntrack& config) {
  const auto ns = [](std::uint32_t seconds) { return seconds * std::uint64_t{1'000'000'000}; };
  const std::uint64_t closing = ns(config.tcp_closing_timeout_s);
  const std::uint64_t syn = ns(config.tcp_syn_timeout_s);
  const std::uint64_t sctp = ns(config.sctp_timeout_s);
  const std::uint64_t icmp = ns(config.icmp_timeout_s);
  const std::uint64_t datagram = ns(config.udp_timeout_s);
  // Rows and columns: as Row and FlowState.
  ns_ = {{{0, syn, syn, ns(config.tcp_established_timeout_s), closing},
          {0, sctp, sctp, sctp, closing},
          {icmp, icmp, icmp, icmp, icmp},
          {datagram, datagram, datagram, datagram, datagram}}};
}

}  // namespace portcullis::dataplane
