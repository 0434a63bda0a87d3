// SPDX-License-Identifier: MIT
#include "tests/control/soak/traffic.h"

#include <algorithm>
#include <chrono>
#include <set>
#include <utility>

#include <fmt/format.h>

#include "base/check.h"
#include "dataplane/dpdk/spread/crews.h"
#include "dataplane/packet/affinity.h"
#include "policy/evaluate.h"
#include "tests/control/soak/cluster.h"

namespace portcullis::control {
namespace {

using classifier::Flow;
using test::Bytes;
using Clock = std::chrono::steady_clock;

constexpr std::size_t kFlows = 4096;
constexpr std::size_t kFlowsARound = 200;
/// Every flow has a source port of its own, which no policy names.
constexpr std::uint16_t kFirstSourcePort = 20'000;
constexpr std::uint16_t kMarkerPort = 9'999;
/// A marker that takes longer is lost.
constexpr std::chrono::seconds kPatience{60};
/// Between two looks at what came out: processors are few, and there are others.
constexpr std::chrono::microseconds kPause{50};
constexpr std::size_t kShown = 10;

std::string bytes_of(const Bytes& frame) {
  return {frame.begin(), frame.end()};
}

}  // namespace

Traffic::Traffic(Wire wire, InForce& in_force, policy::LowerOptions options, std::uint64_t seed)
    : wire_(wire), in_force_(in_force), options_(std::move(options)), random_(seed) {
  make_flows();
  make_markers();
  thread_ = std::jthread([this](const std::stop_token& stop) { run(stop); });
}

void Traffic::stop() {
  thread_.request_stop();
  thread_.join();
}

const Traffic::Account& Traffic::account() {
  judge();
  PORTCULLIS_CHECK(rounds_played_.empty());
  // No edit comes any more that could explain them.
  for (const Early& early : early_) {
    blame(early);
  }
  early_.clear();
  return account_;
}

/// Between any two addresses of one family; some are nobody's now, some are nobody's ever.
void Traffic::make_flows() {
  const auto any_end = [this](bool v6) {
    const std::uint64_t pod = random_() % (kPods + 1);
    const bool other = random_() % 3 == 0;
    if (pod == kPods) {
      return std::string(v6 ? "2001:db8::7" : "192.0.2.7");
    }
    return v6 ? address_v6(pod, other) : address_v4(pod, other);
  };
  while (flows_.size() < kFlows) {
    const bool v6 = random_() % 4 == 0;
    const std::string src = any_end(v6);
    const std::string dst = any_end(v6);
    if (src == dst) {
      continue;
    }
    const test::Ends ends{src,
                          dst,
                          static_cast<std::uint16_t>(kFirstSourcePort + flows_.size()),
                          ports()[random_() % ports().size()]};
    const bool tcp = random_() % 2 == 0;
    flows_.push_back(
        {.flow = {.src = parse_ip(src).value(),
                  .dst = parse_ip(dst).value(),
                  .protocol = tcp ? classifier::kProtocolTcp : classifier::kProtocolUdp,
                  .src_port = ends.src_port,
                  .dst_port = ends.dst_port},
         .frame = tcp ? test::tcp_frame(ends, test::kSyn) : test::udp_frame(ends),
         .to_right = random_() % 2 == 0});
  }
}

/// Between strangers: no policy is about them.
void Traffic::make_markers() {
  dataplane::Crew crew;
  for (std::size_t worker = 0; worker < wire_.workers; ++worker) {
    crew.push_back(static_cast<dataplane::Crew::value_type>(worker));
  }
  const dataplane::SlotOwners owners = dataplane::owners_of(crew);
  std::set<std::uint16_t> have;
  for (int host = 1; host < 250 && have.size() < wire_.workers; ++host) {
    const std::string src = fmt::format("198.51.100.{}", host);
    const test::Ends ends{src, "203.0.113.1", kMarkerPort, kMarkerPort};
    const Bytes frame = test::udp_frame(ends);
    if (have.insert(owners.at(dataplane::affinity(frame) % dataplane::kAffinitySlots)).second) {
      markers_.push_back({.frame = frame, .to_right = true});
      markers_.push_back({.frame = test::udp_frame(test::turned(ends)), .to_right = false});
    }
  }
  PORTCULLIS_CHECK(markers_.size() == 2 * wire_.workers);
}

void Traffic::run(const std::stop_token& stop) {
  while (!stop.stop_requested() && !account_.is_stuck) {
    play();
    judge();
  }
}

void Traffic::play() {
  Round round{.oldest = in_force_.oldest()};
  const auto take_all = [&] {
    take(wire_.left, round);
    take(wire_.right, round);
  };
  waiting_.clear();
  std::vector<std::size_t> chosen;
  while (chosen.size() < kFlowsARound) {
    const std::size_t flow = random_() % flows_.size();
    if (waiting_.emplace(bytes_of(flows_[flow].frame), flow).second) {
      chosen.push_back(flow);
    }
  }
  for (const std::size_t flow : chosen) {
    put(flows_[flow]);
  }
  markers_missing_ = markers_.size();
  for (const Path& marker : markers_) {
    put(marker);
  }
  const Clock::time_point deadline = Clock::now() + kPatience;
  take_all();
  while (markers_missing_ > 0) {
    if (Clock::now() > deadline) {
      account_.is_stuck = true;
      return;
    }
    std::this_thread::sleep_for(kPause);
    take_all();
  }
  round.newest = in_force_.newest();
  for (const auto& [bytes, flow] : waiting_) {
    round.outcomes.push_back({.flow = flow, .passed = false});
  }
  account_.denied += waiting_.size();
  ++account_.rounds;
  account_.swapped += round.newest > round.oldest ? 1 : 0;
  rounds_.store(account_.rounds);
  rounds_played_.push_back(std::move(round));
}

void Traffic::put(const Path& path) {
  test::RingPort& port = path.to_right ? wire_.left : wire_.right;
  while (!port.put(path.frame)) {
    std::this_thread::yield();
  }
  ++account_.sent;
}

void Traffic::take(test::RingPort& port, Round& round) {
  const bool is_right = &port == &wire_.right;
  for (const Bytes& frame : port.take()) {
    ++account_.received;
    const auto found = waiting_.find(bytes_of(frame));
    if (found != waiting_.end() && flows_[found->second].to_right == is_right) {
      round.outcomes.push_back({.flow = found->second, .passed = true});
      waiting_.erase(found);
      continue;
    }
    const auto marker = std::find_if(markers_.begin(), markers_.end(), [&](const Path& one) {
      return one.frame == frame && one.to_right == is_right;
    });
    if (marker == markers_.end()) {
      ++account_.strange;
    } else {
      --markers_missing_;
    }
  }
}

bool Traffic::agrees(const Outcome& outcome, const policy::Snapshot& snapshot) const {
  const Flow& flow = flows_[outcome.flow].flow;
  return policy::evaluate(snapshot, options_, flow).allowed() == outcome.passed;
}

void Traffic::judge() {
  while (!rounds_played_.empty() && in_force_.content(rounds_played_.front().newest)) {
    judge(rounds_played_.front());
    rounds_played_.pop_front();
  }
  // Read ahead of what early outcomes still wait for: that may come meanwhile.
  std::uint64_t needed = in_force_.oldest();
  judge_early();
  if (!rounds_played_.empty()) {
    needed = std::min(needed, rounds_played_.front().oldest);
  }
  if (!early_.empty()) {
    needed = std::min(needed, early_.front().newest + 1);
  }
  in_force_.forget_before(needed);
}

void Traffic::judge(const Round& round) {
  std::vector<InForce::Content> contents;
  for (std::uint64_t number = round.oldest; number <= round.newest; ++number) {
    contents.push_back(*in_force_.content(number));
  }
  for (const Outcome& outcome : round.outcomes) {
    const bool is_explained =
        std::any_of(contents.begin(), contents.end(), [&](const InForce::Content& content) {
          return agrees(outcome, *content.snapshot);
        });
    if (is_explained) {
      ++account_.judged;
    } else {
      early_.push_back({outcome, round.oldest, round.newest});
    }
  }
}

void Traffic::judge_early() {
  while (!early_.empty()) {
    const Early& early = early_.front();
    const auto next = in_force_.content(early.newest + 1);
    if (!next) {
      return;
    }
    if (next->is_edit && agrees(early.outcome, *next->snapshot)) {
      ++account_.judged;
      ++account_.early;
    } else {
      blame(early);
    }
    early_.pop_front();
  }
}

void Traffic::blame(const Early& early) {
  ++account_.unexplained;
  if (account_.examples.size() < kShown) {
    account_.examples.push_back(text_of(early));
  }
}

std::string Traffic::text_of(const Early& early) const {
  const Flow& flow = flows_[early.outcome.flow].flow;
  return fmt::format("publications {} to {}: {} -> {} protocol {} port {} (source port {}) {}",
                     early.oldest,
                     early.newest,
                     to_string(flow.src),
                     to_string(flow.dst),
                     int{flow.protocol},
                     flow.dst_port,
                     flow.src_port,
                     early.outcome.passed ? "passed" : "was denied");
}

}  // namespace portcullis::control
