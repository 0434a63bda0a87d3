// SPDX-License-Identifier: MIT
// Quotas of namespaces on the packet path: who is charged, who is refused, and whom that leaves
// alone.
#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "classifier/compile.h"
#include "dataplane/counters.h"
#include "dataplane/flows/query.h"
#include "dataplane/packet/headers.h"
#include "dataplane/pipeline.h"
#include "dataplane/quota/namespace_map.h"
#include "tests/support/packet.h"

namespace portcullis::dataplane {
namespace {

using test::Bytes;
using test::Ends;
using Action = Outcome::Action;

constexpr std::uint64_t kSecond = 1'000'000'000;
constexpr std::uint32_t kQuota = 8;
constexpr const char* kShop = "10.1.0.1";
constexpr const char* kBank = "10.2.0.1";
constexpr const char* kFree = "10.3.0.1";  // A pod of a namespace without a quota.
constexpr const char* kOutside = "192.0.2.1";
constexpr const char* kServer = "192.0.2.80";

IpAddress ip(std::string_view text) {
  return parse_ip(text).value();
}

/// Everyone may reach everyone, or nobody anyone.
Generation open_generation(std::uint64_t epoch, bool closed = false) {
  classifier::RuleSet rules{.default_mode = classifier::DefaultMode::kubernetes};
  if (closed) {
    rules.default_mode = classifier::DefaultMode::deny;
  }
  return {.epoch = epoch,
          .table = classifier::compile(rules).value(),
          .rule_ids = classifier::kBuiltinRules};
}

class PipelineQuota : public testing::Test {
 protected:
  PipelineQuota() {
    map_->set(ip(kShop), NamespaceQuota{.name_space = 1, .flows_max = kQuota});
    map_->set(ip("fd00:1::1"), NamespaceQuota{.name_space = 1, .flows_max = kQuota});
    map_->set(ip(kBank), NamespaceQuota{.name_space = 2, .flows_max = kQuota});
    map_->set(ip(kFree), NamespaceQuota{});
    generation_.namespaces = map_;
  }

  Outcome send(Bytes frame) {
    const Frame one{.data = frame.data(), .length = static_cast<std::uint32_t>(frame.size())};
    Outcome outcome;
    pipeline_.process(
        generation_, now_ns_, std::span(&one, 1), std::span(&outcome, 1), {hits_, hits_});
    return outcome;
  }
  /// One packet and what becomes of it, with the counters of that.
  void expect(const Bytes& frame, DropReason reason) {
    const auto index = static_cast<std::size_t>(reason);
    const bool passes = reason == DropReason::none;
    const Counters& counters = pipeline_.counters();
    const std::array before{
        counters.drops[index].get(), counters.dropped.get(), counters.forwarded.get()};
    EXPECT_EQ(to_string(send(frame).reason), to_string(reason));
    EXPECT_EQ(counters.drops[index].get(), before[0] + (passes ? 0 : 1));
    EXPECT_EQ(counters.dropped.get(), before[1] + (passes ? 0 : 1));
    EXPECT_EQ(counters.forwarded.get(), before[2] + (passes ? 1 : 0));
  }
  void expect_passes(const Bytes& frame) { expect(frame, DropReason::none); }
  void expect_refused(const Bytes& frame) { expect(frame, DropReason::conntrack_quota); }

  static Ends ends(const char* from, std::uint16_t port, const char* to = kServer) {
    return {from, to, port, 80};
  }
  void open_tcp(const Ends& ends) {
    expect_passes(test::tcp_frame(ends, test::kSyn));
    expect_passes(test::tcp_frame(turned(ends), test::kSyn | test::kAck));
    expect_passes(test::tcp_frame(ends, test::kAck));
  }
  void talk(const Ends& ends) {
    expect_passes(test::tcp_frame(ends, test::kAck | test::kPsh));
    expect_passes(test::tcp_frame(turned(ends), test::kAck | test::kPsh));
  }

  /// As the control thread asks for them.
  NamespaceFlows flows_of(std::uint16_t name_space, FlowRequest request = {}) {
    request.action = request.action == FlowRequest::Action::flush ? FlowRequest::Action::flush
                                                                  : FlowRequest::Action::count;
    const auto query = std::make_shared<FlowQuery>(request);
    pipeline_.mailbox().post(query);
    while (pipeline_.answer(now_ns_)) {
    }
    for (const NamespaceFlows& one : query->take().namespaces) {
      if (one.name_space == name_space) {
        return one;
      }
    }
    return {};
  }

  std::shared_ptr<NamespaceMap> map_ = std::make_shared<NamespaceMap>(8);
  Generation generation_ = open_generation(1);
  std::vector<std::uint64_t> hits_ = std::vector<std::uint64_t>(classifier::kBuiltinRules);
  Pipeline pipeline_{{.conntrack = {.flows_max = 1024, .namespace_flows_max = kQuota}, .ports = 1}};
  std::uint64_t now_ns_ = 5 * kSecond;
};

TEST_F(PipelineQuota, RefusesANamespaceThatIsFullOfEstablishedFlows) {
  for (std::uint16_t port = 0; port < kQuota; ++port) {
    open_tcp(ends(kShop, port));
  }
  expect_refused(test::tcp_frame(ends(kShop, 100), test::kSyn));
  expect_refused(test::udp_frame(ends(kShop, 100), {1}));
  expect_refused(test::tcp_frame({"fd00:1::1", "fd00::80", 100, 80}, test::kSyn));
  expect_refused(test::udp_frame(ends(kOutside, 100, kShop), {1}));
  EXPECT_EQ(flows_of(1).flows, kQuota);
  EXPECT_EQ(flows_of(1).flows_max, kQuota);
  EXPECT_EQ(flows_of(1).refused, 4U);
  for (std::uint16_t port = 0; port < kQuota; ++port) {
    talk(ends(kShop, port));
    open_tcp(ends(kBank, port, kShop));
  }
  EXPECT_EQ(flows_of(2).flows, kQuota) << "of the pod that began them";
  EXPECT_EQ(pipeline_.counters().flows_evicted.get(), 0U);
}

TEST_F(PipelineQuota, LeavesAloneWhatAFloodOfOneNamespaceDoesNotOwn) {
  open_tcp(ends(kShop, 1));
  open_tcp(ends(kBank, 1));
  for (std::uint16_t port = 2; port < kQuota + 1; ++port) {
    expect_passes(test::tcp_frame(ends(kBank, port), test::kSyn));
  }
  for (std::uint16_t port = 1000; port < 6000; ++port) {
    send(test::tcp_frame(ends(kShop, port), test::kSyn));
  }
  const Counters& counters = pipeline_.counters();
  EXPECT_EQ(counters.drops[static_cast<std::size_t>(DropReason::conntrack_full)].get(), 0U);
  EXPECT_EQ(counters.drops[static_cast<std::size_t>(DropReason::conntrack_quota)].get(), 0U);
  EXPECT_EQ(counters.flows.get(), 2 * kQuota);
  EXPECT_EQ(counters.flows_evicted.get(), 5000 - (kQuota - 1));
  talk(ends(kShop, 1));
  talk(ends(kBank, 1));
  for (std::uint16_t port = 2; port < kQuota + 1; ++port) {
    expect_passes(test::tcp_frame(turned(ends(kBank, port)), test::kSyn | test::kAck));
  }
  open_tcp(ends(kShop, 7000));
  EXPECT_EQ(flows_of(1).refused, 0U);
}

TEST_F(PipelineQuota, ChargesNobodyForOthers) {
  for (std::uint16_t port = 0; port < 3 * kQuota; ++port) {
    open_tcp(ends(kFree, port, kShop));
    open_tcp(ends(kOutside, port));
  }
  EXPECT_EQ(flows_of(1).flows, 0U);
  generation_.namespaces = nullptr;
  for (std::uint16_t port = 0; port < 3 * kQuota; ++port) {
    open_tcp(ends(kShop, port));
  }
  EXPECT_EQ(flows_of(1).flows, 0U);
}

TEST_F(PipelineQuota, CountsDownWhenFlowsEnd) {
  for (std::uint16_t port = 0; port < kQuota; ++port) {
    open_tcp(ends(kShop, port));
  }
  expect_refused(test::tcp_frame(ends(kShop, 100), test::kSyn));
  // A connection that its server has reset makes room for another at once.
  expect_passes(test::tcp_frame(turned(ends(kShop, 3)), test::kRst | test::kAck));
  open_tcp(ends(kShop, 100));
  EXPECT_EQ(flows_of(1).flows, kQuota);
  expect_refused(test::tcp_frame(ends(kShop, 101), test::kSyn));
  // One that begins anew on the ports of one that is over is charged once.
  expect_passes(test::tcp_frame(turned(ends(kShop, 4)), test::kRst | test::kAck));
  open_tcp(ends(kShop, 4));
  EXPECT_EQ(flows_of(1).flows, kQuota);

  EXPECT_EQ(flows_of(1, {.action = FlowRequest::Action::flush}).flows, 0U);
  EXPECT_EQ(flows_of(1).flows, 0U);
  open_tcp(ends(kShop, 1));
  EXPECT_EQ(flows_of(1).flows, 1U);
  const auto namespaces = generation_.namespaces;
  generation_ = open_generation(2, true);
  generation_.namespaces = namespaces;
  expect(test::tcp_frame(ends(kShop, 1), test::kAck), DropReason::policy_denied);
  EXPECT_EQ(pipeline_.counters().flows_revoked.get(), 1U);
  EXPECT_EQ(flows_of(1).flows, 0U) << "revoked";
}

TEST_F(PipelineQuota, FollowsAnAddressToAnotherNamespace) {
  for (std::uint16_t port = 0; port < kQuota; ++port) {
    open_tcp(ends(kShop, port));
  }
  map_->set(ip(kShop), NamespaceQuota{.name_space = 2, .flows_max = kQuota});
  open_tcp(ends(kShop, 100));
  EXPECT_EQ(flows_of(1).flows, kQuota) << "until they end";
  EXPECT_EQ(flows_of(2).flows, 1U);
  talk(ends(kShop, 1));
  map_->set(ip(kShop), std::nullopt);
  open_tcp(ends(kShop, 101));
  EXPECT_EQ(flows_of(2).flows, 1U);
}

}  // namespace
}  // namespace portcullis::dataplane
