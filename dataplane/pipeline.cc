// SPDX-License-Identifier: MIT
#include "dataplane/pipeline.h"

#include <algorithm>
#include <array>
#include <new>

#include "base/check.h"
#include "base/huge_pages.h"
#include "base/limits.h"
#include "classifier/lookup.h"
#include "dataplane/conntrack.h"
#include "dataplane/counters.h"
#include "dataplane/flows/query.h"
#include "dataplane/flows/questions.h"
#include "dataplane/flows/step.h"
#include "dataplane/fragments.h"
#include "dataplane/keyed_hash.h"
#include "dataplane/packet/fragment.h"
#include "dataplane/packet/headers.h"
#include "dataplane/packet/non_ip.h"
#include "dataplane/packet/parse.h"
#include "dataplane/packet/tunnel.h"
#include "dataplane/quota/namespace_map.h"
#include "dataplane/source_guard.h"
#include "dataplane/tcp/window.h"

namespace portcullis::dataplane {
namespace {

using classifier::Key4;
using classifier::Key6;
using classifier::Verdict;
using Kind = Packet::Kind;

/// Frames are asked for so far ahead of their parsing.
constexpr std::size_t kFramesAhead = 6;
/// Entries are asked for so far behind their buckets.
constexpr std::size_t kEntriesBehind = 16;

/// Whether its verdict is the one that counts.
bool is_current(const FlowEntry& flow, const Generation& generation) {
  return flow.epoch == generation.epoch || flow.epoch < generation.kept_before;
}

struct Subject {
  const FlowTuple& tuple;
  std::uint8_t tcp_flags = 0;
};

Outcome dropped(const Packet& packet, DropReason reason) {
  return {.action = Outcome::Action::drop, .reason = reason, .l3_offset = packet.l3_offset};
}

Outcome forwarded(const Packet& packet, Verdict verdict, bool is_reply) {
  return {.action = Outcome::Action::forward,
          .reason = DropReason::none,
          .is_reply = is_reply,
          .l3_offset = packet.l3_offset,
          .verdict = verdict};
}

}  // namespace

struct Pipeline::State {
  explicit State(const PipelineOptions& options)
      : conntrack(options.conntrack, random_seed()),
        fragments(random_seed(), options.fragments_held_max),
        guard(options.sources, options.ports),
        tunnels(options.tunnels),
        non_ip(options.non_ip),
        loose(options.conntrack.tcp_loose.value_or(false)),
        follows_tcp(options.conntrack.tcp_window != config::TcpWindow::off) {
    if (follows_tcp) {
      tcp.resize(options.conntrack.flows_max);
    }
  }

  /// The burst being processed, as its steps see it.
  struct Burst {
    const Generation& generation;
    std::uint64_t now_ns;
    std::span<std::uint64_t> resets;      // By rule.
    std::uint64_t conntrack_version = 0;  // When the flows were found.
  };

  void read(const Frame& frame, Step& step);
  void parse_all(std::span<const Frame> frames);
  void find_all(Burst& burst, std::span<Outcome> outcomes);
  [[nodiscard]] bool goes_on(const Burst& burst, Step& step);
  // Outcomes are written where they stay: passed through registers, one would be put together in
  // pieces and waited for.
  void settle(const Burst& burst, Step& step, Outcome& outcome);
  void settle_fragment(const Burst& burst, Step& step, const Frame& frame, Outcome& outcome);
  void settle_unknown(const Burst& burst, Step& step, Question question, Outcome& outcome);
  void settle_known(const Burst& burst, Step& step, Question question, Outcome& outcome);
  void go_on(const Burst& burst, const Step& step, Outcome& outcome);
  [[nodiscard]] bool believes(const Step& step, Outcome& outcome);

  [[nodiscard]] Question question_of(const Step& step, const Generation& generation);
  void ask(Step& step);
  [[nodiscard]] Subject subject_of(const Step& step, Question question);
  [[nodiscard]] Verdict answer(const Burst& burst, const Step& step, Question question);
  void count(std::span<const Frame> frames,
             std::span<const Outcome> outcomes,
             std::span<std::uint64_t> rule_hits);
  void count_reset(const Burst& burst, const FlowEntry& flow);
  void count_flows();
  void count_released();

  Counters counters;
  std::array<Step, limits::kBurstMax> steps;
  std::array<std::uint8_t, limits::kBurstMax> open;  // Steps that find_all() has not settled.
  std::size_t open_count = 0;
  Conntrack conntrack;
  FlowMailbox mailbox;
  HugeVector<TcpConnection> tcp;  // Of the conntrack entry of the same index; none if not followed.
  Fragments fragments;
  SourceGuard guard;
  const Tunnels tunnels;
  const NonIp non_ip;
  Questions<Key4> questions4;
  Questions<Key6> questions6;
  const bool loose;
  const bool follows_tcp;
};

Pipeline::Pipeline(const PipelineOptions& options) : state_(std::make_unique<State>(options)) {}
Pipeline::~Pipeline() = default;

void Pipeline::process(const Generation& generation,
                       std::uint64_t now_ns,
                       std::span<const Frame> frames,
                       std::span<Outcome> outcomes,
                       const RuleCounts& rule_counts) noexcept {
  PORTCULLIS_CHECK(frames.size() <= limits::kBurstMax && outcomes.size() >= frames.size());
  State& state = *state_;
  State::Burst burst{.generation = generation, .now_ns = now_ns, .resets = rule_counts.resets};
  state.fragments.begin();
  StageTimer timer(state.counters.stage_cycles);
  state.parse_all(frames);
  timer.end(Stage::parse);
  state.find_all(burst, outcomes.first(frames.size()));
  timer.end(Stage::conntrack);
  state.questions4.look_up(*generation.table);
  state.questions6.look_up(*generation.table);
  timer.end(Stage::classify);
  // In order: a reply may follow the packet that began its flow in this very burst.
  for (const std::uint8_t i : std::span(state.open).first(state.open_count)) {
    Step& step = state.steps[i];
    if (step.packet.fragmented && (step.packet.kind != Kind::drop || drops_datagram(step.packet)))
        [[unlikely]] {
      state.settle_fragment(burst, step, frames[i], outcomes[i]);
    } else {
      state.settle(burst, step, outcomes[i]);
    }
  }
  timer.end(Stage::settle);
  state.count(frames, outcomes.first(frames.size()), rule_counts.hits);
  timer.end(Stage::count);
}

void Pipeline::expire(std::uint64_t now_ns) noexcept {
  state_->fragments.begin();
  state_->fragments.expire(now_ns);
  state_->conntrack.expire(now_ns);
  state_->count_flows();
  state_->count_released();
}

FlowMailbox& Pipeline::mailbox() noexcept {
  return state_->mailbox;
}

bool Pipeline::answer(std::uint64_t now_ns) noexcept {
  FlowQuery* const query = state_->mailbox.asked();
  if (query == nullptr) {
    return false;
  }
  const bool over = query->step(state_->conntrack, now_ns);
  state_->count_flows();  // Before the asker goes on, who may look at the counters next.
  if (over) {
    state_->mailbox.let_go();
  }
  return true;
}

std::span<const Released> Pipeline::released() const noexcept {
  return state_->fragments.released();
}

void Pipeline::release_all() noexcept {
  state_->fragments.begin();
  state_->fragments.release_all();
  state_->count_released();
}

void Pipeline::exchange_sources(PortIndex port, std::vector<IpAddress>& addresses) noexcept {
  state_->guard.exchange(port, addresses);
}

const Counters& Pipeline::counters() const noexcept {
  return state_->counters;
}

/// A frame to a packet, and its flow's bucket asked for. Inlined by force: for gcc it is too large,
/// and the call costs 2 to 4 cycles.
[[gnu::always_inline]] inline void Pipeline::State::read(const Frame& frame, Step& step) {
  const std::span<const std::uint8_t> bytes(frame.data, frame.length);
  step.frame = &frame;
  // In place: a copy of what was just written in pieces would wait for all of them.
  ::new (&step.packet) Packet(parse(bytes, frame.wire_length));
  if (step.packet.kind == Kind::drop) [[unlikely]] {
    non_ip.admit(bytes, step.packet);
  } else if (!guard.allows(frame.port, step.packet, bytes)) {
    step.packet.kind = Kind::drop;
    step.packet.reason = DropReason::invalid_source;
  }
  if (tunnels.any()) {
    tunnels.look_inside(bytes, step.packet);
  }
  if (has_flow(step)) {
    step.hash = conntrack.hash(step.packet.tuple);
    conntrack.prefetch_bucket(step.hash);
  }
}

/// Asks for each thing well before it is read: a frame, then its flow's bucket, then its entry.
void Pipeline::State::parse_all(std::span<const Frame> frames) {
  const std::size_t count = frames.size();
  for (std::size_t i = 0; i < count + kEntriesBehind; ++i) {
    if (i < count) {
      __builtin_prefetch(frames[std::min(i + kFramesAhead, count - 1)].data);
      read(frames[i], steps[i]);
    }
    if (i >= kEntriesBehind) {
      Step& step = steps[i - kEntriesBehind];
      step.found.index =
          has_flow(step) ? conntrack.prefetch_entries(step.hash) : Conntrack::kNoEntry;
      if (follows_tcp && step.found.index != Conntrack::kNoEntry && is_tcp_segment(step.packet)) {
        __builtin_prefetch(&tcp[step.found.index], 1);
      }
    }
  }
}

/// Finds flows, and settles at once what goes on with one: nearly every packet, while its flow's
/// entry is at hand. Questions are asked for the others. What follows one of them in the same flow
/// waits for it, to be settled in order; between flows order means nothing.
void Pipeline::State::find_all(Burst& burst, std::span<Outcome> outcomes) {
  questions4.count = 0;
  questions6.count = 0;
  open_count = 0;
  std::uint64_t waiting = 0;  // A bit for each hash of an open flow, and maybe of others.
  for (std::size_t i = 0; i < outcomes.size(); ++i) {
    Step& step = steps[i];
    const std::uint64_t bit = std::uint64_t{1} << (step.hash >> 58U);
    if (goes_on(burst, step) && (waiting & bit) == 0) [[likely]] {
      outcomes[i] =
          forwarded(step.packet, conntrack.entry(step.found.index).verdict, step.found.is_reply);
      go_on(burst, step, outcomes[i]);
      continue;
    }
    open[open_count++] = static_cast<std::uint8_t>(i);
    // Of a later fragment the flow is not known yet.
    waiting |= step.packet.fragmented ? ~std::uint64_t{0} : has_flow(step) ? bit : 0;
    step.question = question_of(step, burst.generation);
    ask(step);
  }
  burst.conntrack_version = conntrack.version();
}

/// Finds the flow of a packet. True: it is one more packet of a known and current one.
bool Pipeline::State::goes_on(const Burst& burst, Step& step) {
  if (!has_flow(step)) {
    return false;
  }
  const Packet& packet = step.packet;
  if (!conntrack.confirm(step.found, packet.tuple, packet.answer, burst.now_ns)) [[unlikely]] {
    step.found = conntrack.find(sought_of(step), burst.now_ns);
  }
  return step.found && packet.kind == Kind::flow && !packet.fragmented &&
         packet.event != Packet::Event::begin &&
         is_current(conntrack.entry(step.found.index), burst.generation);
}

Question Pipeline::State::question_of(const Step& step, const Generation& generation) {
  const Packet& packet = step.packet;
  if (packet.kind == Kind::stateless) {
    return Question::packet;
  }
  if (!step.found) {
    return may_begin(packet, loose) ? Question::packet : Question::none;
  }
  const FlowEntry& flow = conntrack.entry(step.found.index);
  // A connection opened against the direction of a known one, or after its end, is a new one: the
  // verdict of the old says nothing about it.
  const bool begins_anew = packet.kind == Kind::flow && packet.event == Packet::Event::begin &&
                           is_connected(packet.tuple.protocol) &&
                           (step.found.is_reply || flow.state == FlowState::closing);
  if (begins_anew) {
    return Question::packet;
  }
  return is_current(flow, generation) ? Question::none : Question::flow;
}

void Pipeline::State::ask(Step& step) {
  if (step.question == Question::none) {
    return;
  }
  const auto [tuple, tcp_flags] = subject_of(step, step.question);
  step.slot = tuple.family == Family::v4 ? questions4.ask(key4_of(tuple, tcp_flags))
                                         : questions6.ask(key6_of(tuple, tcp_flags));
}

/// What a question is about.
Subject Pipeline::State::subject_of(const Step& step, Question question) {
  if (question == Question::packet) {
    return {step.packet.tuple, step.packet.tcp_flags};
  }
  const FlowTuple& tuple = conntrack.entry(step.found.index).tuple;
  return {tuple, first_tcp_flags(tuple)};
}

Verdict Pipeline::State::answer(const Burst& burst, const Step& step, Question question) {
  // Flows that were added in this burst are of its epoch, so a question about a flow can only be
  // the one that was asked before.
  const auto [tuple, tcp_flags] = subject_of(step, question);
  if (step.question == question) {
    return tuple.family == Family::v4 ? questions4.answers[step.slot]
                                      : questions6.answers[step.slot];
  }
  // Rare: an earlier packet of this burst ended the flow that was found for this one.
  Verdict verdict;
  if (tuple.family == Family::v4) {
    const Key4 key = key4_of(tuple, tcp_flags);
    classifier::lookup(*burst.generation.table, std::span(&key, 1), std::span(&verdict, 1));
  } else {
    const Key6 key = key6_of(tuple, tcp_flags);
    classifier::lookup(*burst.generation.table, std::span(&key, 1), std::span(&verdict, 1));
  }
  return verdict;
}

void Pipeline::State::settle(const Burst& burst, Step& step, Outcome& outcome) {
  const Packet& packet = step.packet;
  if (packet.kind == Kind::drop) {
    outcome = dropped(packet, packet.reason);
    return;
  }
  if (non_ip.refuses_arp(packet)) {
    outcome = dropped(packet, DropReason::unsupported_l3);
    return;
  }
  if (packet.kind == Kind::link || packet.kind == Kind::unread) {
    outcome = {
        .action = Outcome::Action::link, .reason = DropReason::none, .l3_offset = packet.l3_offset};
    return;
  }
  if (packet.kind != Kind::stateless && conntrack.version() != burst.conntrack_version) {
    step.found = conntrack.find(sought_of(step), burst.now_ns);
  }
  const Question question = question_of(step, burst.generation);
  if (question == Question::packet || !step.found) {
    settle_unknown(burst, step, question, outcome);
  } else {
    settle_known(burst, step, question, outcome);
  }
  outcome.judged = question != Question::none;
}

/// A first fragment is settled like a whole packet, and a later one like one more packet of the
/// same flow: by the generation of now, and gone when the flow is.
void Pipeline::State::settle_fragment(const Burst& burst,
                                      Step& step,
                                      const Frame& frame,
                                      Outcome& outcome) {
  const std::span<const std::uint8_t> bytes(frame.data, frame.length);
  const Fragment fragment = fragment_of(bytes, step.packet);
  const DatagramKey key = datagram_of(bytes, step.packet, fragment);
  const std::uint16_t l3_offset = step.packet.l3_offset;
  const Fragments::Seen seen = fragments.see(key, frame.port, fragment, l3_offset, burst.now_ns);
  if (seen.next == Fragments::Next::nothing) {
    outcome = seen.outcome;
    return;
  }
  if (seen.next == Fragments::Next::judge) {
    settle(burst, step, outcome);
    fragments.decide(seen.datagram, step.packet, outcome, burst.now_ns);
    return;
  }
  step.packet = fragments.first(seen.datagram);
  step.packet.event = Packet::Event::data;
  step.packet.l4_offset = 0;
  step.packet.l3_offset = l3_offset;
  if (step.packet.kind != Kind::stateless) {
    step.hash = conntrack.hash(step.packet.tuple);
    step.found = conntrack.find(sought_of(step), burst.now_ns);
  }
  settle(burst, step, outcome);
  fragments.follow(seen.datagram, outcome);
}

/// A packet that stands for itself: stateless, of no known flow, or beginning one anew.
void Pipeline::State::settle_unknown(const Burst& burst,
                                     Step& step,
                                     Question question,
                                     Outcome& outcome) {
  const Packet& packet = step.packet;
  if (question == Question::none) {
    outcome = dropped(packet, DropReason::not_a_new_flow);
    return;
  }
  const Verdict verdict = answer(burst, step, question);
  if (!verdict.allowed()) {
    outcome = dropped(packet, DropReason::policy_denied);
    outcome.verdict = verdict;
    return;
  }
  outcome = forwarded(packet, verdict, false);
  if (packet.kind == Kind::stateless) {
    return;
  }
  if (step.found) {
    if (conntrack.entry(step.found.index).state != FlowState::closing) {
      // Both ends open the same connection at once, and policy allows either to: one flow.
      go_on(burst, step, outcome);
      return;
    }
    conntrack.remove(step.found.index);
  }
  const NamespaceMap* const namespaces = burst.generation.namespaces.get();
  const std::uint32_t index = conntrack.insert(
      {.tuple = packet.tuple,
       .event = packet.event,
       .verdict = verdict,
       .epoch = burst.generation.epoch,
       .quota = namespaces != nullptr ? namespaces->payer_of(packet.tuple) : NamespaceQuota{}},
      step.hash,
      burst.now_ns);
  if (index == Conntrack::kNoEntry || index == Conntrack::kOverQuota) {
    outcome.action = Outcome::Action::drop;
    outcome.reason =
        index == Conntrack::kNoEntry ? DropReason::conntrack_full : DropReason::conntrack_quota;
    return;
  }
  counters.flows_created.add();
  if (follows_tcp && is_tcp_segment(packet)) {
    const bool begins = packet.event == Packet::Event::begin;
    begins ? tcp[index].begin(segment_of(step)) : tcp[index].pick_up(segment_of(step));
  }
}

/// A packet of a known flow, or an error about one.
void Pipeline::State::settle_known(const Burst& burst,
                                   Step& step,
                                   Question question,
                                   Outcome& outcome) {
  const Packet& packet = step.packet;
  FlowEntry& flow = conntrack.entry(step.found.index);
  if (question == Question::flow) {
    counters.revalidated.add();
    flow.verdict = answer(burst, step, question);
    flow.epoch = burst.generation.epoch;
    if (!flow.verdict.allowed()) {
      outcome = dropped(packet, DropReason::policy_denied);
      outcome.verdict = flow.verdict;
      counters.flows_revoked.add();
      conntrack.remove(step.found.index);
      return;
    }
  }
  if (packet.kind == Kind::related) {
    // An error neither keeps a flow alive nor moves it on, and goes against the quoted packet.
    outcome = forwarded(packet, flow.verdict, !step.found.is_reply);
    return;
  }
  outcome = forwarded(packet, flow.verdict, step.found.is_reply);
  go_on(burst, step, outcome);
}

/// One more packet of a flow that may be, where it is believed. REQUIRES: `outcome` forwards it.
[[gnu::always_inline]] inline void Pipeline::State::go_on(const Burst& burst,
                                                          const Step& step,
                                                          Outcome& outcome) {
  if (follows_tcp && is_tcp_segment(step.packet) && !believes(step, outcome)) [[unlikely]] {
    return;
  }
  if (conntrack.touch(step.found, step.packet.event, burst.now_ns)) [[unlikely]] {
    count_reset(burst, conntrack.entry(step.found.index));
  }
}

/// Whether a TCP segment may be its sender's, and move its flow on. If not, it may be dropped for
/// it.
bool Pipeline::State::believes(const Step& step, Outcome& outcome) {
  const TcpJudgement judgement = tcp[step.found.index].judge(
      segment_of(step),
      {.state = conntrack.entry(step.found.index).state, .is_reply = step.found.is_reply});
  if (judgement == TcpJudgement::believe) [[likely]] {
    return true;
  }
  if (judgement != TcpJudgement::pass) {
    outcome.action = Outcome::Action::drop;
    outcome.is_reply = false;
    outcome.reason = judgement == TcpJudgement::invalid_reset ? DropReason::tcp_invalid_reset
                                                              : DropReason::tcp_out_of_window;
  }
  return false;
}

/// Rule hits: each packet that was judged counts once for the rule that decided its source's egress
/// and once for the rule that decided its destination's ingress, whatever they decided.
void Pipeline::State::count(std::span<const Frame> frames,
                            std::span<const Outcome> outcomes,
                            std::span<std::uint64_t> rule_hits) {
  using Action = Outcome::Action;
  std::uint64_t bytes = 0;
  std::uint64_t dropped = 0;
  std::uint64_t link = 0;
  std::uint64_t held = 0;
  std::uint64_t replies = 0;
  std::uint64_t judged = 0;
  for (std::size_t i = 0; i < frames.size(); ++i) {
    const Outcome& outcome = outcomes[i];
    bytes += std::max(frames[i].length, frames[i].wire_length);
    dropped += outcome.action == Action::drop ? 1 : 0;
    link += outcome.action == Action::link ? 1 : 0;
    held += outcome.action == Action::hold ? 1 : 0;
    if (outcome.action == Action::drop) {
      counters.drops[static_cast<std::size_t>(outcome.reason)].add();
    }
    replies += outcome.is_reply ? 1 : 0;
    if (outcome.judged) {
      ++judged;
      RuleCounts::add(rule_hits, outcome.verdict.egress.rule());
      RuleCounts::add(rule_hits, outcome.verdict.ingress.rule());
    }
  }
  counters.packets.add(frames.size());
  counters.bytes.add(bytes);
  counters.forwarded.add(frames.size() - dropped - link - held);
  counters.dropped.add(dropped);
  counters.link.add(link);
  counters.held_ever.add(held);
  counters.replies.add(replies);
  counters.judged.add(judged);
  count_flows();
  count_released();
}

/// A rule of an earlier table has no counter any more.
void Pipeline::State::count_reset(const Burst& burst, const FlowEntry& flow) {
  counters.resets.add();
  if (flow.epoch == burst.generation.epoch) {
    RuleCounts::add(burst.resets, flow.verdict.egress.rule());
    RuleCounts::add(burst.resets, flow.verdict.ingress.rule());
  }
}

/// A frame that was held is counted as forwarded or dropped when it goes.
void Pipeline::State::count_released() {
  for (const Released& one : fragments.released()) {
    const bool forward = one.outcome.action == Outcome::Action::forward;
    (forward ? counters.forwarded : counters.dropped).add();
    if (!forward) {
      counters.drops[static_cast<std::size_t>(one.outcome.reason)].add();
    }
    counters.replies.add(one.outcome.is_reply ? 1 : 0);
  }
  counters.held.set(fragments.held());
}

void Pipeline::State::count_flows() {
  counters.flows.set(conntrack.size());
  counters.flows_expired.set(conntrack.expired());
  counters.flows_evicted.set(conntrack.evicted());
}

}  // namespace portcullis::dataplane
