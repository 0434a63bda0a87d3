// SPDX-License-Identifier: MIT
#include "dataplane/flows/query.h"

#include <algorithm>
#include <utility>

#include "base/check.h"

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

}  // namespace

bool matches(const FlowFilter& filter, const FlowEntry& flow) noexcept {
  const FlowTuple& tuple = flow.tuple;
  if ((filter.state && *filter.state != flow.state) ||
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
}

bool FlowQuery::step(Conntrack& conntrack, std::uint64_t now_ns) noexcept {
  if (cancelled_.load(std::memory_order_relaxed)) {
    return true;
  }
  const std::size_t end = std::min(cursor_ + kStepMax, conntrack.capacity());
  for (; cursor_ < end; ++cursor_) {
    const auto index = static_cast<std::uint32_t>(cursor_);
    const FlowEntry& flow = conntrack.entry(index);
    // One that has timed out is over, though nobody has cleared it away yet.
    if (flow.state == FlowState::none || flow.deadline_ns <= now_ns ||
        !matches(request_.filter, flow)) {
      continue;
    }
    note(flow, now_ns);
    if (request_.action == FlowRequest::Action::flush) {
      conntrack.remove(index);
    }
  }
  return cursor_ == conntrack.capacity();
}

void FlowQuery::note(const FlowEntry& flow, std::uint64_t now_ns) noexcept {
  const auto protocol = static_cast<std::size_t>(flow_protocol(flow.tuple.protocol));
  ++answer_.counts[protocol][static_cast<std::size_t>(flow.state)];
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
  return std::move(answer_);
}

void FlowMailbox::post(std::shared_ptr<FlowQuery> query) {
  PORTCULLIS_CHECK(empty());
  held_ = std::move(query);
  asked_.store(held_.get(), std::memory_order_release);
}

}  // namespace portcullis::dataplane
