// SPDX-License-Identifier: MIT
#include "bench/throughput/drive.h"

#include <algorithm>
#include <bit>
#include <random>
#include <utility>

#include <fmt/format.h>

#include "bench/measure.h"
#include "bench/throughput/cycles.h"

namespace portcullis::bench {
namespace {

constexpr std::size_t kBufferBytes = 2304;
constexpr std::size_t kFrameBytes = 64;
constexpr std::uint32_t kFlowsMaxLeast = 65'536;
constexpr std::uint32_t kLongTimeoutS = 86'400;
/// As a busy worker polls: bursts of 64 at some 13 M packets a second.
constexpr std::uint64_t kPollNs = 5'000;
/// More than a turn of the timer wheel takes.
constexpr std::uint64_t kExpireSeconds = 300;
constexpr std::uint64_t kExpirePolls = kExpireSeconds * 1'000'000'000 / kPollNs;

}  // namespace

std::vector<Turn> of_every_flow(std::size_t flows, Traffic::Step step) {
  std::vector<Turn> turns(flows);
  for (std::size_t i = 0; i < flows; ++i) {
    turns[i] = {static_cast<std::uint32_t>(i), step};
  }
  return turns;
}

std::vector<Turn> established_turns(std::size_t flows, std::uint64_t seed) {
  std::vector<Turn> turns;
  while (turns.size() < kSlices * kBuffers) {
    for (std::uint32_t flow = 0; flow < flows; ++flow) {
      turns.push_back({flow, Traffic::Step::data});
      turns.push_back({flow, Traffic::Step::data_reply});
    }
  }
  std::shuffle(turns.begin(), turns.end(), std::mt19937_64(seed));
  return turns;
}

config::Conntrack conntrack_for(std::size_t flows) {
  config::Conntrack conntrack;
  conntrack.flows_max = std::max(kFlowsMaxLeast, std::bit_ceil(static_cast<std::uint32_t>(flows)));
  conntrack.udp_timeout_s = kLongTimeoutS;
  conntrack.tcp_established_timeout_s = kLongTimeoutS;
  return conntrack;
}

Drive::Drive(const dataplane::Generation& generation,
             const Traffic& traffic,
             std::size_t flows,
             const Attack* attack)
    : generation_(generation),
      traffic_(traffic),
      attack_(attack),
      flows_(flows),
      pipeline_({.conntrack = conntrack_for(flows), .ports = 2}),
      hits_(generation.rule_ids),
      bytes_(kBuffers * kBufferBytes),
      outcomes_(attack == nullptr ? limits::kBurstMax : kBuffers),
      ns_per_cycle_(1e9 / cycles_hz()) {}

std::vector<double> Drive::run(std::span<const Turn> turns, std::size_t burst) {
  std::vector<double> costs;
  for (std::size_t at = 0; at < turns.size(); at += kBuffers) {
    const std::size_t count = std::min(kBuffers, turns.size() - at);
    fill(turns.subspan(at, count));
    const StageTotals before = stage_totals();
    const std::uint64_t begin = cycles();
    for (std::size_t i = 0; i < count; i += burst) {
      process(i, std::min(burst, count - i));
    }
    costs.push_back(static_cast<double>(cycles() - begin) / static_cast<double>(count));
    const StageTotals after = stage_totals();
    for (std::size_t i = 0; i < after.size(); ++i) {
      stages_[i].push_back(static_cast<double>(after[i] - before[i]) / static_cast<double>(count));
    }
    if (attack_ != nullptr) {
      look_at(turns.subspan(at, count));
    }
  }
  return costs;
}

Result<void> Drive::expect_forwarded() const {
  if (counters().dropped.get() > 0 || counters().flows.get() != flows_) {
    return fail(fmt::format("{} flows: {} packets were dropped, {} flows are known",
                            flows_,
                            counters().dropped.get(),
                            counters().flows.get()));
  }
  return {};
}

double Drive::expire_share() {
  std::uint64_t now_ns = this->now_ns();
  pipeline_.expire(now_ns);
  const std::uint64_t begin = cycles();
  for (std::uint64_t poll = 0; poll < kExpirePolls; ++poll) {
    now_ns += kPollNs;
    pipeline_.expire(now_ns);
  }
  return static_cast<double>(cycles() - begin) / cycles_hz() / kExpireSeconds;
}

std::vector<std::optional<double>> Drive::take_stages() {
  std::vector<std::optional<double>> medians;
  for (std::vector<double>& costs : stages_) {
    medians.emplace_back(median(std::exchange(costs, {})));
  }
  return medians;
}

Drive::StageTotals Drive::stage_totals() const {
  StageTotals totals{};
  std::ranges::transform(
      counters().stage_cycles, totals.begin(), [](const auto& counter) { return counter.get(); });
  return totals;
}

void Drive::fill(std::span<const Turn> turns) {
  for (std::size_t i = 0; i < turns.size(); ++i) {
    const auto& [flow, step, attack] = turns[i];
    const std::span room = std::span(bytes_).subspan(i * kBufferBytes, kBufferBytes);
    const bool good = attack == Attack::Kind::none;
    const std::size_t length =
        good ? traffic_.write(flow, step, kFrameBytes, room) : attack_->write(attack, flow, room);
    const bool replies =
        good && (step == Traffic::Step::accept || step == Traffic::Step::data_reply);
    frames_[i] = {.data = room.data(),
                  .length = static_cast<std::uint32_t>(length),
                  .port = static_cast<dataplane::PortIndex>(replies)};
  }
}

std::uint64_t Drive::now_ns() const {
  return static_cast<std::uint64_t>(static_cast<double>(cycles()) * ns_per_cycle_);
}

/// One turn of a worker's loop, devices aside. Frames that wait for others need no buffer of their
/// own here: nothing is done with them when they go.
void Drive::process(std::size_t at, std::size_t count) {
  const std::uint64_t now_ns = this->now_ns();
  const std::span outcomes = std::span(outcomes_).subspan(attack_ == nullptr ? 0 : at, count);
  pipeline_.process(generation_,
                    now_ns,
                    std::span(frames_).subspan(at, count),
                    outcomes,
                    {.hits = hits_, .resets = {}});
  pipeline_.expire(now_ns);
}

void Drive::look_at(std::span<const Turn> turns) {
  for (std::size_t i = 0; i < turns.size(); ++i) {
    const bool forwarded = outcomes_[i].action == dataplane::Outcome::Action::forward;
    const bool good = turns[i].attack == Attack::Kind::none;
    good_lost_ += good && !forwarded ? 1 : 0;
    attack_passed_ += !good && forwarded ? 1 : 0;
  }
}

}  // namespace portcullis::bench
