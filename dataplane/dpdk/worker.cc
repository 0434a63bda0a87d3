// SPDX-License-Identifier: MIT
#include "dataplane/dpdk/worker.h"

#include <algorithm>
#include <utility>

#include <rte_cycles.h>
#include <rte_ethdev.h>
#include <rte_mbuf.h>
#include <rte_pause.h>
#include <unistd.h>

#include "dataplane/dpdk/buffer/super_packet.h"
#include "dataplane/dpdk/tsan.h"
#include "dataplane/packet/affinity.h"
#include "dataplane/packet/headers.h"
#include "dataplane/packet/partial_checksum.h"

namespace portcullis::dataplane {
namespace {

/// A worker that may sleep first polls this often in vain, then sleeps ever longer: a packet waits
/// less than a millisecond, and an idle daemon takes hardly any time.
constexpr std::uint32_t kPollsBeforeSleep = 64;
constexpr std::uint32_t kSleepMinUs = 50;
constexpr std::uint32_t kSleepMaxUs = 400;
/// Answers to denied packets: enough for every client that tries, too few to be a weapon.
constexpr std::uint64_t kRejectionsASecond = 10'000;
constexpr std::uint64_t kRejectionsBurst = 1'000;

/// Bursts of one inbox that are judged in one turn: as many packets as a busy worker hands over in
/// one.
constexpr unsigned kBurstsInATurn = 8;
/// Frames are asked for so far ahead of a look at their addresses.
constexpr std::size_t kFramesAhead = 6;

}  // namespace

/// Monotonic time from the processor's counter: no system call.
class Worker::Clock {
 public:
  Clock()
      : start_(rte_get_tsc_cycles()), ns_per_cycle_(1e9 / static_cast<double>(rte_get_tsc_hz())) {}
  [[nodiscard]] std::uint64_t now_ns() const noexcept {
    return static_cast<std::uint64_t>(static_cast<double>(rte_get_tsc_cycles() - start_) *
                                      ns_per_cycle_);
  }

 private:
  const std::uint64_t start_;
  const double ns_per_cycle_;
};

struct Worker::Poll {
  const Generation& generation;
  RuleCounts rule_counts;
  std::uint64_t now_ns;
};

Worker::Worker(const WorkerSetup& setup,
               TableSlot& slot,
               std::span<const std::unique_ptr<Port>> ports,
               const BufferPool& pool,
               AnyForwarder forwarder)
    : index_(setup.index),
      sleeps_(setup.sleeps),
      rejects_(setup.rejects),
      slot_(slot),
      closing_(setup.exchange->closing()),
      pool_(pool.get()),
      sources_(setup.exchange->share(setup.index).sources),
      inboxes_(setup.exchange->share(setup.index).inboxes),
      tunnels_(setup.pipeline.tunnels),
      pipeline_(setup.pipeline),
      transmit_(ports, pool, setup.exchange->share(setup.index)),
      forwarder_(std::move(forwarder)),
      rejections_(kRejectionsASecond, kRejectionsBurst) {
  const std::size_t ports_max = setup.exchange->share(setup.index).ports_max;
  sources_.reserve(ports_max);
  is_kernels_.reserve(ports_max);
  for (const std::unique_ptr<Port>& port : ports) {
    is_kernels_.push_back(port->is_kernels() ? 1 : 0);
  }
  if (!inboxes_.empty()) {
    for (Handover* const road : setup.exchange->share(setup.index).roads) {
      outboxes_.push_back({.road = road});
    }
  }
}

void Worker::run() noexcept {
  std::visit([this](auto& forwarder) { loop(forwarder); }, forwarder_);
}

template <Forwarder F>
void Worker::loop(F& forwarder) noexcept {
  const Clock clock;
  TableSlot::Reader reader(slot_, index_);
  reader.online();
  while (!stopping_.load(std::memory_order_acquire)) {
    turn(reader, clock.now_ns(), forwarder);
  }
  finish(reader, clock, forwarder);
}

template <Forwarder F>
void Worker::turn(TableSlot::Reader& reader, std::uint64_t now_ns, F& forwarder) noexcept {
  busy_.turn(now_ns, empty_polls_ == 0);
  if (PortChange* const change = port_mailbox_.posted(); change != nullptr) [[unlikely]] {
    take(*change, now_ns, forwarder);
    port_mailbox_.let_go();
  }
  const Generation& generation = reader.current();
  const Poll poll{generation, reader.counts(), now_ns};
  std::size_t received = 0;
  for (const Source& source : sources_) {
    received += serve(source, poll, forwarder);
  }
  for (Handover* const inbox : inboxes_) {
    received += serve_inbox(*inbox, poll, forwarder);
  }
  forwarder.tick(poll.now_ns, transmit_);
  const bool asked = pipeline_.answer(poll.now_ns);
  pipeline_.expire(poll.now_ns);
  let_go(poll.now_ns, forwarder);
  transmit_.flush();
  received += transmit_.carry();
  reader.quiescent();
  if (received > 0) {
    empty_polls_ = 0;
  } else if (!asked) {
    rest(reader);
  }
}

/// A port comes or goes. Nothing waits to be sent yet.
template <Forwarder F>
void Worker::take(PortChange& change, std::uint64_t now_ns, F& forwarder) noexcept {
  constexpr bool kRoutes = requires {
    forwarder.plug(change, now_ns, transmit_);
  };
  using Step = PortChange::Step;
  const PortIndex port = change.port;
  switch (change.step) {
    case Step::learn:
      is_kernels_.resize(std::max<std::size_t>(is_kernels_.size(), port + 1U));
      is_kernels_[port] = change.is_kernels ? 1 : 0;
      pipeline_.exchange_sources(port, change.sources);
      transmit_.open(change);
      if constexpr (kRoutes) {
        forwarder.plug(change, now_ns, transmit_);
      }
      break;
    case Step::serve:
      if (change.part.source) {
        sources_.push_back(*change.part.source);
      }
      break;
    case Step::rest:
      std::erase_if(sources_, [port](const Source& source) { return source.port == port; });
      break;
    case Step::forget:
      if constexpr (kRoutes) {
        forwarder.unplug(port, now_ns, transmit_);
      }
      transmit_.close(port);
      break;
    case Step::clear:
      transmit_.clear(port);
      break;
  }
}

/// The end, in step with the others: nobody receives any more; nobody judges; nobody sends.
template <Forwarder F>
void Worker::finish(TableSlot::Reader& reader, const Clock& clock, F& forwarder) noexcept {
  sources_.clear();
  closing_.receiving.fetch_sub(1, std::memory_order_acq_rel);
  bool last = false;
  do {
    // Asked ahead of the turn that empties the inboxes: nothing comes into them any more.
    last = closing_.receiving.load(std::memory_order_acquire) == 0;
    turn(reader, clock.now_ns(), forwarder);
  } while (!last || empty_polls_ == 0);
  pipeline_.release_all();
  let_go(clock.now_ns(), forwarder);
  transmit_.flush();
  closing_.judging.fetch_sub(1, std::memory_order_acq_rel);
  std::size_t carried = 0;
  do {
    last = closing_.judging.load(std::memory_order_acquire) == 0;
    carried = transmit_.carry();
    if (carried == 0) {
      rest(reader);
    }
  } while (!last || carried > 0);
}

/// Receives one burst of one queue, and settles what is this worker's; each packet in one piece.
template <Forwarder F>
std::size_t Worker::serve(const Source& source, const Poll& poll, F& forwarder) noexcept {
  std::array<rte_mbuf*, limits::kBurstMax> arrived;
  const std::uint16_t burst = rte_eth_rx_burst(
      source.device, source.queue, arrived.data(), static_cast<std::uint16_t>(arrived.size()));
  std::size_t count = 0;
  for (rte_mbuf* const packet : std::span(arrived).first(burst)) {
    tsan_acquire(packet);
    if (is_super_packet(packet)) [[unlikely]] {
      judge_own(source, std::exchange(count, 0), poll, forwarder);  // What came ahead of it.
      serve_super(packet, source, poll, forwarder);
      Transmit::consume(packet);
      continue;
    }
    // Buffers hold the largest frame, so this is what no port may send, or a device that splits
    // headers.
    if (packet->nb_segs > 1 && rte_pktmbuf_linearize(packet) != 0) {
      lose_unjudged(packet, DropReason::packet_too_big);
      continue;
    }
    count += admit(packet, count, source.port, forwarder);
  }
  judge_own(source, count, poll, forwarder);
  return burst;
}

/// Settles a super-packet as the segments that its sender meant, or loses all of it.
template <Forwarder F>
void Worker::serve_super(const rte_mbuf* packet,
                         const Source& source,
                         const Poll& poll,
                         F& forwarder) noexcept {
  const SegmentBurst segments = cut_super_packet(packet, pool_);
  if (segments.count == 0) {
    unjudged_.count(segments.reason);
    return;
  }
  super_packets_.add();
  std::size_t count = 0;
  for (rte_mbuf* const segment : std::span(segments.packets).first(segments.count)) {
    count += admit(segment, count, source.port, forwarder);
    if (count == limits::kBurstMax) {
      judge_own(source, std::exchange(count, 0), poll, forwarder);
    }
  }
  judge_own(source, count, poll, forwarder);
}

/// Puts a packet into that place of packets_ and frames_, or ends it where it is not for us. Says
/// how many that were.
template <Forwarder F>
std::size_t Worker::admit(rte_mbuf* packet,
                          std::size_t place,
                          PortIndex port,
                          const F& forwarder) noexcept {
  auto* const bytes = rte_pktmbuf_mtod(packet, std::uint8_t*);
  if (!forwarder.accepts({bytes, packet->data_len}, port)) {
    Transmit::consume(packet);
    return 0;
  }
  frames_[place] = {.data = bytes, .length = packet->data_len, .port = port};
  packets_[place] = packet;
  return 1;
}

/// Settles what is this worker's of the first `count`, and hands over the rest.
template <Forwarder F>
void Worker::judge_own(const Source& source,
                       std::size_t count,
                       const Poll& poll,
                       F& forwarder) noexcept {
  judge(source.shared ? keep_own(source, count) : count, poll, forwarder);
}

/// Settles what others have received and is this worker's.
template <Forwarder F>
std::size_t Worker::serve_inbox(Handover& inbox, const Poll& poll, F& forwarder) noexcept {
  std::size_t received = 0;
  std::size_t burst = limits::kBurstMax;
  for (unsigned round = 0; round < kBurstsInATurn && burst == limits::kBurstMax; ++round) {
    burst = inbox.take(packets_);
    std::size_t count = 0;
    for (rte_mbuf* const packet : std::span(packets_).first(burst)) {
      const Tag tag = tag_of(packet);
      auto* const bytes = rte_pktmbuf_mtod(packet, std::uint8_t*);
      if constexpr (F::kOverhears) {
        if (tag.overheard) {
          forwarder.overhear({bytes, packet->data_len}, tag.port, poll.now_ns, transmit_);
          Transmit::consume(packet);
          continue;
        }
      }
      frames_[count] = {.data = bytes, .length = packet->data_len, .port = tag.port};
      packets_[count++] = packet;
    }
    judge(count, poll, forwarder);
    received += burst;
  }
  return received;
}

/// Judges and settles the first of packets_ and frames_.
template <Forwarder F>
void Worker::judge(std::size_t count, const Poll& poll, F& forwarder) noexcept {
  if (count == 0) {
    return;
  }
  pipeline_.process(poll.generation,
                    poll.now_ns,
                    std::span(frames_).first(count),
                    std::span(outcomes_).first(count),
                    poll.rule_counts);
  for (std::size_t i = 0; i < count; ++i) {
    const Parcel parcel{.packet = packets_[i],
                        .bytes = {frames_[i].data, frames_[i].length},
                        .port = frames_[i].port,
                        .l3_offset = outcomes_[i].l3_offset};
    if (is_kernels_[parcel.port] != 0 && outcomes_[i].action == Outcome::Action::forward) {
      checksums_finished_.add(finish_checksums(parcel.bytes, parcel.l3_offset));
    }
    settle(parcel, outcomes_[i], poll.now_ns, forwarder);
  }
  let_go(poll.now_ns, forwarder);
}

/// Hands over what other workers own of the first `count` of packets_ and frames_. Says how many
/// are left; they keep their order, and so do those of every other.
std::size_t Worker::keep_own(const Source& source, std::size_t count) noexcept {
  std::size_t own = 0;
  for (std::size_t i = 0; i < count; ++i) {
    __builtin_prefetch(frames_[std::min(i + kFramesAhead, count - 1)].data);
    const Frame frame = frames_[i];
    const std::span<const std::uint8_t> bytes(frame.data, frame.length);
    const std::uint16_t number =
        tunnels_.any() ? affinity_inside(bytes, tunnels_) : affinity(bytes);
    const std::size_t slot = number % kAffinitySlots;
    const std::size_t owner = source.owners[slot];
    if (owner == index_) {
      frames_[own] = frame;
      packets_[own++] = packets_[i];
      continue;
    }
    Outbox& outbox = outboxes_[owner];
    set_tag(packets_[i], {.port = frame.port});
    outbox.packets[outbox.count++] = packets_[i];
  }
  for (Outbox& outbox : outboxes_) {
    if (outbox.count == 0) {
      continue;
    }
    const std::span<rte_mbuf*> packets(outbox.packets.data(), std::exchange(outbox.count, 0));
    const std::size_t taken = outbox.road->put(packets);
    handed_.add(taken);
    for (rte_mbuf* const packet : packets.subspan(taken)) {
      lose_unjudged(packet, DropReason::handover_full);
    }
  }
  return own;
}

/// Lets the other workers learn from a link frame, if they can take it now: else they ask for
/// themselves.
void Worker::tell_others(const Parcel& parcel) noexcept {
  if (parcel.l3_offset != wire::kEthernetBytes) {
    return;
  }
  for (const Outbox& outbox : outboxes_) {
    if (outbox.road == nullptr) {
      continue;
    }
    rte_mbuf* const copy = transmit_.copy_of(parcel.bytes);
    if (copy == nullptr) {
      return;
    }
    set_tag(copy, {.port = parcel.port, .overheard = true});
    if (outbox.road->put(std::span(&copy, 1)) == 0) {
      Transmit::consume(copy);
    }
  }
}

void Worker::lose_unjudged(rte_mbuf* packet, DropReason reason) noexcept {
  unjudged_.count(reason);
  Transmit::consume(packet);
}

/// Inlined for what happens to nearly every packet; the rest is a call.
template <Forwarder F>
[[gnu::always_inline]] inline void Worker::settle(const Parcel& parcel,
                                                  const Outcome& outcome,
                                                  std::uint64_t now_ns,
                                                  F& forwarder) noexcept {
  if (outcome.action == Outcome::Action::forward) [[likely]] {
    forwarder.forward(parcel, now_ns, transmit_);
  } else {
    settle_other(parcel, outcome, now_ns, forwarder);
  }
}

/// REQUIRES: the outcome is not to forward it.
template <Forwarder F>
[[gnu::noinline]] void Worker::settle_other(const Parcel& parcel,
                                            const Outcome& outcome,
                                            std::uint64_t now_ns,
                                            F& forwarder) noexcept {
  switch (outcome.action) {
    case Outcome::Action::forward:
      break;
    case Outcome::Action::link:
      if constexpr (F::kOverhears) {
        tell_others(parcel);
      }
      forwarder.link(parcel, now_ns, transmit_);
      break;
    case Outcome::Action::drop:
      if (rejects_) {
        reject(parcel, outcome.reason, now_ns);
      }
      Transmit::consume(parcel.packet);  // The pipeline has counted it.
      break;
    case Outcome::Action::hold:
      kept_[outcome.held_slot] = {parcel.packet, parcel.port};
      break;
  }
}

/// Answers what policy denies, and what is in the midst of a connection that is none (any more).
void Worker::reject(const Parcel& parcel, DropReason reason, std::uint64_t now_ns) noexcept {
  std::size_t length = 0;
  if (reason == DropReason::policy_denied) {
    length = rejection(parcel.bytes, parcel.l3_offset, response_);
  } else if (reason == DropReason::not_a_new_flow) {
    length = tcp_reset(parcel.bytes, parcel.l3_offset, response_);
  }
  if (length > 0 && rejections_.take(now_ns)) {
    transmit_.send_copy(parcel.port, std::span(response_).first(length));
  }
}

/// Settles the fragments that need not wait any more.
template <Forwarder F>
void Worker::let_go(std::uint64_t now_ns, F& forwarder) noexcept {
  for (const Released& one : pipeline_.released()) {
    const auto [packet, port] = std::exchange(kept_[one.slot], {});
    const Parcel parcel{.packet = packet,
                        .bytes = {rte_pktmbuf_mtod(packet, std::uint8_t*), packet->data_len},
                        .port = port,
                        .l3_offset = one.outcome.l3_offset};
    settle(parcel, one.outcome, now_ns, forwarder);
  }
}

void Worker::rest(TableSlot::Reader& reader) noexcept {
  ++empty_polls_;
  if (!sleeps_ || empty_polls_ < kPollsBeforeSleep) {
    rte_pause();
    return;
  }
  const std::uint32_t longer = std::min<std::uint32_t>(empty_polls_ / kPollsBeforeSleep, 8);
  reader.offline();
  usleep(std::min(kSleepMinUs * longer, kSleepMaxUs));
  reader.online();
}

}  // namespace portcullis::dataplane
