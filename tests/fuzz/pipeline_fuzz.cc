// SPDX-License-Identifier: MIT
// Frames through a whole pipeline, which keeps its flows from one to the next: nothing passes that
// the linear matcher denies, in tunnels or bare, and every frame is counted once. Generations
// alternate.
#include <array>
#include <cstdint>
#include <map>
#include <set>
#include <span>
#include <vector>

#include "base/check.h"
#include "classifier/compile.h"
#include "classifier/reference.h"
#include "dataplane/counters.h"
#include "dataplane/packet/fragment.h"
#include "dataplane/packet/parse.h"
#include "dataplane/packet/tunnel.h"
#include "dataplane/pipeline.h"
#include "tests/fuzz/mended.h"

using namespace portcullis;
using namespace portcullis::dataplane;

namespace {

constexpr std::uint64_t kInputsPerGeneration = 3000;
constexpr std::uint64_t kNsPerInput = 50'000;

/// The first seed pod may call the second, or the other way round; each on half of the ports.
classifier::RuleSet rules_of(classifier::SetIndex caller) {
  using namespace classifier;
  const auto ip = [](const char* text) { return parse_ip(text).value(); };
  RuleSet rules{.default_mode = DefaultMode::deny};
  rules.endpoints = {{.addresses = {ip("10.0.0.1"), ip("2001:db8::1")}},
                     {.addresses = {ip("10.0.0.2"), ip("2001:db8::2")}}};
  rules.sets = {{.endpoints = {0}}, {.endpoints = {1}}};
  rules.port_sets = {{.ranges = {PortRange{kProtocolTcp, 0, 32'767},
                                 PortRange{kProtocolUdp, 0, 32'767},
                                 PortRange{kProtocolSctp, 0, 32'767},
                                 PortRange{kProtocolIcmp, 0, 0},
                                 PortRange{kProtocolIcmpv6, 0, 0}}}};
  const SetIndex called = 1 - caller;
  rules.rules = {{.direction = Direction::egress,
                  .action = Action::allow,
                  .subjects = caller,
                  .peers = called,
                  .ports = 0},
                 {.direction = Direction::ingress,
                  .action = Action::allow,
                  .subjects = called,
                  .peers = caller,
                  .ports = 0}};
  return rules;
}

struct Side {
  explicit Side(classifier::SetIndex caller) : rules(rules_of(caller)), reference(rules) {}

  Generation generation(std::uint64_t epoch) const {
    Generation made;
    made.epoch = epoch;
    made.table = classifier::compile(rules).value();
    made.rule_ids = classifier::kBuiltinRules + rules.rules.size();
    return made;
  }

  classifier::RuleSet rules;
  classifier::Reference reference;
};

/// The flow that a forwarded packet belongs to, in the direction that policy was asked about.
classifier::Flow judged_flow(const Packet& packet, const Outcome& outcome) {
  // An error goes against the packet that it quotes.
  const bool is_error = packet.kind == Packet::Kind::related;
  const bool against = is_error ? !outcome.is_reply : outcome.is_reply;
  FlowTuple tuple = packet.tuple;
  if (!is_icmp(tuple.protocol) && against) {
    tuple = reversed(tuple);
  }
  classifier::Flow flow{.src = {tuple.family, tuple.src},
                        .dst = {tuple.family, tuple.dst},
                        .protocol = tuple.protocol};
  if (is_icmp(tuple.protocol)) {
    flow.icmp = tuple.dst_port;
  } else {
    flow.src_port = tuple.src_port;
    flow.dst_port = tuple.dst_port;
  }
  return flow;
}

class Harness {
 public:
  void take(std::span<const std::uint8_t> input) {
    // As it is, and with a right IPv4 checksum, which few mutations have.
    std::array<std::vector<std::uint8_t>, 2> copies{std::vector(input.begin(), input.end()),
                                                    mended(input)};
    std::array<Frame, 2> frames;
    for (std::size_t i = 0; i < frames.size(); ++i) {
      frames[i] = {.data = copies[i].data(),
                   .length = static_cast<std::uint32_t>(copies[i].size())};
    }
    if (++inputs_ % kInputsPerGeneration == 0) {
      ++epoch_;
      generation_ = side().generation(epoch_);
    }
    now_ns_ += kNsPerInput;
    std::array<Outcome, 2> outcomes;
    pipeline_.process(generation_, now_ns_, frames, outcomes, {hits_, {}});
    for (std::size_t i = 0; i < frames.size(); ++i) {
      check({frames[i].data, frames[i].length}, outcomes[i]);
    }
    check_released();
    pipeline_.expire(now_ns_);
    check_released();
    const Counters& counters = pipeline_.counters();
    PORTCULLIS_CHECK(counters.packets.get() == 2 * inputs_);
    PORTCULLIS_CHECK(counters.packets.get() == counters.forwarded.get() + counters.dropped.get() +
                                                   counters.link.get() + counters.held.get());
    PORTCULLIS_CHECK(held_.size() == counters.held.get());
  }

 private:
  [[nodiscard]] const Side& side() const { return epoch_ % 2 == 0 ? even_ : odd_; }

  static DatagramKey datagram(std::span<const std::uint8_t> frame, const Packet& packet) {
    return datagram_of(frame, packet, fragment_of(frame, packet));
  }

  void check(std::span<const std::uint8_t> frame, const Outcome& outcome) {
    if (outcome.action != Outcome::Action::forward && outcome.action != Outcome::Action::hold) {
      return;
    }
    Packet packet = parse(frame);
    tunnels_.look_inside(frame, packet);
    PORTCULLIS_CHECK(packet.kind != Packet::Kind::drop && packet.kind != Packet::Kind::link);
    if (outcome.action == Outcome::Action::hold) {
      PORTCULLIS_CHECK(packet.kind == Packet::Kind::fragment);
      PORTCULLIS_CHECK(held_.emplace(outcome.held_slot, datagram(frame, packet)).second);
      return;
    }
    if (packet.kind == Packet::Kind::fragment) {
      PORTCULLIS_CHECK(begun_.contains(datagram(frame, packet)));
      return;
    }
    if (packet.fragmented) {
      begun_.insert(datagram(frame, packet));
    }
    PORTCULLIS_CHECK(side().reference.lookup(judged_flow(packet, outcome)).allowed());
  }

  void check_released() {
    for (const Released& one : pipeline_.released()) {
      const auto held = held_.find(one.slot);
      PORTCULLIS_CHECK(held != held_.end());
      PORTCULLIS_CHECK(one.outcome.action == Outcome::Action::drop ||
                       begun_.contains(held->second));
      held_.erase(held);
    }
  }

  const Side even_{0};
  const Side odd_{1};
  std::uint64_t epoch_ = 1;
  std::uint64_t inputs_ = 0;
  std::uint64_t now_ns_ = 1'000'000'000;
  Generation generation_ = odd_.generation(1);
  std::vector<std::uint64_t> hits_ = std::vector<std::uint64_t>(generation_.rule_ids);
  Pipeline pipeline_{{.conntrack = {.flows_max = 4096}, .tunnels = every_tunnel(), .ports = 1}};
  const Tunnels tunnels_{every_tunnel()};
  std::map<HeldSlot, DatagramKey> held_;
  std::set<DatagramKey> begun_;  // Those whose first fragment passed.
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t count) {
  static Harness harness;
  harness.take({bytes, count});
  return 0;
}
