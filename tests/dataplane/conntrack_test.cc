// SPDX-License-Identifier: MIT
#include "dataplane/conntrack.h"

#include <algorithm>
#include <map>
#include <random>

#include <gtest/gtest.h>

#include "base/ip.h"
#include "tests/support/tuple.h"

namespace portcullis::dataplane {
namespace {

using Event = Packet::Event;
using test::tuple;
using enum FlowState;

constexpr std::uint64_t kSecond = 1'000'000'000;

FlowTuple web(std::uint16_t src_port = 40000) {
  return tuple("10.0.0.1", src_port, "10.0.0.2", 80, classifier::kProtocolTcp);
}

/// A table and its clock, with the tuple's hash taken where it is needed.
class Rig {
 public:
  explicit Rig(const config::Conntrack& config = {}) : table(config, 42) {}

  Conntrack::Found find(const FlowTuple& t, bool answer = false) {
    const Conntrack::Sought sought{.tuple = t, .answer = answer, .hash = table.hash(t)};
    const Conntrack::Found found = table.find(sought, now_ns);
    Conntrack::Found again{.index = table.prefetch_entries(sought.hash)};
    if (!table.confirm(again, t, answer, now_ns)) {
      again = table.find(sought, now_ns);
    }
    EXPECT_EQ(found.index, again.index);
    EXPECT_EQ(found.is_reply, again.is_reply);
    return found;
  }
  std::uint32_t insert(const FlowTuple& t, Event event = Event::begin, std::uint64_t epoch = 1) {
    return table.insert({t, event, {}, epoch}, table.hash(t), now_ns);
  }
  FlowState send(const FlowTuple& t, Event event) {
    const Conntrack::Found found = find(t);
    EXPECT_TRUE(found);
    table.touch(found, event, now_ns);
    return table.entry(found.index).state;
  }
  /// Lets time pass, polling as a worker does that has little to do.
  void pass(std::uint64_t seconds) {
    for (std::uint64_t i = 0; i < seconds * 1000; ++i) {
      now_ns += kSecond / 1000;
      table.expire(now_ns);
    }
  }

  Conntrack table;
  std::uint64_t now_ns = 1000 * kSecond;
};

TEST(Conntrack, TellsOnceThatAConnectionWasReset) {
  Rig rig;
  rig.insert(web());
  EXPECT_FALSE(rig.table.touch(rig.find(reversed(web())), Event::accept, rig.now_ns));
  EXPECT_FALSE(rig.table.touch(rig.find(web()), Event::data, rig.now_ns));
  EXPECT_TRUE(rig.table.touch(rig.find(reversed(web())), Event::abort, rig.now_ns));
  EXPECT_FALSE(rig.table.touch(rig.find(web()), Event::abort, rig.now_ns));
  const FlowTuple closed = web(9);
  rig.insert(closed);
  EXPECT_FALSE(rig.table.touch(rig.find(closed), Event::finish, rig.now_ns));
  EXPECT_FALSE(rig.table.touch(rig.find(reversed(closed)), Event::finish, rig.now_ns));
  EXPECT_FALSE(rig.table.touch(rig.find(closed), Event::abort, rig.now_ns)) << "it was over";
}

TEST(Conntrack, FindsAFlowFromBothDirections) {
  for (const FlowTuple& t : {web(),
                             tuple("2001:db8::1", 5, "2001:db8::2", 6, classifier::kProtocolUdp),
                             tuple("10.0.0.9", 5, "10.0.0.2", 6, classifier::kProtocolSctp),
                             tuple("10.0.0.1", 0, "10.0.0.2", 0, 47)}) {
    Rig rig;
    EXPECT_FALSE(rig.find(t));
    const std::uint32_t index = rig.insert(t);
    EXPECT_EQ(rig.find(t).index, index);
    EXPECT_FALSE(rig.find(t).is_reply);
    EXPECT_EQ(rig.find(reversed(t)).index, index);
    EXPECT_TRUE(rig.find(reversed(t)).is_reply);
    EXPECT_EQ(rig.table.size(), 1U);
  }
}

TEST(Conntrack, TellsNeighbouringTuplesApart) {
  Rig rig;
  rig.insert(web());
  FlowTuple other = web();
  other.src_port = 40001;
  EXPECT_FALSE(rig.find(other));
  other = web();
  other.protocol = classifier::kProtocolUdp;
  EXPECT_FALSE(rig.find(other));
  // The same addresses with only the ports crossed, or only the addresses.
  other = web();
  std::swap(other.src_port, other.dst_port);
  EXPECT_FALSE(rig.find(other));
  // The same bytes in the other family.
  other = web();
  other.family = Family::v6;
  EXPECT_FALSE(rig.find(other));
}

TEST(Conntrack, FindsAnIcmpQueryInItsOwnDirectionOnly) {
  Rig rig;
  const FlowTuple ping = tuple("10.0.0.1", 77, "10.0.0.2", 8 << 8, classifier::kProtocolIcmp);
  rig.insert(ping, Event::data);
  EXPECT_FALSE(rig.find(ping, false).is_reply);
  EXPECT_TRUE(rig.find(ping, true).is_reply);
  EXPECT_FALSE(rig.find(reversed(ping)));
}

TEST(Conntrack, FollowsATcpConnection) {
  Rig rig;
  rig.insert(web());
  EXPECT_EQ(rig.table.entry(rig.find(web()).index).state, opening);
  EXPECT_EQ(rig.send(web(), Event::begin), opening);  // Sent again.
  EXPECT_EQ(rig.send(web(), Event::data), opening);   // No answer yet.
  EXPECT_EQ(rig.send(reversed(web()), Event::data), opening);
  EXPECT_EQ(rig.send(reversed(web()), Event::accept), accepted);
  EXPECT_EQ(rig.send(reversed(web()), Event::accept), accepted);
  EXPECT_EQ(rig.send(web(), Event::begin), accepted);
  EXPECT_EQ(rig.send(web(), Event::data), established);
  EXPECT_EQ(rig.send(reversed(web()), Event::finish), established);
  EXPECT_EQ(rig.send(reversed(web()), Event::finish), established);  // The same side again.
  EXPECT_EQ(rig.send(web(), Event::data), established);              // The other speaks on.
  EXPECT_EQ(rig.send(web(), Event::finish), closing);
  EXPECT_EQ(rig.send(reversed(web()), Event::data), closing);
}

TEST(Conntrack, ClosesOnAnAbortFromEitherSide) {
  for (const bool from_server : {false, true}) {
    Rig rig;
    rig.insert(web());
    EXPECT_EQ(rig.send(from_server ? reversed(web()) : web(), Event::abort), closing);
  }
}

TEST(Conntrack, PicksUpAConnectionInMidstreamAsEstablished) {
  Rig rig;
  EXPECT_EQ(rig.table.entry(rig.insert(web(), Event::data)).state, established);
}

TEST(Conntrack, TakesAnAnsweredDatagramForEstablished) {
  for (const std::uint8_t protocol : {std::uint8_t{classifier::kProtocolUdp}, std::uint8_t{47}}) {
    Rig rig;
    const FlowTuple t = tuple("10.0.0.1", 5, "10.0.0.2", 6, protocol);
    rig.insert(t, Event::data);
    EXPECT_EQ(rig.send(t, Event::data), opening);
    EXPECT_EQ(rig.send(reversed(t), Event::data), established);
    EXPECT_EQ(rig.send(t, Event::data), established);
  }
}

TEST(Conntrack, EndsAFlowAtItsDeadlineToTheNanosecond) {
  const config::Conntrack config;
  struct Case {
    std::uint8_t protocol;
    std::uint32_t timeout_s;
  };
  for (const Case& c : {Case{classifier::kProtocolTcp, config.tcp_syn_timeout_s},
                        Case{classifier::kProtocolUdp, config.udp_timeout_s},
                        Case{classifier::kProtocolSctp, config.sctp_timeout_s},
                        Case{classifier::kProtocolIcmp, config.icmp_timeout_s},
                        Case{classifier::kProtocolIcmpv6, config.icmp_timeout_s},
                        Case{47, config.udp_timeout_s}}) {
    Rig rig;
    const FlowTuple t = tuple("10.0.0.1", 5, "10.0.0.2", 6, c.protocol);
    rig.insert(t);
    rig.now_ns += c.timeout_s * kSecond - 1;
    EXPECT_TRUE(rig.find(t)) << int{c.protocol};
    rig.now_ns += 1;
    EXPECT_FALSE(rig.find(t)) << int{c.protocol};
    EXPECT_EQ(rig.table.size(), 0U);
    EXPECT_EQ(rig.table.expired(), 1U);
  }
}

TEST(Conntrack, GivesAConnectionTheTimeOfItsState) {
  const config::Conntrack config;
  Rig rig;
  rig.insert(web());
  rig.send(reversed(web()), Event::accept);
  rig.send(web(), Event::data);
  rig.now_ns += config.tcp_established_timeout_s * kSecond - 1;
  EXPECT_EQ(rig.send(web(), Event::abort), closing);
  rig.now_ns += config.tcp_closing_timeout_s * kSecond;
  EXPECT_FALSE(rig.find(web()));
}

TEST(Conntrack, EndsFlowsThatNobodyAsksFor) {
  Rig rig({.flows_max = 1000, .udp_timeout_s = 1});
  for (std::uint16_t port = 0; port < 500; ++port) {
    rig.insert(tuple("10.0.0.1", port, "10.0.0.2", 6, classifier::kProtocolUdp), Event::data);
    rig.insert(web(port));
  }
  rig.pass(3);
  EXPECT_EQ(rig.table.size(), 500U);
  EXPECT_EQ(rig.table.expired(), 500U);
  EXPECT_TRUE(rig.find(web(7)));
}

TEST(Conntrack, EndsAClosedFlowInTimeThoughItCouldHaveBeenSilentForLong) {
  Rig rig({.flows_max = 100, .tcp_established_timeout_s = 86'400, .tcp_closing_timeout_s = 10});
  rig.insert(web());
  rig.insert(web(9));
  for (const FlowTuple& flow : {web(), web(9)}) {
    rig.send(reversed(flow), Event::accept);
    ASSERT_EQ(rig.send(flow, Event::data), established);
  }
  rig.pass(600);
  EXPECT_EQ(rig.table.size(), 2U);
  rig.send(web(), Event::abort);
  rig.pass(9);
  EXPECT_EQ(rig.table.size(), 2U);
  rig.pass(3);
  EXPECT_EQ(rig.table.size(), 1U);
  EXPECT_TRUE(rig.find(web(9)));
}

TEST(Conntrack, LetsAFlowLiveAsLongAsItsPacketsCome) {
  Rig rig({.flows_max = 100, .udp_timeout_s = 30});
  const FlowTuple flow = tuple("10.0.0.1", 5, "10.0.0.2", 6, classifier::kProtocolUdp);
  rig.insert(flow, Event::data);
  for (int i = 0; i < 30; ++i) {
    rig.pass(29);
    ASSERT_TRUE(rig.find(flow));
    rig.send(flow, Event::data);
  }
  rig.pass(33);
  EXPECT_EQ(rig.table.size(), 0U);
}

TEST(Conntrack, MakesRoomByEndingWhatIsNotEstablished) {
  Rig rig({.flows_max = 8});
  for (std::uint16_t port = 0; port < 8; ++port) {
    ASSERT_NE(rig.insert(web(port)), Conntrack::kNoEntry);
  }
  for (std::uint16_t port = 100; port < 200; ++port) {
    ASSERT_NE(rig.insert(web(port)), Conntrack::kNoEntry);
    EXPECT_TRUE(rig.find(web(port)));
    EXPECT_EQ(rig.table.size(), 8U);
  }
  EXPECT_EQ(rig.table.evicted(), 100U);
}

TEST(Conntrack, NeverEndsAnEstablishedFlowForANewOne) {
  Rig rig({.flows_max = 8});
  for (std::uint16_t port = 0; port < 7; ++port) {
    rig.insert(web(port), Event::data);
  }
  ASSERT_NE(rig.insert(web(7)), Conntrack::kNoEntry);
  ASSERT_NE(rig.insert(web(8)), Conntrack::kNoEntry);  // In place of the embryonic one.
  EXPECT_FALSE(rig.find(web(7)));
  rig.send(reversed(web(8)), Event::accept);
  rig.send(web(8), Event::data);
  EXPECT_EQ(rig.insert(web(9)), Conntrack::kNoEntry);
  for (const int port : {0, 1, 2, 3, 4, 5, 6, 8}) {
    EXPECT_TRUE(rig.find(web(static_cast<std::uint16_t>(port)))) << port;
  }
}

TEST(Conntrack, HoldsAsManyFlowsAsItPromises) {
  // A power of two: just half of all slots, as full as it can be.
  constexpr std::uint32_t kFlows = 1U << 18U;
  Rig rig({.flows_max = kFlows});
  for (std::uint32_t i = 0; i < kFlows; ++i) {
    FlowTuple t = web(static_cast<std::uint16_t>(i));
    t.src[1] = static_cast<std::uint8_t>(i >> 16U);
    ASSERT_NE(rig.insert(t, Event::data), Conntrack::kNoEntry) << i;
  }
  EXPECT_EQ(rig.table.size(), kFlows);
}

TEST(Conntrack, ChangesItsVersionWithItsEntriesOnly) {
  Rig rig;
  const std::uint64_t empty = rig.table.version();
  const std::uint32_t index = rig.insert(web());
  const std::uint64_t full = rig.table.version();
  EXPECT_NE(full, empty);
  rig.send(web(), Event::data);
  EXPECT_EQ(rig.table.version(), full);
  rig.table.remove(index);
  EXPECT_NE(rig.table.version(), full);
}

/// The model: a map from the tuple in its original direction to what the table must say of it.
struct Modelled {
  FlowProgress progress;
  std::uint64_t deadline_ns = 0;
  std::uint64_t epoch = 0;
};
struct TupleLess {
  static auto key(const FlowTuple& t) {
    return std::tie(t.src, t.dst, t.src_port, t.dst_port, t.protocol, t.family);
  }
  bool operator()(const FlowTuple& a, const FlowTuple& b) const { return key(a) < key(b); }
};

class Model {
 public:
  using Flows = std::map<FlowTuple, Modelled, TupleLess>;

  /// The flow of a tuple, and whether the tuple runs against it.
  std::pair<Flows::iterator, bool> find(const FlowTuple& t, bool answer, std::uint64_t now_ns) {
    auto flow = flows.find(t);
    bool is_reply = is_icmp(t.protocol) && answer;
    if (flow == flows.end() && !is_icmp(t.protocol)) {
      flow = flows.find(reversed(t));
      is_reply = flow != flows.end();
    }
    if (flow != flows.end() && flow->second.deadline_ns <= now_ns) {
      flows.erase(flow);
      flow = flows.end();
    }
    return {flow, is_reply};
  }

  Flows flows;
};

FlowTuple random_tuple(std::mt19937_64& random) {
  constexpr std::uint8_t kProtocols[]{6, 17, 132, 1, 47};
  const auto below = [&](unsigned n) { return static_cast<unsigned>(random() % n); };
  FlowTuple t{.src_port = static_cast<std::uint16_t>(below(4)),
              .dst_port = static_cast<std::uint16_t>(below(4)),
              .protocol = kProtocols[below(5)],
              .family = below(2) == 0 ? Family::v4 : Family::v6};
  t.src[3] = static_cast<std::uint8_t>(below(4));
  t.dst[3] = static_cast<std::uint8_t>(below(4));
  return t;
}

/// One random packet to both; says what they disagree on.
void step_both(std::mt19937_64& random, Rig& rig, Model& model, const FlowTimeouts& timeouts) {
  const FlowTuple t = random_tuple(random);
  const bool answer = is_icmp(t.protocol) && random() % 2 == 0;
  const auto event = static_cast<Event>(is_connected(t.protocol) ? random() % 5 : 0);
  rig.now_ns += random() % 4 == 0 ? random() % (40 * kSecond) : random() % 1000;
  if (random() % 8 == 0) {
    rig.table.expire(rig.now_ns);
  }
  const auto [modelled, is_reply] = model.find(t, answer, rig.now_ns);
  const Conntrack::Found found = rig.find(t, answer);
  ASSERT_EQ(static_cast<bool>(found), modelled != model.flows.end());
  if (!found) {
    const std::uint64_t epoch = random();
    ASSERT_NE(rig.insert(t, event, epoch), Conntrack::kNoEntry);
    const FlowProgress progress = begin(t.protocol, event);
    model.flows[t] = {progress, rig.now_ns + timeouts.of(t.protocol, progress.state), epoch};
    return;
  }
  const FlowEntry& entry = rig.table.entry(found.index);
  ASSERT_EQ(found.is_reply, is_reply);
  ASSERT_EQ(entry.tuple, modelled->first);
  ASSERT_EQ(entry.epoch, modelled->second.epoch);
  if (random() % 16 == 0) {
    rig.table.remove(found.index);
    model.flows.erase(modelled);
    return;
  }
  rig.table.touch(found, event, rig.now_ns);
  Modelled& flow = modelled->second;
  flow.progress = advance(flow.progress, t.protocol, event, found.is_reply);
  flow.deadline_ns = rig.now_ns + timeouts.of(t.protocol, flow.progress.state);
  ASSERT_EQ(entry.state, flow.progress.state);
  ASSERT_EQ(entry.deadline_ns, flow.deadline_ns);
}

TEST(Conntrack, EqualsAMapOnRandomPackets) {
  const std::uint64_t seed = std::random_device{}();
  std::printf("seed %lu\n", seed);
  std::mt19937_64 random(seed);
  const config::Conntrack config{.flows_max = 8192};
  const FlowTimeouts timeouts(config);
  Rig rig(config);
  Model model;
  for (int i = 0; i < 100'000; ++i) {
    step_both(random, rig, model, timeouts);
    ASSERT_FALSE(testing::Test::HasFatalFailure()) << "step " << i;
  }
  rig.pass(3);
  const auto alive_at = [&](std::uint64_t ns) {
    return static_cast<std::size_t>(
        std::count_if(model.flows.begin(), model.flows.end(), [ns](const auto& flow) {
          return flow.second.deadline_ns > ns;
        }));
  };
  // What ended within the last two seconds may still be there.
  EXPECT_GE(rig.table.size(), alive_at(rig.now_ns));
  EXPECT_LE(rig.table.size(), alive_at(rig.now_ns - 2 * kSecond));
}

}  // namespace
}  // namespace portcullis::dataplane
