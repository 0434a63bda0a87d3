// SPDX-License-Identifier: MIT
#include "dataplane/dpdk/worker.h"

#include <algorithm>
#include <utility>

#include <rte_cycles.h>
#include <rte_ethdev.h>
#include <rte_mbuf.h>
#include <rte_pause.h>
#include <unistd.h>

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

/// Monotonic time from the processor's counter: no system call.
class Clock {
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

}  // namespace

struct Worker::Poll {
  const Generation& generation;
  std::span<std::uint64_t> rule_hits;
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
      pipeline_(setup.pipeline),
      transmit_(ports, pool),
      forwarder_(std::move(forwarder)),
      rejections_(kRejectionsASecond, kRejectionsBurst) {
  for (const PortIndex port : setup.ports) {
    lanes_.push_back({.port = port, .device = ports[port]->id()});
  }
}

void Worker::run() noexcept {
  std::visit([this](auto& forwarder) { loop(forwarder); }, forwarder_);
}

double Worker::busy() const noexcept {
  const std::uint64_t polls = polls_.get();
  return polls == 0 ? 0 : static_cast<double>(busy_polls_.get()) / static_cast<double>(polls);
}

template <Forwarder F>
void Worker::loop(F& forwarder) noexcept {
  const Clock clock;
  TableSlot::Reader reader(slot_, index_);
  reader.online();
  while (!stopping_.load(std::memory_order_relaxed)) {
    const Generation& generation = reader.current();
    const Poll poll{generation, reader.hits(), clock.now_ns()};
    std::size_t received = 0;
    for (const Lane& lane : lanes_) {
      received += serve(lane, poll, forwarder);
    }
    forwarder.tick(poll.now_ns, transmit_);
    const bool asked = pipeline_.answer(poll.now_ns);
    pipeline_.expire(poll.now_ns);
    let_go(poll.now_ns, forwarder);
    transmit_.flush();
    reader.quiescent();
    polls_.add();
    if (received > 0) {
      busy_polls_.add();
      empty_polls_ = 0;
    } else if (!asked) {
      rest(reader);
    }
  }
  pipeline_.release_all();
  let_go(clock.now_ns(), forwarder);
}

/// Receives and settles one burst of one port.
template <Forwarder F>
std::size_t Worker::serve(const Lane& lane, const Poll& poll, F& forwarder) noexcept {
  const std::size_t count = receive(lane, forwarder);
  if (count == 0) {
    return 0;
  }
  pipeline_.process(poll.generation,
                    poll.now_ns,
                    std::span(frames_).first(count),
                    std::span(outcomes_).first(count),
                    poll.rule_hits);
  for (std::size_t i = 0; i < count; ++i) {
    const Parcel parcel{.packet = packets_[i],
                        .bytes = {frames_[i].data, frames_[i].length},
                        .port = lane.port,
                        .l3_offset = outcomes_[i].l3_offset};
    settle(parcel, outcomes_[i], poll.now_ns, forwarder);
  }
  let_go(poll.now_ns, forwarder);
  return count;
}

template <Forwarder F>
void Worker::settle(const Parcel& parcel,
                    const Outcome& outcome,
                    std::uint64_t now_ns,
                    F& forwarder) noexcept {
  switch (outcome.action) {
    case Outcome::Action::forward:
      forwarder.forward(parcel, now_ns, transmit_);
      break;
    case Outcome::Action::link:
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

/// One burst into packets_ and frames_, without what is not for us; each packet in one piece.
template <Forwarder F>
std::size_t Worker::receive(const Lane& lane, const F& forwarder) noexcept {
  const std::uint16_t burst = rte_eth_rx_burst(
      lane.device, 0, packets_.data(), static_cast<std::uint16_t>(packets_.size()));
  std::size_t count = 0;
  for (std::uint16_t i = 0; i < burst; ++i) {
    rte_mbuf* const packet = packets_[i];
    // Buffers hold the largest frame, so only a device that splits headers gets here with more.
    if (packet->nb_segs > 1 && rte_pktmbuf_linearize(packet) != 0) {
      transmit_.drop(packet, DropReason::no_memory);
      continue;
    }
    auto* const bytes = rte_pktmbuf_mtod(packet, std::uint8_t*);
    if (!forwarder.accepts({bytes, packet->data_len}, lane.port)) {
      Transmit::consume(packet);
      continue;
    }
    frames_[count] = {.data = bytes, .length = packet->data_len, .port = lane.port};
    packets_[count++] = packet;
  }
  return count;
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
