// SPDX-License-Identifier: MIT
#include "dataplane/flows/query.h"

#include <algorithm>
#include <array>
#include <utility>

#include "base/check.h"
#include "base/limits.h"
#include "dataplane/flows/questions.h"
#include "dataplane/keyed_hash.h"

namespace portcullis::dataplane {
namespace {

/// True where one of the blocks holds the address, or there are none.
bool hold(const std::vector<Prefix>& blocks, const IpAddress& address) noexcept {
  return blocks.empty() || std::any_of(blocks.begin(), blocks.end(), [&](const Prefix& block) {
           return block.contains(address);
         });
}

bool is_of(std::uint8_t wanted, std::uint8_t protocol) noexcept {
  return wanted == classifier::kProtocolIcmp ? is_icmp(protocol) : wanted == protocol;
}

/// Flows of one family whose verdicts are asked for together.
template <typename Key>
class Asked {
 public:
  /// True when these are as many as settle() takes.
  bool add(const Key& key, std::uint32_t flow) noexcept {
    flows_[questions_.ask(key)] = flow;
    return questions_.count == limits::kBurstMax;
  }
  /// Puts those that are denied behind the first `kept` of `denied`, and forgets them all; how many
  /// are there then. The others go to on_allowed(flow, verdict).
  template <typename OnAllowed>
  std::size_t settle(const classifier::Table& table,
                     std::span<std::uint32_t> denied,
                     std::size_t kept,
                     OnAllowed on_allowed) noexcept {
    questions_.look_up(table);
    for (std::size_t i = 0; i < questions_.count; ++i) {
      if (questions_.answers[i].allowed()) {
        on_allowed(flows_[i], questions_.answers[i]);
      } else {
        denied[kept++] = flows_[i];
      }
    }
    questions_.count = 0;
    return kept;
  }

 private:
  Questions<Key> questions_;
  std::array<std::uint32_t, limits::kBurstMax> flows_;
};

}  // namespace

bool matches(const FlowFilter& filter, const FlowEntry& flow) noexcept {
  const FlowTuple& tuple = flow.tuple;
  if ((filter.state && *filter.state != flow.state) || flow.epoch < filter.judged_since ||
      flow.epoch >= filter.judged_before ||
      (filter.protocol && !is_of(*filter.protocol, tuple.protocol))) {
    return false;
  }
  if (filter.port) {
    // What ICMP keeps in place of ports are no ports.
    const bool of_either = tuple.src_port == *filter.port || tuple.dst_port == *filter.port;
    if (is_icmp(tuple.protocol) || !of_either) {
      return false;
    }
  }
  const IpAddress src{tuple.family, tuple.src};
  const IpAddress dst{tuple.family, tuple.dst};
  return hold(filter.from, src) && hold(filter.to, dst) &&
         (hold(filter.either, src) || hold(filter.either, dst));
}

FlowProtocol flow_protocol(std::uint8_t protocol) noexcept {
  switch (protocol) {
    case classifier::kProtocolTcp:
      return FlowProtocol::tcp;
    case classifier::kProtocolUdp:
      return FlowProtocol::udp;
    case classifier::kProtocolSctp:
      return FlowProtocol::sctp;
    default:
      return is_icmp(protocol) ? FlowProtocol::icmp : FlowProtocol::other;
  }
}

std::uint64_t sum(const FlowCounts& counts) noexcept {
  std::uint64_t flows = 0;
  for (const auto& of_protocol : counts) {
    for (const std::uint64_t of_state : of_protocol) {
      flows += of_state;
    }
  }
  return flows;
}

FlowQuery::FlowQuery(FlowRequest request) : request_(std::move(request)) {
  answer_.records.resize(request_.records_max);
  if (request_.action == FlowRequest::Action::top) {
    groups_.emplace(request_.grouped_by, kGroupsMax, random_seed());
  }
}

bool FlowQuery::step(Conntrack& conntrack, std::uint64_t now_ns) noexcept {
  if (cancelled_.load(std::memory_order_relaxed)) {
    return true;
  }
  if (request_.action == FlowRequest::Action::count) {
    quotas_ = conntrack.quotas();
  }
  std::array<std::uint32_t, kStepMax> chosen;
  std::size_t count = 0;
  const std::size_t step = groups_ ? kGroupingStepMax : kStepMax;
  const std::size_t end = std::min(cursor_ + step, conntrack.capacity());
  for (; cursor_ < end; ++cursor_) {
    const auto index = static_cast<std::uint32_t>(cursor_);
    const FlowEntry& flow = conntrack.entry(index);
    // One that has timed out is over, though nobody has cleared it away yet.
    if (flow.state != FlowState::none && flow.deadline_ns > now_ns &&
        matches(request_.filter, flow)) {
      chosen[count++] = index;
    }
  }
  if (request_.filter.denied_by != nullptr) {
    count = keep_denied(conntrack, std::span(chosen).first(count));
  }
  for (const std::uint32_t index : std::span(chosen).first(count)) {
    note(conntrack.entry(index), now_ns);
    if (request_.action == FlowRequest::Action::flush) {
      conntrack.remove(index);
    }
  }
  return cursor_ == conntrack.capacity();
}

/// Moves those that the table denies to the front; how many they are.
std::size_t FlowQuery::keep_denied(Conntrack& conntrack,
                                   std::span<std::uint32_t> chosen) const noexcept {
  Asked<classifier::Key4> asked4;
  Asked<classifier::Key6> asked6;
  std::size_t kept = 0;
  const auto renew = [&](std::uint32_t index, classifier::Verdict verdict) {
    if (request_.action == FlowRequest::Action::renew) {
      conntrack.entry(index).verdict = verdict;
      conntrack.entry(index).epoch = request_.renewed_epoch;
    }
  };
  // What is kept never overtakes what was read.
  const auto settle = [&](auto& asked) {
    kept = asked.settle(*request_.filter.denied_by, chosen, kept, renew);
  };
  for (const std::uint32_t index : chosen) {
    const FlowTuple& tuple = conntrack.entry(index).tuple;
    const std::uint8_t flags = first_tcp_flags(tuple);
    if (tuple.family == Family::v4 && asked4.add(key4_of(tuple, flags), index)) {
      settle(asked4);
    } else if (tuple.family == Family::v6 && asked6.add(key6_of(tuple, flags), index)) {
      settle(asked6);
    }
  }
  settle(asked4);
  settle(asked6);
  return kept;
}

void FlowQuery::note(const FlowEntry& flow, std::uint64_t now_ns) noexcept {
  const auto protocol = static_cast<std::size_t>(flow_protocol(flow.tuple.protocol));
  ++answer_.counts[protocol][static_cast<std::size_t>(flow.state)];
  if (groups_) {
    groups_->count(flow.tuple);
  }
  if (recorded_ < answer_.records.size()) {
    answer_.records[recorded_++] = {.tuple = flow.tuple,
                                    .state = flow.state,
                                    .verdict = flow.verdict,
                                    .epoch = flow.epoch,
                                    .left_ns = flow.deadline_ns - now_ns};
  }
}

FlowAnswer FlowQuery::take() {
  answer_.records.resize(recorded_);
  if (groups_) {
    answer_.groups = groups_->groups();
    answer_.missed_max = groups_->missed_max();
  }
  if (quotas_ != nullptr) {
    answer_.namespaces = quotas_->counts();
  }
  return std::move(answer_);
}

void FlowMailbox::clear() {
  PORTCULLIS_CHECK(empty());
  held_ = nullptr;
}

void FlowMailbox::post(std::shared_ptr<FlowQuery> query) {
  PORTCULLIS_CHECK(empty());
  held_ = std::move(query);
  asked_.store(held_.get(), std::memory_order_release);
}

}  // namespace portcullis::dataplane
