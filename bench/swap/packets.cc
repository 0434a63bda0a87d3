// SPDX-License-Identifier: MIT
#include "bench/swap/packets.h"

#include <algorithm>
#include <optional>
#include <random>
#include <utility>

#include "bench/throughput/traffic.h"

namespace portcullis::bench {
namespace {

using Step = Traffic::Step;

constexpr std::size_t kFrameBytes = sizeof(LineFrame);

LineFrame frame_of(const classifier::Key4& key, Step step) {
  LineFrame frame;
  Traffic::write_key(key, step, kFrameBytes, frame.bytes);
  return frame;
}

class TrafficMaker {
 public:
  TrafficMaker(const World& world, const classifier::Table& table, const SwapFlows& flows)
      : udp_(world, table, Traffic::Kind::udp4),
        tcp_(world, table, Traffic::Kind::tcp4),
        flows_(flows),
        random_(world.shape.seed) {}

  SwapTraffic make() && {
    for (std::size_t flow = 0; flow < flows_.steady; ++flow) {
      add_steady(flow);
    }
    for (std::size_t flow = 0; flow < flows_.team; ++flow) {
      const std::size_t side = flow % 2;
      add_established(flow, side);
      plan_[side].insert(plan_[side].end(), 2, {.kind = FlowKind::both, .connection = flow});
      for (const FlowKind kind :
           {FlowKind::neither, FlowKind::neither_too, FlowKind::only_a, FlowKind::only_b}) {
        plan_[side].push_back({frame_of(team_key(kind, flow), Step::data), kind, {}});
      }
    }
    for (std::size_t side = 0; side < plan_.size(); ++side) {
      add_load(side);
      const classifier::Key4 key = team_key(FlowKind::both, flows_.team + side);
      put(traffic_.markers[side], frame_of(key, Step::data), FlowKind::both);
    }
    return std::move(traffic_);
  }

 private:
  struct Planned {
    LineFrame frame;
    FlowKind kind = FlowKind::steady;
    /// Of a connection that begins and ends: its frame is made when its place is known.
    std::optional<std::size_t> connection;
  };

  static void put(Packets& packets, const LineFrame& frame, FlowKind kind) {
    packets.frames.push_back(frame);
    packets.kinds.push_back(kind);
  }

  /// From side 0.
  void add_steady(std::size_t flow) {
    const Traffic& traffic = flow % 2 == 0 ? udp_ : tcp_;
    const auto frame = [&](Step step) {
      LineFrame made;
      traffic.write(flow / 2, step, kFrameBytes, made.bytes);
      return made;
    };
    put(traffic_.opening[0][0], frame(Step::open), FlowKind::steady);
    put(traffic_.opening[1][1], frame(Step::accept), FlowKind::steady);
    plan_[0].push_back({frame(Step::data), FlowKind::steady, {}});
    plan_[1].push_back({frame(Step::data_reply), FlowKind::steady, {}});
  }

  void add_established(std::size_t flow, std::size_t side) {
    const classifier::Key4 key = team_key(FlowKind::both, flow);
    const LineFrame forth = frame_of(key, Step::data);
    const LineFrame back = frame_of(key, Step::data_reply);
    put(traffic_.opening[0][side], forth, FlowKind::both);
    put(traffic_.opening[1][1 - side], back, FlowKind::both);
    plan_[side].push_back({forth, FlowKind::both, {}});
    plan_[1 - side].push_back({back, FlowKind::both, {}});
  }

  void add_load(std::size_t side) {
    std::shuffle(plan_[side].begin(), plan_[side].end(), random_);
    std::vector<bool> has_begun(flows_.team);
    for (Planned& planned : plan_[side]) {
      if (planned.connection) {
        classifier::Key4 key = team_key(FlowKind::both, *planned.connection);
        key.protocol = classifier::kProtocolTcp;
        planned.frame = frame_of(key, has_begun[*planned.connection] ? Step::reset : Step::open);
        has_begun[*planned.connection] = true;
      }
      put(traffic_.load[side], planned.frame, planned.kind);
    }
  }

  const Traffic udp_;
  const Traffic tcp_;
  const SwapFlows flows_;
  std::mt19937_64 random_;
  std::array<std::vector<Planned>, 2> plan_;
  SwapTraffic traffic_;
};

}  // namespace

SwapTraffic make_swap_traffic(const World& world,
                              const classifier::Table& table,
                              const SwapFlows& flows) {
  return TrafficMaker(world, table, flows).make();
}

}  // namespace portcullis::bench
