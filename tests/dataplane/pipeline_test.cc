// SPDX-License-Identifier: MIT
#include "dataplane/pipeline.h"

#include <optional>

#include <gtest/gtest.h>

#include "base/limits.h"
#include "classifier/compile.h"
#include "classifier/key.h"
#include "dataplane/counters.h"
#include "dataplane/packet/headers.h"
#include "tests/support/packet.h"

namespace portcullis::dataplane {
namespace {

using classifier::Builtin;
using classifier::PortRange;
using classifier::rule_id;
using test::Bytes;
using test::Ends;
using Action = Outcome::Action;

constexpr std::uint64_t kSecond = 1'000'000'000;

IpAddress ip(std::string_view text) {
  return parse_ip(text).value();
}

/// A client, a server and a stranger, both families. Only the client reaches the server: on TCP 80,
/// UDP 53 and SCTP 9, and by ICMP. The server, too, is reached by no one else.
constexpr Ends kTcp4{"10.0.0.1", "10.0.0.2", 40000, 80};
constexpr Ends kTcp6{"2001:db8::1", "2001:db8::2", 40000, 80};
constexpr Ends kDns4{"10.0.0.1", "10.0.0.2", 40000, 53};
constexpr Ends kDns6{"2001:db8::1", "2001:db8::2", 40000, 53};
constexpr Ends kSctp4{"10.0.0.1", "10.0.0.2", 40000, 9};
constexpr Ends kStranger4{"10.0.0.3", "10.0.0.2", 40000, 80};
constexpr Ends kStranger6{"2001:db8::3", "2001:db8::2", 40000, 80};
/// The client itself is isolated, and nobody may reach it: only replies do.
constexpr classifier::RuleId kAllowRule = rule_id(std::size_t{0});
constexpr classifier::RuleId kServerDenyRule = rule_id(std::size_t{1});

classifier::RuleSet shop(bool client_may) {
  using namespace classifier;
  RuleSet rules{.default_mode = DefaultMode::kubernetes};
  rules.endpoints = {{.addresses = {ip("10.0.0.1"), ip("2001:db8::1")}},
                     {.addresses = {ip("10.0.0.2"), ip("2001:db8::2")}},
                     {.addresses = {ip("10.0.0.3"), ip("2001:db8::3")}}};
  rules.sets = {{.endpoints = {0}}, {.endpoints = {1}}, {.everything = true}};
  rules.port_sets = {{.ranges = {PortRange{kProtocolIcmp, 0, 0},
                                 PortRange{kProtocolTcp, 80, 80},
                                 PortRange{kProtocolUdp, 53, 53},
                                 PortRange{kProtocolIcmpv6, 0, 0},
                                 PortRange{kProtocolSctp, 9, 9}}},
                     {.everything = true}};
  rules.rules = {{.action = client_may ? classifier::Action::allow : classifier::Action::deny,
                  .subjects = 1,
                  .peers = 0,
                  .ports = 0},
                 {.action = classifier::Action::deny, .subjects = 1, .peers = 2, .ports = 1},
                 {.action = classifier::Action::deny, .subjects = 0, .peers = 2, .ports = 1}};
  return rules;
}

Generation generation(bool client_may, std::uint64_t epoch) {
  return {.epoch = epoch,
          .table = classifier::compile(shop(client_may)).value(),
          .rule_ids = classifier::kBuiltinRules + 3};
}

class PipelineTest : public testing::Test {
 protected:
  void start(const PipelineOptions& options) { pipeline_.emplace(options); }

  std::vector<Outcome> send_burst(std::vector<Bytes> frames, PortIndex port = 0) {
    std::vector<Frame> burst;
    for (Bytes& bytes : frames) {
      burst.push_back({bytes.data(), static_cast<std::uint32_t>(bytes.size()), port});
    }
    std::vector<Outcome> outcomes(burst.size());
    pipeline_->process(*generation_, now_ns_, burst, outcomes, {hits_, resets_});
    return outcomes;
  }
  Outcome send(Bytes frame, PortIndex port = 0) { return send_burst({std::move(frame)}, port)[0]; }

  /// One packet and what it must come to, with the counter of that.
  void expect_dropped(Bytes frame, DropReason reason, PortIndex port = 0) {
    const std::uint64_t before = drops(reason);
    const std::uint64_t dropped = counters().dropped.get();
    const Outcome outcome = send(std::move(frame), port);
    EXPECT_EQ(outcome.action, Action::drop);
    EXPECT_EQ(to_string(outcome.reason), to_string(reason));
    EXPECT_EQ(drops(reason), before + 1);
    EXPECT_EQ(counters().dropped.get(), dropped + 1);
  }
  void expect_forwarded(Bytes frame, bool is_reply, PortIndex port = 0) {
    const std::uint64_t forwarded = counters().forwarded.get();
    const std::uint64_t replies = counters().replies.get();
    const Outcome outcome = send(std::move(frame), port);
    EXPECT_EQ(outcome.action, Action::forward) << to_string(outcome.reason);
    EXPECT_EQ(outcome.is_reply, is_reply);
    EXPECT_TRUE(outcome.verdict.allowed());
    EXPECT_EQ(counters().forwarded.get(), forwarded + 1);
    EXPECT_EQ(counters().replies.get(), replies + (is_reply ? 1 : 0));
  }

  void open_tcp(const Ends& ends) {
    expect_forwarded(test::tcp_frame(ends, test::kSyn), false);
    expect_forwarded(test::tcp_frame(turned(ends), test::kSyn | test::kAck), true);
    expect_forwarded(test::tcp_frame(ends, test::kAck), false);
  }
  void publish(bool client_may) { generation_ = generation(client_may, ++epoch_); }

  const Counters& counters() { return pipeline_->counters(); }
  std::uint64_t drops(DropReason reason) {
    return counters().drops[static_cast<std::size_t>(reason)].get();
  }

  std::uint64_t epoch_ = 1;
  std::optional<Generation> generation_ = generation(true, 1);
  std::vector<std::uint64_t> hits_ = std::vector<std::uint64_t>(classifier::kBuiltinRules + 3);
  std::vector<std::uint64_t> resets_ = hits_;
  std::optional<Pipeline> pipeline_{std::in_place, PipelineOptions{.ports = 2}};
  std::uint64_t now_ns_ = 5 * kSecond;
};

TEST_F(PipelineTest, ForwardsAnAllowedConnectionAndItsReplies) {
  for (const Ends& ends : {kTcp4, kTcp6}) {
    open_tcp(ends);
    expect_forwarded(test::tcp_frame(turned(ends), test::kAck | test::kPsh), true);
  }
  EXPECT_EQ(counters().flows.get(), 2U);
  EXPECT_EQ(counters().flows_created.get(), 2U);
  EXPECT_EQ(counters().packets.get(), 8U);
  EXPECT_EQ(counters().bytes.get(), 4 * 54U + 4 * 74U);
}

TEST_F(PipelineTest, CountsBothDecidingRulesOncePerJudgedPacket) {
  open_tcp(kTcp4);
  EXPECT_EQ(counters().judged.get(), 1U);
  EXPECT_EQ(hits_[kAllowRule], 1U);  // The server's ingress. The client's egress is open:
  EXPECT_EQ(hits_[rule_id(Builtin::default_allow)], 1U);
  expect_dropped(test::tcp_frame(kStranger4, test::kSyn), DropReason::policy_denied);
  expect_dropped(test::tcp_frame(kStranger4, test::kSyn), DropReason::policy_denied);
  EXPECT_EQ(counters().judged.get(), 3U);
  EXPECT_EQ(hits_[kServerDenyRule], 2U);
  EXPECT_EQ(hits_[rule_id(Builtin::default_allow)], 3U);
  const Outcome denied = send(test::tcp_frame(kStranger6, test::kSyn));
  EXPECT_TRUE(denied.judged);
  EXPECT_TRUE(denied.verdict.egress.allowed());
  EXPECT_EQ(denied.verdict.ingress, classifier::Decision::deny(kServerDenyRule));
}

TEST_F(PipelineTest, ForwardsEachProtocolWithItsReplies) {
  for (const Ends& ends : {kDns4, kDns6}) {
    expect_forwarded(test::udp_frame(ends, {1}), false);
    expect_forwarded(test::udp_frame(turned(ends), {2}), true);
    expect_forwarded(test::ping_frame(ends, false, 7), false);
    expect_forwarded(test::ping_frame(turned(ends), true, 7), true);
  }
  expect_forwarded(test::sctp_frame(kSctp4, wire::kSctpInit), false);
  expect_forwarded(test::sctp_frame(turned(kSctp4), wire::kSctpInitAck), true);
  expect_forwarded(test::sctp_frame(kSctp4, 10), false);
  EXPECT_EQ(counters().flows.get(), 5U);
}

TEST_F(PipelineTest, DropsWhatPolicyDeniesAndKeepsNoState) {
  for (const Ends& ends : {kStranger4, kStranger6}) {
    expect_dropped(test::tcp_frame(ends, test::kSyn), DropReason::policy_denied);
    expect_dropped(test::udp_frame(ends, {1}), DropReason::policy_denied);
    expect_dropped(test::ping_frame(ends, false, 7), DropReason::policy_denied);
    expect_dropped(test::sctp_frame(ends, wire::kSctpInit), DropReason::policy_denied);
    expect_dropped(test::ip_frame(ends, 47, Bytes(8, 0)), DropReason::policy_denied);
  }
  EXPECT_EQ(counters().flows.get(), 0U);
  EXPECT_EQ(counters().flows_created.get(), 0U);
}

TEST_F(PipelineTest, OpensNothingInTheOtherDirection) {
  open_tcp(kTcp4);
  // On the very ports of the connection, and on others.
  expect_dropped(test::tcp_frame(turned(kTcp4), test::kSyn), DropReason::policy_denied);
  expect_dropped(test::tcp_frame({"10.0.0.2", "10.0.0.1", 80, 22}, test::kSyn),
                 DropReason::policy_denied);
  expect_forwarded(test::tcp_frame(turned(kTcp4), test::kAck), true);
  expect_forwarded(test::ping_frame(kTcp4, false, 7), false);
  expect_dropped(test::ping_frame(turned(kTcp4), false, 7), DropReason::policy_denied);
  expect_forwarded(test::sctp_frame(kSctp4, wire::kSctpInit), false);
  expect_dropped(test::sctp_frame(turned(kSctp4), wire::kSctpInit), DropReason::policy_denied);
  expect_forwarded(test::udp_frame(kDns4, {1}), false);
  expect_dropped(test::udp_frame({"10.0.0.2", "10.0.0.1", 53, 40001}, {1}),
                 DropReason::policy_denied);
  EXPECT_EQ(counters().flows.get(), 4U);
}

TEST_F(PipelineTest, WantsABeginning) {
  for (const int flags : std::initializer_list<int>{
           test::kAck, test::kSyn | test::kAck, test::kFin | test::kAck, test::kRst}) {
    expect_dropped(test::tcp_frame(kTcp4, static_cast<std::uint8_t>(flags)),
                   DropReason::not_a_new_flow);
  }
  expect_dropped(test::sctp_frame(kSctp4, 0), DropReason::not_a_new_flow);
  expect_dropped(test::ping_frame(kTcp4, true, 7), DropReason::not_a_new_flow);
  EXPECT_EQ(counters().judged.get(), 0U);
}

TEST_F(PipelineTest, PicksUpMidstreamWhereConfiguredAndAllowed) {
  start({.conntrack = {.tcp_loose = true}, .ports = 1});
  expect_forwarded(test::tcp_frame(kTcp4, test::kAck), false);
  expect_forwarded(test::tcp_frame(turned(kTcp4), test::kAck), true);
  expect_dropped(test::tcp_frame(kStranger4, test::kAck), DropReason::policy_denied);
  expect_dropped(test::tcp_frame(kStranger4, test::kRst), DropReason::not_a_new_flow);
  expect_dropped(test::tcp_frame({"10.0.0.1", "10.0.0.2", 9, 80}, test::kSyn | test::kAck),
                 DropReason::not_a_new_flow);
}

TEST_F(PipelineTest, KeepsTheOrderOfABurst) {
  const auto outcomes = send_burst({test::tcp_frame(turned(kTcp4), test::kSyn | test::kAck),
                                    test::tcp_frame(kTcp4, test::kSyn),
                                    test::tcp_frame(kTcp4, test::kSyn),
                                    test::tcp_frame(turned(kTcp4), test::kSyn | test::kAck),
                                    test::udp_frame(kDns6, {1}),
                                    test::udp_frame(turned(kDns6), {1}),
                                    test::tcp_frame(kStranger4, test::kSyn),
                                    test::tcp_frame(turned(kStranger4), test::kAck)});
  EXPECT_EQ(outcomes[0].reason, DropReason::not_a_new_flow);  // Ahead of what it answers.
  EXPECT_EQ(outcomes[1].action, Action::forward);
  EXPECT_TRUE(outcomes[1].judged);
  EXPECT_EQ(outcomes[2].action, Action::forward);
  EXPECT_FALSE(outcomes[2].judged);
  EXPECT_TRUE(outcomes[3].is_reply);
  EXPECT_EQ(outcomes[5].action, Action::forward);
  EXPECT_TRUE(outcomes[5].is_reply);
  EXPECT_EQ(outcomes[6].reason, DropReason::policy_denied);
  EXPECT_EQ(outcomes[7].reason, DropReason::not_a_new_flow);
  EXPECT_EQ(counters().flows_created.get(), 2U);
  EXPECT_EQ(counters().judged.get(), 3U);
}

TEST_F(PipelineTest, ManagesAFullBurstOfNewFlowsOfBothFamilies) {
  std::vector<Bytes> frames;
  for (std::uint16_t i = 0; i < limits::kBurstMax; ++i) {
    Ends ends = i % 2 == 0 ? kDns4 : kDns6;
    ends.src_port = i;
    frames.push_back(test::udp_frame(ends, {1}));
  }
  for (const Outcome& outcome : send_burst(frames)) {
    EXPECT_EQ(outcome.action, Action::forward);
    EXPECT_TRUE(outcome.judged);
  }
  for (const Outcome& outcome : send_burst(frames)) {
    EXPECT_EQ(outcome.action, Action::forward);
    EXPECT_FALSE(outcome.judged);
  }
  EXPECT_EQ(counters().flows.get(), limits::kBurstMax);
}

TEST_F(PipelineTest, JudgesFlowsAgainWhenAGenerationIsPublished) {
  for (const Ends& ends : {kTcp4, kTcp6}) {
    open_tcp(ends);
  }
  publish(true);
  expect_forwarded(test::tcp_frame(kTcp4, test::kAck), false);
  EXPECT_EQ(counters().revalidated.get(), 1U);
  // A reply is judged in its flow's own direction: the client may be reached by no one.
  expect_forwarded(test::tcp_frame(turned(kTcp6), test::kAck), true);
  expect_forwarded(test::tcp_frame(kTcp6, test::kAck), false);
  EXPECT_EQ(counters().revalidated.get(), 2U);
  publish(false);
  expect_dropped(test::tcp_frame(turned(kTcp4), test::kAck), DropReason::policy_denied);
  expect_dropped(test::tcp_frame(kTcp6, test::kAck), DropReason::policy_denied);
  EXPECT_EQ(counters().flows.get(), 0U);
  EXPECT_EQ(counters().revalidated.get(), 4U);
  expect_dropped(test::tcp_frame(kTcp4, test::kAck), DropReason::not_a_new_flow);
  publish(true);
  expect_dropped(test::tcp_frame(kTcp4, test::kAck), DropReason::not_a_new_flow);
  expect_forwarded(test::tcp_frame(kTcp4, test::kSyn), false);
}

TEST_F(PipelineTest, JudgesAFlowAgainOnceInABurst) {
  open_tcp(kTcp4);
  publish(true);
  const auto allowed = send_burst({test::tcp_frame(kTcp4, test::kAck),
                                   test::tcp_frame(turned(kTcp4), test::kAck),
                                   test::tcp_frame(kTcp4, test::kAck)});
  EXPECT_TRUE(allowed[0].judged);
  EXPECT_FALSE(allowed[1].judged);
  EXPECT_TRUE(allowed[1].is_reply);
  EXPECT_EQ(counters().revalidated.get(), 1U);
  publish(false);
  const auto denied = send_burst({test::tcp_frame(kTcp4, test::kAck),
                                  test::tcp_frame(turned(kTcp4), test::kAck),
                                  test::tcp_frame(kTcp4, test::kSyn)});
  EXPECT_EQ(denied[0].reason, DropReason::policy_denied);
  EXPECT_EQ(denied[1].reason, DropReason::not_a_new_flow);
  EXPECT_EQ(denied[2].reason, DropReason::policy_denied);
  EXPECT_EQ(counters().revalidated.get(), 2U);
}

TEST_F(PipelineTest, LetsFlowsGoOnThatTheGenerationKeeps) {
  const Ends later{"10.0.0.1", "10.0.0.2", 40001, 80};
  open_tcp(kTcp4);
  publish(false);
  generation_->kept_before = epoch_;
  expect_forwarded(test::tcp_frame(kTcp4, test::kAck), false);
  expect_forwarded(test::tcp_frame(turned(kTcp4), test::kAck), true);
  EXPECT_EQ(counters().revalidated.get(), 0U);
  expect_dropped(test::tcp_frame(later, test::kSyn), DropReason::policy_denied);
  expect_dropped(test::tcp_frame(turned(kTcp4), test::kSyn), DropReason::policy_denied);
  expect_forwarded(test::tcp_frame(kTcp4, test::kAck), false);
  EXPECT_EQ(counters().revalidated.get(), 0U);
  // The same table in the same epoch, and nobody is kept any more.
  generation_->kept_before = 0;
  expect_dropped(test::tcp_frame(kTcp4, test::kAck), DropReason::policy_denied);
  EXPECT_EQ(counters().flows_revoked.get(), 1U);
}

TEST_F(PipelineTest, JudgesFlowsOfAKeepingGenerationAgainUnderTheNext) {
  const Ends later{"10.0.0.1", "10.0.0.2", 40001, 80};
  open_tcp(kTcp4);
  publish(true);
  generation_->kept_before = epoch_;
  open_tcp(later);
  const std::uint64_t kept_before = epoch_;
  publish(false);  // As an edit: who goes on already goes on.
  generation_->kept_before = kept_before;
  expect_forwarded(test::tcp_frame(kTcp4, test::kAck), false);
  expect_dropped(test::tcp_frame(later, test::kAck), DropReason::policy_denied);
}

TEST_F(PipelineTest, CountsResetsByTheRulesThatAllowedTheConnection) {
  open_tcp(kTcp4);
  expect_forwarded(test::tcp_frame(turned(kTcp4), test::kRst | test::kAck), true);
  EXPECT_EQ(counters().resets.get(), 1U);
  EXPECT_EQ(resets_[kAllowRule], 1U);
  EXPECT_EQ(resets_[kServerDenyRule], 0U);
  send(test::tcp_frame(turned(kTcp4), test::kRst | test::kAck));  // It is over already.
  EXPECT_EQ(counters().resets.get(), 1U);
  open_tcp(kTcp6);
  expect_forwarded(test::tcp_frame(kTcp6, test::kFin | test::kAck), false);
  expect_forwarded(test::tcp_frame(turned(kTcp6), test::kFin | test::kAck), true);
  EXPECT_EQ(counters().resets.get(), 1U) << "closed in order";
  // Of a flow that goes on under another table, the rules have no names any more.
  open_tcp({"10.0.0.1", "10.0.0.2", 40001, 80});
  publish(false);
  generation_->kept_before = epoch_;
  expect_forwarded(test::tcp_frame({"10.0.0.1", "10.0.0.2", 40001, 80}, test::kRst), false);
  EXPECT_EQ(counters().resets.get(), 2U);
  EXPECT_EQ(resets_[kAllowRule], 1U);
}

TEST_F(PipelineTest, JudgesAConnectionOnUsedPortsAnew) {
  open_tcp(kTcp4);
  expect_forwarded(test::tcp_frame(kTcp4, test::kRst), false);
  const Outcome again = send(test::tcp_frame(kTcp4, test::kSyn));
  EXPECT_EQ(again.action, Action::forward);
  EXPECT_TRUE(again.judged);
  EXPECT_EQ(counters().flows.get(), 1U);
  EXPECT_EQ(counters().flows_created.get(), 2U);
}

TEST_F(PipelineTest, LetsErrorsFollowTheirFlow) {
  for (const Ends& ends : {kDns4, kDns6}) {
    const Bytes query = test::udp_frame(ends, {1});
    const Bytes answer = test::udp_frame(turned(ends), {2});
    expect_dropped(test::unreachable_frame(turned(ends), query), DropReason::not_a_new_flow);
    expect_forwarded(query, false);
    // To the client, which no one may reach otherwise; then to the server.
    expect_forwarded(test::unreachable_frame(turned(ends), query), true);
    expect_forwarded(test::unreachable_frame(ends, answer), false);
    const Bytes ping = test::ping_frame(ends, false, 3);
    expect_forwarded(ping, false);
    expect_forwarded(test::unreachable_frame(turned(ends), ping), true);
  }
  publish(false);
  expect_dropped(test::unreachable_frame(turned(kDns4), test::udp_frame(kDns4, {1})),
                 DropReason::policy_denied);
}

TEST_F(PipelineTest, JudgesPacketsToManyOneByOne) {
  const Bytes query = test::udp_frame({"10.0.0.3", "224.0.0.251", 5353, 5353}, {1});
  EXPECT_TRUE(send(query).judged);
  EXPECT_TRUE(send(query).judged);
  EXPECT_EQ(counters().forwarded.get(), 2U);
  EXPECT_EQ(counters().flows.get(), 0U);
}

TEST_F(PipelineTest, HandsLinkPacketsToTheMode) {
  for (const Bytes& frame : {test::arp_frame(1, "10.0.0.1", "10.0.0.2"),
                             test::nd_frame(135, "fe80::1", "ff02::1:ff00:2", "2001:db8::2")}) {
    const Outcome outcome = send(frame);
    EXPECT_EQ(outcome.action, Action::link);
    EXPECT_EQ(outcome.l3_offset, wire::kEthernetBytes);
  }
  EXPECT_EQ(counters().link.get(), 2U);
  EXPECT_EQ(counters().packets.get(), 2U);
  EXPECT_EQ(counters().dropped.get(), 0U);
}

TEST_F(PipelineTest, DropsWhatItCannotRead) {
  expect_dropped({}, DropReason::invalid_header);
  expect_dropped(Bytes(60, 0), DropReason::unsupported_l3);
  expect_dropped(test::tcp_frame(kTcp4, test::kSyn | test::kFin), DropReason::invalid_header);
  expect_dropped(test::udp_frame(kDns6, {1}, {.extensions = {{135, Bytes(8, 0)}}}),
                 DropReason::invalid_ipv6_extension);
  expect_dropped(test::udp_frame({"127.0.0.1", "10.0.0.2", 1, 53}), DropReason::invalid_source);
}

TEST_F(PipelineTest, GuardsTheSourcesOfAPort) {
  start({.ports = 2, .sources = {{ip("10.0.0.1"), ip("2001:db8::1")}}});
  expect_forwarded(test::udp_frame(kDns4, {1}), false, 0);
  expect_forwarded(test::udp_frame(kDns6, {1}), false, 0);
  for (const Bytes& spoofed :
       {test::udp_frame({"10.0.0.3", "10.0.0.9", 1, 2}, {1}),
        test::udp_frame({"2001:db8::3", "2001:db8::9", 1, 2}, {1}),
        test::udp_frame({"fe80::1", "2001:db8::9", 1, 2}, {1}),
        test::arp_frame(2, "10.0.0.3", "10.0.0.9"),
        test::nd_frame(136, "2001:db8::3", "ff02::1", "2001:db8::3"),
        test::nd_frame(136, "fe80::1", "ff02::1", "2001:db8::3"),
        test::unreachable_frame({"10.0.0.3", "10.0.0.2"},
                                test::udp_frame({"10.0.0.2", "10.0.0.9", 1, 2}, {1}))}) {
    expect_dropped(spoofed, DropReason::invalid_source, 0);
  }
  for (const Bytes& honest : {test::arp_frame(1, "10.0.0.1", "10.0.0.9"),
                              test::arp_frame(1, "0.0.0.0", "10.0.0.1"),
                              test::nd_frame(135, "fe80::1", "ff02::1:ff00:9", "2001:db8::9"),
                              test::nd_frame(135, "::", "ff02::1:ff00:1", "2001:db8::1"),
                              test::nd_frame(136, "fe80::1", "ff02::1", "fe80::1"),
                              test::nd_frame(136, "fe80::1", "ff02::1", "2001:db8::1")}) {
    EXPECT_EQ(send(honest, 0).action, Action::link);
  }
  // DHCP has no address yet.
  EXPECT_NE(send(test::udp_frame({"0.0.0.0", "255.255.255.255", 68, 67}), 0).reason,
            DropReason::invalid_source);
  // The other port has no list.
  expect_forwarded(test::udp_frame({"10.0.0.3", "10.0.0.9", 1, 2}, {1}), false, 1);
}

TEST_F(PipelineTest, DropsNewFlowsWhenTheTableIsFullOfEstablishedOnes) {
  start({.conntrack = {.flows_max = 4}, .ports = 1});
  for (std::uint16_t port = 0; port < 4; ++port) {
    const Ends ends{"10.0.0.1", "10.0.0.2", port, 53};
    expect_forwarded(test::udp_frame(ends, {1}), false);
    expect_forwarded(test::udp_frame(turned(ends), {1}), true);
  }
  expect_dropped(test::udp_frame(kDns4, {1}), DropReason::conntrack_full);
  EXPECT_EQ(counters().flows.get(), 4U);
  now_ns_ += 3600 * kSecond;
  expect_forwarded(test::udp_frame(kDns4, {1}), false);
}

TEST_F(PipelineTest, SurvivesFlowsThatABurstEvicts) {
  start({.conntrack = {.flows_max = 1}, .ports = 1});
  expect_forwarded(test::tcp_frame(kTcp4, test::kSyn), false);
  // The first evicts what was found for the second, which must then be judged by itself.
  const auto outcomes = send_burst({test::udp_frame(kDns6, {1}),
                                    test::tcp_frame(kTcp4, test::kSyn),
                                    test::udp_frame(turned(kDns6), {1})});
  EXPECT_EQ(outcomes[0].action, Action::forward);
  EXPECT_EQ(outcomes[1].action, Action::forward);
  EXPECT_TRUE(outcomes[1].judged);
  EXPECT_EQ(outcomes[2].reason, DropReason::policy_denied);  // Its flow is gone.
  EXPECT_EQ(counters().flows_evicted.get(), 2U);
  EXPECT_EQ(counters().flows.get(), 1U);
}

TEST_F(PipelineTest, ForgetsSilentFlows) {
  expect_forwarded(test::udp_frame(kDns4, {1}), false);
  now_ns_ += 60 * kSecond;
  expect_dropped(test::udp_frame(turned(kDns4), {1}), DropReason::policy_denied);
  expect_forwarded(test::udp_frame(kDns6, {1}), false);
  for (int i = 0; i < 2000; ++i) {
    now_ns_ += kSecond / 10;
    pipeline_->expire(now_ns_);
  }
  EXPECT_EQ(counters().flows.get(), 0U);
  EXPECT_EQ(counters().flows_expired.get(), 2U);
}

/// Static rules see the packet's own flags and ICMP type; a known flow stays the handshake that
/// began it, also when it is judged again.
TEST_F(PipelineTest, AsksStaticRulesAboutTheFirstPacket) {
  start({.conntrack = {.flows_max = 16, .tcp_loose = true}, .ports = 1});
  const auto generation_with = [](std::uint64_t epoch, std::vector<classifier::StaticRule> rules) {
    classifier::RuleSet whole = shop(true);
    whole.static_rules = std::move(rules);
    return Generation{.epoch = epoch,
                      .table = classifier::compile(whole).value(),
                      .rule_ids = classifier::kBuiltinRules + 3 + whole.static_rules.size()};
  };
  // The stranger may begin connections, which policies deny it, and nobody may ask for the time.
  const classifier::StaticRule begins{.protocol = classifier::kProtocolTcp,
                                      .tcp_flags = test::kSyn,
                                      .tcp_flags_mask = test::kSyn | test::kAck,
                                      .action = classifier::Action::allow};
  const classifier::StaticRule ping{.protocol = classifier::kProtocolIcmp,
                                    .icmp = {0x0800, 0x08ff},
                                    .action = classifier::Action::deny};
  generation_.emplace(generation_with(1, {begins, ping}));
  hits_.assign(generation_->rule_ids, 0);
  expect_dropped(test::tcp_frame(kStranger4, test::kAck), DropReason::policy_denied);
  expect_forwarded(test::tcp_frame(kStranger4, test::kSyn), false);
  EXPECT_EQ(hits_[classifier::kBuiltinRules + 3], 2U) << "once an end";
  expect_forwarded(test::tcp_frame(turned(kStranger4), test::kSyn | test::kAck), true);
  expect_dropped(test::ping_frame(kTcp4, false, 7), DropReason::policy_denied);
  generation_.emplace(generation_with(2, {begins}));
  expect_forwarded(test::tcp_frame(kStranger4, test::kAck), false);
  generation_.emplace(generation_with(3, {}));
  expect_dropped(test::tcp_frame(kStranger4, test::kAck), DropReason::policy_denied);
}

TEST_F(PipelineTest, TellsEveryDropReasonByName) {
  for (std::size_t i = 0; i < kDropReasons; ++i) {
    const std::string_view name = to_string(static_cast<DropReason>(i));
    EXPECT_FALSE(name.empty());
    EXPECT_NE(name, "UNKNOWN");
  }
  EXPECT_EQ(to_string(DropReason::policy_denied), "POLICY_DENIED");
  EXPECT_EQ(to_string(static_cast<DropReason>(200)), "UNKNOWN");
}

}  // namespace
}  // namespace portcullis::dataplane
