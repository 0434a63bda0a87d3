// SPDX-License-Identifier: MIT
// Packets in tunnels: what becomes of one is what becomes of the packet inside, whatever carries
// it, and nothing passes that could not be opened.
#include "dataplane/packet/tunnel.h"

#include <array>
#include <functional>
#include <ostream>
#include <random>
#include <string>
#include <utility>

#include <gtest/gtest.h>

#include "classifier/compile.h"
#include "classifier/key.h"
#include "dataplane/counters.h"
#include "dataplane/packet/affinity.h"
#include "dataplane/packet/parse.h"
#include "dataplane/pipeline.h"
#include "dataplane/respond.h"
#include "tests/support/packet.h"
#include "tests/support/tunnel.h"

namespace portcullis::dataplane {
namespace {

using test::Bytes;
using test::Ends;
using enum DropReason;
using Action = Outcome::Action;

constexpr Ends kNodes4{"192.0.2.1", "192.0.2.2"};
constexpr Ends kNodes6{"2001:db8:ffff::1", "2001:db8:ffff::2"};
/// The client may call the server at TCP 80 and UDP 53; nobody else may. Between nodes all is open.
constexpr Ends kTcp4{"10.0.0.1", "10.0.0.2", 40000, 80};
constexpr Ends kTcp6{"2001:db8::1", "2001:db8::2", 40000, 80};
constexpr Ends kDns4{"10.0.0.1", "10.0.0.2", 40000, 53};
constexpr Ends kStranger4{"10.0.0.3", "10.0.0.2", 40000, 80};
constexpr Ends kStranger6{"2001:db8::3", "2001:db8::2", 40000, 80};

Prefix block(std::string_view text) {
  return parse_prefix(text).value();
}

config::Tunnels all_kinds() {
  using Kind = config::TunnelKind;
  return {.kinds = {Kind::vxlan, Kind::geneve, Kind::gre, Kind::ipip},
          .endpoints = {block("192.0.2.0/24"), block("2001:db8:ffff::/48"), block("239.1.1.1/32")}};
}

Generation generation() {
  using namespace classifier;
  const auto ip = [](const char* text) { return parse_ip(text).value(); };
  RuleSet rules{.default_mode = DefaultMode::kubernetes};
  rules.endpoints = {{.addresses = {ip("10.0.0.1"), ip("2001:db8::1")}},
                     {.addresses = {ip("10.0.0.2"), ip("2001:db8::2")}}};
  rules.sets = {{.endpoints = {0}}, {.endpoints = {1}}, {.everything = true}};
  rules.port_sets = {{.ranges = {PortRange{kProtocolTcp, 80, 80},
                                 PortRange{kProtocolUdp, 53, 53},
                                 PortRange{kProtocolIcmp, 0, 0}}},
                     {.everything = true}};
  rules.rules = {{.action = classifier::Action::allow, .subjects = 1, .peers = 0, .ports = 0},
                 {.action = classifier::Action::deny, .subjects = 1, .peers = 2, .ports = 1}};
  return {.epoch = 1, .table = compile(rules).value(), .rule_ids = kBuiltinRules + 2};
}

/// A pipeline that counts on one port, and takes time.
class Judge {
 public:
  explicit Judge(const config::Tunnels& tunnels) : pipeline_({.tunnels = tunnels, .ports = 1}) {}

  Outcome send(Bytes bytes) {
    const Frame frame{bytes.data(), static_cast<std::uint32_t>(bytes.size()), 0};
    const Bytes before = bytes;
    Outcome outcome;
    pipeline_.process(generation_, ++now_ns_, {&frame, 1}, {&outcome, 1}, {hits_, {}});
    EXPECT_EQ(bytes, before);  // What leaves is what came.
    return outcome;
  }
  const Counters& counters() { return pipeline_.counters(); }
  std::uint64_t drops(DropReason reason) {
    return counters().drops[static_cast<std::size_t>(reason)].get();
  }
  std::size_t released() { return pipeline_.released().size(); }

 private:
  Generation generation_ = generation();
  std::vector<std::uint64_t> hits_ = std::vector<std::uint64_t>(generation_.rule_ids);
  Pipeline pipeline_;
  std::uint64_t now_ns_ = 1'000'000'000;
};

/// A way to carry a frame, or only its packet, from node to node.
struct Carrier {
  const char* name = "";
  bool whole_frames = false;
  std::function<Bytes(const Bytes& frame)> wrap;
};
std::ostream& operator<<(std::ostream& out, const Carrier& one) {
  return out << one.name;
}

using test::packet_of;
using test::type_of;
constexpr std::uint16_t kEveryField = wire::kGreChecksum | wire::kGreKey | wire::kGreSequence;

const Carrier kCarriers[] = {
    {"vxlan", true, [](const Bytes& f) { return test::vxlan_frame(kNodes4, f); }},
    {"vxlan6", true, [](const Bytes& f) { return test::vxlan_frame(kNodes6, f); }},
    {"vxlan_tagged",
     true,
     [](const Bytes& f) {
       return test::vxlan_frame(kNodes4, f, {.vlan_types = {0x88a8, 0x8100}});
     }},
    {"vxlan_group",
     true,
     [](const Bytes& f) {
       return test::vxlan_frame({"192.0.2.1", "239.1.1.1"}, f);
     }},
    {"geneve", true, [](const Bytes& f) { return test::geneve_frame(kNodes4, 0x6558, f); }},
    {"geneve_options",
     true,
     [](const Bytes& f) {
       // Two options, the first of them critical.
       return test::geneve_frame(kNodes6, 0x6558, f, {1, 1, 0x80, 1, 9, 9, 9, 9, 1, 1, 0, 0});
     }},
    {"geneve_ip",
     false,
     [](const Bytes& f) { return test::geneve_frame(kNodes4, type_of(f), packet_of(f)); }},
    {"gre",
     false,
     [](const Bytes& f) { return test::gre_frame(kNodes4, 0, type_of(f), packet_of(f)); }},
    {"gre_fields",
     false,
     [](const Bytes& f) {
       return test::gre_frame(kNodes6, kEveryField, type_of(f), packet_of(f));
     }},
    {"gre_key",
     false,
     [](const Bytes& f) {
       return test::gre_frame(kNodes4, wire::kGreKey, type_of(f), packet_of(f));
     }},
    {"gretap", true, [](const Bytes& f) { return test::gre_frame(kNodes4, 0, 0x6558, f); }},
    {"ipip", false, [](const Bytes& f) { return test::ipip_frame(kNodes4, f); }},
    {"ip6tnl",
     false,
     [](const Bytes& f) {
       // As Linux sends it: with a limit for encapsulations, which is a destination option.
       return test::ipip_frame(kNodes6, f, {.extensions = {{60, {0, 0, 4, 1, 4, 1, 1, 0}}}});
     }},
};

class EveryCarrier : public testing::TestWithParam<Carrier> {
 protected:
  Outcome send(const Bytes& inner) { return judge_.send(GetParam().wrap(inner)); }
  void expect_dropped(const Bytes& inner, DropReason reason) {
    const std::uint64_t before = judge_.drops(reason);
    EXPECT_EQ(to_string(send(inner).reason), to_string(reason));
    EXPECT_EQ(judge_.drops(reason), before + 1);
  }
  Judge judge_{all_kinds()};
};

TEST_P(EveryCarrier, CarriesAnAllowedConnection) {
  for (const Ends& ends : {kTcp4, kTcp6}) {
    EXPECT_EQ(send(test::tcp_frame(ends, test::kSyn)).action, Action::forward);
    const Outcome reply = send(test::tcp_frame(turned(ends), test::kSyn | test::kAck));
    EXPECT_EQ(reply.action, Action::forward);
    EXPECT_TRUE(reply.is_reply);
    EXPECT_EQ(send(test::tcp_frame(ends, test::kAck)).action, Action::forward);
    // The numbers that are followed are the inner packet's.
    expect_dropped(test::tcp_frame(turned(ends), test::Tcp{.seq = 5'000'000, .flags = test::kRst}),
                   tcp_invalid_reset);
  }
  EXPECT_EQ(judge_.counters().flows.get(), 2U);  // Of the pods, none of the nodes.
  EXPECT_EQ(judge_.counters().forwarded.get(), 6U);
  EXPECT_EQ(judge_.counters().replies.get(), 2U);
}

TEST_P(EveryCarrier, GoesToTheWorkerOfTheFlowInside) {
  const Tunnels tunnels(all_kinds());
  for (const Ends& ends : {kTcp4, kTcp6, kStranger4, kStranger6}) {
    const Bytes bare = test::tcp_frame(ends, test::kSyn);
    const Bytes reply = test::tcp_frame(turned(ends), test::kSyn | test::kAck);
    EXPECT_EQ(affinity_inside(GetParam().wrap(bare), tunnels), affinity(bare));
    EXPECT_EQ(affinity_inside(GetParam().wrap(reply), tunnels), affinity(bare));
    EXPECT_EQ(affinity_inside(bare, tunnels), affinity(bare));
  }
}

TEST_P(EveryCarrier, CarriesNothingThatPolicyDenies) {
  for (const Ends& ends : {kStranger4, kStranger6}) {
    expect_dropped(test::tcp_frame(ends, test::kSyn), policy_denied);
    expect_dropped(test::udp_frame(ends, {1}), policy_denied);
    expect_dropped(test::ip_frame(ends, 50, Bytes(8)), policy_denied);
    expect_dropped(test::tcp_frame(ends, test::kAck), not_a_new_flow);
  }
  EXPECT_EQ(judge_.counters().flows.get(), 0U);
}

TEST_P(EveryCarrier, CarriesLinkTrafficInWholeFrames) {
  const Bytes nd = test::nd_frame(135, "fe80::1", "ff02::1:ff00:2", "2001:db8::2");
  EXPECT_EQ(send(nd).action, Action::link);
  if (GetParam().whole_frames) {
    EXPECT_EQ(send(test::arp_frame(1, "10.0.0.1", "10.0.0.2")).action, Action::link);
  }
}

TEST_P(EveryCarrier, DropsASecondTunnelInside) {
  const Bytes inner = test::tcp_frame(kTcp4, test::kSyn);
  for (const Carrier& second : kCarriers) {
    SCOPED_TRACE(second.name);
    const Bytes inside = second.wrap(inner);
    if (GetParam().whole_frames || type_of(inside) != 0x88a8) {
      expect_dropped(inside, tunnel_nested);
    }
  }
  // Between pods, too: whoever opens the first may open this one.
  expect_dropped(test::gre_frame(kTcp4, 0, 0x0800, packet_of(inner)), tunnel_nested);
}

TEST_P(EveryCarrier, FollowsInnerFragments) {
  const Bytes allowed = test::udp_frame(kDns4, Bytes(100, 1));
  const Bytes denied = test::udp_frame(kStranger4, Bytes(100, 1));
  const auto pieces = test::cut(allowed, 48, 7);
  EXPECT_EQ(send(pieces[1]).action, Action::hold);
  EXPECT_EQ(send(pieces[0]).action, Action::forward);
  EXPECT_EQ(judge_.released(), 1U);
  EXPECT_EQ(send(pieces[2]).action, Action::forward);
  for (const Bytes& piece : test::cut(denied, 48, 8)) {
    expect_dropped(piece, policy_denied);
  }
}

TEST_P(EveryCarrier, DropsFragmentsOfTheOuterPacket) {
  for (const bool first_comes_first : {true, false}) {
    auto pieces = test::cut(
        GetParam().wrap(test::udp_frame(kDns4, Bytes(200, 1))), 120, first_comes_first ? 1 : 2);
    if (!first_comes_first) {
      std::swap(pieces[0], pieces[1]);
    }
    const std::uint64_t before = judge_.drops(tunnel_fragmented);
    for (const Bytes& piece : pieces) {
      EXPECT_NE(judge_.send(piece).action, Action::forward);
    }
    EXPECT_EQ(judge_.drops(tunnel_fragmented), before + pieces.size());
  }
}

TEST_P(EveryCarrier, DropsWhatIsCutOffAnywhere) {
  const Bytes whole = GetParam().wrap(test::tcp_frame(kTcp4, test::kSyn));
  for (std::size_t length = 0; length < whole.size(); ++length) {
    EXPECT_EQ(judge_.send(Bytes(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(length)))
                  .action,
              Action::drop)
        << length;
  }
  EXPECT_EQ(judge_.send(whole).action, Action::forward);
}

TEST_P(EveryCarrier, AnswersNobody) {
  const Bytes frame = GetParam().wrap(test::tcp_frame(kStranger4, test::kSyn));
  const Outcome outcome = judge_.send(frame);
  EXPECT_EQ(outcome.reason, policy_denied);
  std::array<std::uint8_t, kResponseBytesMax> out;
  EXPECT_EQ(rejection(frame, outcome.l3_offset, out), 0U);
  EXPECT_EQ(tcp_reset(frame, outcome.l3_offset, out), 0U);
}

TEST_P(EveryCarrier, RelatesAnErrorAboutTheOuterPacketToTheFlowInside) {
  const Bytes carried = GetParam().wrap(test::tcp_frame(kTcp4, test::kSyn));
  if (test::type_of(carried) != wire::kTypeIpv4 && test::type_of(carried) != wire::kTypeIpv6) {
    return;  // The error quotes no tags.
  }
  const bool v4 = test::type_of(carried) == wire::kTypeIpv4;
  const Ends to_sender =
      v4 ? Ends{"192.0.2.99", "192.0.2.1"} : Ends{"2001:db8:ffff::99", "2001:db8:ffff::1"};
  const Bytes error = test::unreachable_frame(to_sender, carried, carried.size());
  EXPECT_EQ(judge_.send(error).reason, not_a_new_flow);
  EXPECT_EQ(judge_.send(carried).action, Action::forward);
  EXPECT_EQ(judge_.send(error).action, Action::forward);
  // Eight bytes of the outer packet's payload tell nothing of the flow.
  EXPECT_EQ(judge_.send(test::unreachable_frame(to_sender, carried, v4 ? 28 : 48)).reason,
            not_a_new_flow);
}

bool is_tunnel(const Packet& packet) {
  const FlowTuple& tuple = packet.tuple;
  const bool by_port = tuple.protocol == classifier::kProtocolUdp &&
                       (tuple.dst_port == 4789 || tuple.dst_port == 6081);
  return by_port || tuple.protocol == wire::kProtocolGre || tuple.protocol == wire::kProtocolIpv4 ||
         tuple.protocol == wire::kProtocolIpv6;
}

/// Random inner packets, well-formed ones and mutated ones: as if nothing were around them.
TEST_P(EveryCarrier, GivesTheVerdictOfTheBarePacket) {
  const std::uint64_t seed = std::random_device()();
  SCOPED_TRACE(testing::Message() << "seed " << seed);
  std::mt19937_64 random(seed);
  const auto one_of = [&random](auto... values) {
    const std::array all{values...};
    return all[random() % all.size()];
  };
  Judge bare(all_kinds());
  std::size_t forwarded = 0;
  for (int i = 0; i < 20'000; ++i) {
    const bool v6 = random() % 2 == 0;
    const auto host = [&] {
      return v6 ? one_of("2001:db8::1", "2001:db8::2", "2001:db8::3", "ff02::1")
                : one_of("10.0.0.1", "10.0.0.2", "10.0.0.3", "224.0.0.5");
    };
    const Ends ends{host(),
                    host(),
                    one_of(std::uint16_t{40000}, std::uint16_t{80}),
                    one_of(std::uint16_t{80}, std::uint16_t{53}, std::uint16_t{40000})};
    const int flags = one_of(int{test::kSyn},
                             test::kSyn | test::kAck,
                             int{test::kAck},
                             test::kFin | test::kAck,
                             int{test::kRst},
                             test::kSyn | test::kFin);
    Bytes inner = one_of(0, 1, 2, 3) == 0 ? test::udp_frame(ends, Bytes(random() % 64))
                                          : test::tcp_frame(ends, static_cast<std::uint8_t>(flags));
    switch (random() % 8) {
      case 0:
        inner = test::ping_frame(ends, random() % 2 == 0, 1);
        break;
      case 1:
        inner = test::unreachable_frame(ends, test::tcp_frame(turned(ends), test::kSyn));
        break;
      case 2:
        inner = test::cut(test::udp_frame(ends, Bytes(64)),
                          32,
                          static_cast<std::uint32_t>(random() % 50))[random() % 2];
        break;
      case 3:  // Of the network, so that every carrier can say what it is.
        inner[wire::kEthernetBytes + random() % (inner.size() - wire::kEthernetBytes)] =
            static_cast<std::uint8_t>(random());
        break;
      default:
        break;
    }
    const Outcome got = send(inner);
    if (is_tunnel(parse(inner))) {
      ASSERT_NE(got.action, Action::forward) << i;
      continue;
    }
    const Outcome want = bare.send(inner);
    ASSERT_EQ(got.action, want.action) << i;
    ASSERT_EQ(to_string(got.reason), to_string(want.reason)) << i;
    ASSERT_EQ(got.is_reply, want.is_reply) << i;
    ASSERT_EQ(got.judged, want.judged) << i;
    ASSERT_EQ(got.verdict, want.verdict) << i;
    forwarded += got.action == Action::forward ? 1 : 0;
  }
  EXPECT_GT(forwarded, 1000U);
  EXPECT_EQ(judge_.counters().flows_created.get(), bare.counters().flows_created.get());
}

INSTANTIATE_TEST_SUITE_P(Tunnel, EveryCarrier, testing::ValuesIn(kCarriers), [](const auto& one) {
  return std::string(one.param.name);
});

// --- What is malformed, and what is no tunnel of ours ------------------------------------------

Bytes spoilt(Bytes frame, std::size_t offset, std::uint8_t value) {
  frame.at(offset) = value;
  return frame;
}

struct Malformed {
  const char* name = "";
  DropReason reason = tunnel_invalid_header;
  std::function<Bytes()> make;
};
std::ostream& operator<<(std::ostream& out, const Malformed& one) {
  return out << one.name;
}

constexpr std::size_t kL4 = wire::kEthernetBytes + wire::kIpv4Bytes;
constexpr std::size_t kInUdp = kL4 + wire::kUdpBytes;

Bytes syn() {
  return test::tcp_frame(kTcp4, test::kSyn);
}
Bytes vxlan() {
  return test::vxlan_frame(kNodes4, syn());
}
Bytes udp_of(std::uint16_t port, const Bytes& payload) {
  return test::udp_frame({"192.0.2.1", "192.0.2.2", 50'000, port}, payload);
}

const Malformed kCatalogue[] = {
    {"vxlan_without_network", tunnel_invalid_header, [] { return spoilt(vxlan(), kInUdp, 0); }},
    {"vxlan_gpe", tunnel_invalid_header, [] { return spoilt(vxlan(), kInUdp, 0x0c); }},
    {"vxlan_empty", tunnel_invalid_header, [] { return udp_of(4789, {}); }},
    {"vxlan_cut", tunnel_invalid_header, [] { return udp_of(4789, Bytes(7, 8)); }},
    {"vxlan_of_nothing",
     invalid_header,
     [] {
       return udp_of(4789, {8, 0, 0, 0, 0, 0, 1, 0});
     }},
    {"vxlan_of_an_unknown_type",
     unsupported_l3,
     [] { return spoilt(vxlan(), kInUdp + 8 + 12, 0x88); }},
    {"vxlan_past_udp",
     invalid_header,
     [] {
       Bytes frame = vxlan();
       wire::store16(&frame[kL4 + wire::kUdpLength], 8 + 8 + 14 + 30);
       return frame;
     }},
    {"inner_checksum", invalid_header, [] { return spoilt(vxlan(), kInUdp + 8 + 14 + 10, 0x99); }},
    {"inner_source_route",
     invalid_header,
     [] {
       return test::vxlan_frame(
           kNodes4, test::tcp_frame(kTcp4, test::kSyn, {.ipv4_options = {131, 3, 4, 0}}));
     }},
    {"inner_loopback",
     invalid_source,
     [] {
       return test::vxlan_frame(kNodes4, test::tcp_frame({"127.0.0.1", "10.0.0.2", 1, 80}, 2));
     }},
    {"geneve_version",
     tunnel_invalid_header,
     [] { return spoilt(test::geneve_frame(kNodes4, 0x6558, syn()), kInUdp, 0x40); }},
    {"geneve_cut", tunnel_invalid_header, [] { return udp_of(6081, Bytes(7, 0)); }},
    {"geneve_options_past_the_end",
     tunnel_invalid_header,
     [] {
       return udp_of(6081, {2, 0, 0x65, 0x58, 0, 0, 1, 0, 1, 1, 0, 0});
     }},
    {"geneve_option_longer_than_all",
     tunnel_invalid_header,
     [] {
       return test::geneve_frame(kNodes4, 0x6558, syn(), {1, 1, 0, 1});
     }},
    {"geneve_type",
     tunnel_unknown_payload,
     [] { return test::geneve_frame(kNodes4, 0x8847, syn()); }},
    {"gre_version",
     tunnel_invalid_header,
     [] { return test::gre_frame(kNodes4, 1, 0x0800, packet_of(syn())); }},
    {"gre_routing",
     tunnel_invalid_header,
     [] { return test::gre_frame(kNodes4, 0x4000, 0x0800, packet_of(syn())); }},
    {"gre_strict",
     tunnel_invalid_header,
     [] { return test::gre_frame(kNodes4, 0x0800, 0x0800, packet_of(syn())); }},
    {"gre_cut",
     tunnel_invalid_header,
     [] {
       return test::ip_frame(kNodes4, 47, {0, 0, 8});
     }},
    {"gre_key_cut",
     tunnel_invalid_header,
     [] {
       return test::ip_frame(kNodes4, 47, {0x20, 0, 8, 0, 1, 2, 3});
     }},
    {"gre_type",
     tunnel_unknown_payload,
     [] { return test::gre_frame(kNodes4, 0, 0x880b, packet_of(syn())); }},
    {"gre_arp",
     tunnel_unknown_payload,
     [] {
       return test::gre_frame(
           kNodes4, 0, 0x0806, packet_of(test::arp_frame(1, "10.0.0.1", "10.0.0.2")));
     }},
    {"ipip_of_ipv6",
     invalid_header,
     [] { return test::ip_frame(kNodes4, 4, packet_of(test::tcp_frame(kTcp6, test::kSyn))); }},
    {"sit_of_ipv4", invalid_header, [] { return test::ip_frame(kNodes4, 41, packet_of(syn())); }},
    {"ipip_of_nothing", invalid_header, [] { return test::ip_frame(kNodes4, 4, {}); }},
};

class MalformedTunnel : public testing::TestWithParam<Malformed> {};

TEST_P(MalformedTunnel, IsDroppedForItsReasonAndCountedOnce) {
  Judge judge(all_kinds());
  const Outcome outcome = judge.send(GetParam().make());
  EXPECT_EQ(outcome.action, Action::drop);
  EXPECT_EQ(to_string(outcome.reason), to_string(GetParam().reason));
  EXPECT_EQ(judge.drops(GetParam().reason), 1U);
  EXPECT_EQ(judge.counters().dropped.get(), 1U);
}

INSTANTIATE_TEST_SUITE_P(Tunnel,
                         MalformedTunnel,
                         testing::ValuesIn(kCatalogue),
                         [](const auto& one) { return std::string(one.param.name); });

TEST(Tunnels, AreJudgedByTheOuterHeaderWhereNoneIsConfigured) {
  Judge judge({});
  for (const Carrier& carrier : kCarriers) {
    EXPECT_EQ(judge.send(carrier.wrap(test::tcp_frame(kStranger4, test::kSyn))).action,
              Action::forward)
        << carrier.name;
  }
}

TEST(Tunnels, AreOpenedByTheConfiguredKindsAlone) {
  config::Tunnels only_gre = all_kinds();
  only_gre.kinds = {config::TunnelKind::gre};
  Judge judge(only_gre);
  const Bytes denied = test::tcp_frame(kStranger4, test::kSyn);
  EXPECT_EQ(judge.send(test::vxlan_frame(kNodes4, denied)).action, Action::forward);
  EXPECT_EQ(judge.send(test::ipip_frame(kNodes4, denied)).action, Action::forward);
  EXPECT_EQ(judge.send(test::gre_frame(kNodes4, 0, 0x0800, packet_of(denied))).reason,
            policy_denied);
}

TEST(Tunnels, AreOpenedOnTheConfiguredPorts) {
  config::Tunnels flannel = all_kinds();
  flannel.vxlan_ports = {8472};
  Judge judge(flannel);
  Bytes frame = test::vxlan_frame(kNodes4, test::tcp_frame(kStranger4, test::kSyn));
  EXPECT_EQ(judge.send(frame).action, Action::forward);
  wire::store16(&frame[kL4 + 2], 8472);
  EXPECT_EQ(judge.send(frame).reason, policy_denied);
}

TEST(Tunnels, BetweenOtherAddressesAreJudgedByTheOuterHeader) {
  Judge judge(all_kinds());
  const Bytes allowed = test::tcp_frame(kTcp4, test::kSyn);
  // A pod that calls a node, and a node that calls one which is none.
  EXPECT_EQ(judge.send(test::vxlan_frame({"10.0.0.3", "192.0.2.2"}, allowed)).action,
            Action::forward);
  EXPECT_EQ(judge.send(test::vxlan_frame({"192.0.2.1", "10.0.0.2"}, allowed)).reason,
            policy_denied);
  EXPECT_EQ(judge.send(test::vxlan_frame({"192.0.2.1", "198.51.100.1"}, allowed)).action,
            Action::forward);
}

TEST(Tunnels, ShareAFlowWhateverCarriesIt) {
  Judge judge(all_kinds());
  EXPECT_EQ(judge.send(test::vxlan_frame(kNodes4, test::tcp_frame(kTcp4, test::kSyn))).action,
            Action::forward);
  const Bytes reply = test::tcp_frame(turned(kTcp4), test::kSyn | test::kAck);
  EXPECT_TRUE(judge.send(test::geneve_frame(turned(kNodes4), 0x6558, reply)).is_reply);
  EXPECT_EQ(judge.send(test::tcp_frame(kTcp4, test::kAck)).action, Action::forward);
  EXPECT_EQ(judge.counters().flows.get(), 1U);
}

TEST(Tunnels, AreOpenedWhereOnlyTheBeginningOfTheFrameIsHere) {
  const Bytes whole = test::vxlan_frame(
      kNodes4, test::tcp_frame(kTcp4, test::Tcp{.flags = test::kSyn, .payload_bytes = 900}));
  const std::span<const std::uint8_t> begin = std::span(whole).first(128);
  Packet packet = parse(begin, static_cast<std::uint32_t>(whole.size()));
  Tunnels(all_kinds()).look_inside(begin, packet);
  EXPECT_EQ(packet.kind, Packet::Kind::flow);
  EXPECT_EQ(packet.tuple.dst_port, 80);
  EXPECT_EQ(packet.l3_offset, kInUdp + 8 + 14);
  EXPECT_EQ(packet.l4_offset, kInUdp + 8 + 14 + 20);
}

}  // namespace
}  // namespace portcullis::dataplane
