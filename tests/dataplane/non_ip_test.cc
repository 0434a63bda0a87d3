// SPDX-License-Identifier: MIT
#include "dataplane/packet/non_ip.h"

#include <algorithm>
#include <array>
#include <optional>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "classifier/compile.h"
#include "config/non_ip_words.h"
#include "dataplane/counters.h"
#include "dataplane/packet/headers.h"
#include "dataplane/pipeline.h"
#include "tests/support/packet.h"

namespace portcullis::dataplane {
namespace {

using test::Bytes;
using Action = Outcome::Action;

constexpr std::array<std::uint8_t, 6> kToBridges{0x01, 0x80, 0xc2, 0, 0, 0};
constexpr std::array<std::uint8_t, 6> kFrom{0x02, 0, 0, 0, 0, 1};
constexpr std::array<std::uint8_t, 6> kToHost{0x02, 0, 0, 0, 0, 2};
/// 802.3 says how long what follows is.
constexpr std::uint16_t kLength = 38;

/// A frame of any type, behind any tags.
Bytes frame(std::uint16_t type,
            const Bytes& payload,
            const std::vector<std::uint16_t>& tags = {},
            const std::array<std::uint8_t, 6>& to = kToBridges) {
  Bytes out;
  const auto put = [&out](const auto& bytes) {
    for (const std::uint8_t byte : bytes) {
      out.push_back(byte);
    }
  };
  const auto put16 = [&out](std::uint16_t value) {
    out.push_back(static_cast<std::uint8_t>(value >> 8U));
    out.push_back(static_cast<std::uint8_t>(value));
  };
  put(to);
  put(kFrom);
  for (const std::uint16_t tag : tags) {
    put16(tag);
    put16(7);
  }
  put16(type);
  put(payload);
  out.resize(std::max<std::size_t>(out.size(), 60));
  return out;
}

Bytes bpdu(const std::vector<std::uint16_t>& tags = {}) {
  return frame(kLength, {0x42, 0x42, 0x03, 0, 0, 2, 2}, tags);
}

/// ARP behind tags.
Bytes tagged_arp(const std::vector<std::uint16_t>& tags) {
  const Bytes plain = test::arp_frame(1, "10.0.0.1", "10.0.0.2");
  return frame(0x0806, Bytes(plain.begin() + 14, plain.end()), tags);
}

/// A pipeline that lets no IP pass, and of other protocols those of the words.
class NonIpTest : public testing::Test {
 protected:
  void allow(const std::vector<std::string>& words, const config::Tunnels& tunnels = {}) {
    config::NonIp options{.allow = {}};
    for (const std::string& word : words) {
      options.allow.push_back(config::parse_non_ip(word).value());
    }
    pipeline_.emplace(PipelineOptions{.tunnels = tunnels, .non_ip = options, .ports = 2});
  }
  Outcome send(Bytes bytes) {
    const Frame frame{bytes.data(), static_cast<std::uint32_t>(bytes.size()), 0};
    Outcome outcome;
    pipeline_->process(
        generation_, 5'000'000'000, std::span(&frame, 1), std::span(&outcome, 1), {hits_, {}});
    return outcome;
  }
  void expect_passed(const Bytes& bytes) {
    const std::uint64_t before = pipeline_->counters().link.get();
    const Outcome outcome = send(bytes);
    EXPECT_EQ(outcome.action, Action::link) << to_string(outcome.reason);
    EXPECT_EQ(outcome.reason, DropReason::none);
    EXPECT_EQ(pipeline_->counters().link.get(), before + 1);
  }
  void expect_dropped(const Bytes& bytes, DropReason reason = DropReason::unsupported_l3) {
    const auto& counter = pipeline_->counters().drops[static_cast<std::size_t>(reason)];
    const std::uint64_t before = counter.get();
    const Outcome outcome = send(bytes);
    EXPECT_EQ(outcome.action, Action::drop);
    EXPECT_EQ(to_string(outcome.reason), to_string(reason));
    EXPECT_EQ(counter.get(), before + 1);
  }

  std::optional<Pipeline> pipeline_;
  Generation generation_{
      .epoch = 1,
      .table = classifier::compile({.default_mode = classifier::DefaultMode::deny}).value(),
      .rule_ids = classifier::kBuiltinRules};
  std::vector<std::uint64_t> hits_ = std::vector<std::uint64_t>(classifier::kBuiltinRules);
};

constexpr std::array<std::uint16_t, 7> kTypes{
    0x88cc, 0x8809, 0x888e, 0x8847, 0x8848, 0x88f7, 0x0600};
const std::vector<std::vector<std::uint16_t>> kTaggings{{}, {0x8100}, {0x88a8, 0x8100}};

TEST_F(NonIpTest, PassesArpAndNothingElseByDefault) {
  pipeline_.emplace(PipelineOptions{.ports = 2});
  for (const auto& tags : kTaggings) {
    expect_passed(tagged_arp(tags));
    expect_dropped(bpdu(tags));
    for (const std::uint16_t type : kTypes) {
      expect_dropped(frame(type, {1, 2, 3}, tags));
    }
  }
}

TEST_F(NonIpTest, PassesEachProtocolThatIsNamedAndNoOther) {
  const std::vector<std::pair<std::string, Bytes>> protocols{
      {"arp", tagged_arp({})},
      {"lldp", frame(0x88cc, {2, 7, 4})},
      {"stp", bpdu()},
      {"lacp", frame(0x8809, {1, 1})},
      {"eapol", frame(0x888e, {1, 1}, {}, kToHost)},
      {"mpls", frame(0x8847, {0, 0, 1, 64})},
      {"mpls", frame(0x8848, {0, 0, 1, 64})},
      {"0x88f7", frame(0x88f7, {0, 2})},
  };
  for (const auto& [word, own] : protocols) {
    allow({word});
    for (const auto& [other, bytes] : protocols) {
      SCOPED_TRACE(word + " " + other);
      if (other == word) {
        expect_passed(bytes);
      } else {
        expect_dropped(bytes);
      }
    }
  }
}

TEST_F(NonIpTest, JudgesATaggedFrameByTheTypeBehindItsTags) {
  allow({"lldp", "stp"});
  for (const auto& tags : kTaggings) {
    expect_passed(frame(0x88cc, {2, 7, 4}, tags));
    expect_passed(bpdu(tags));
    expect_dropped(tagged_arp(tags));
    expect_dropped(frame(0x8809, {1, 1}, tags));
  }
  // One tag more than is walked, and one that is cut off.
  expect_dropped(frame(0x88cc, {2, 7, 4}, {0x8100, 0x8100, 0x8100}), DropReason::invalid_header);
  Bytes cut = frame(0x88cc, {2, 7, 4}, {0x8100});
  cut.resize(17);
  expect_dropped(cut, DropReason::invalid_header);
}

TEST_F(NonIpTest, TakesNothingForSpanningTreeThatIsNot) {
  allow({"stp"});
  expect_dropped(frame(kLength, {0x42, 0x42, 0x03, 0}, {}, kToHost));
  expect_dropped(frame(kLength, {0x42, 0x42, 0x03, 0}, {}, {0x01, 0x80, 0xc2, 0, 0, 0x10}));
  expect_passed(frame(kLength, {0x42, 0x42, 0x03, 0}, {}, {0x01, 0x80, 0xc2, 0, 0, 0x08}));
  expect_dropped(frame(kLength, {0x42, 0x42, 0x13, 0}));
  expect_dropped(frame(kLength, {0xaa, 0xaa, 0x03, 0, 0, 0, 0x08, 0}));  // SNAP, with IPv4.
  expect_dropped(frame(kLength, {0x06, 0x06, 0x03, 0x45}));              // LLC's own IP.
  expect_dropped(frame(0x4242, {0x42, 0x42, 0x03}));
  Bytes cut = bpdu();
  cut.resize(16);
  expect_dropped(cut);
}

TEST_F(NonIpTest, NeverLetsIpPassWhateverIsNamed) {
  // As validation never lets it be.
  pipeline_.emplace(PipelineOptions{.non_ip = {.allow = {{0, 0xffff}}}, .ports = 2});
  const test::Ends ends{"10.0.0.1", "10.0.0.2", 40'000, 80};
  const test::Ends ends6{"2001:db8::1", "2001:db8::2", 40'000, 80};
  for (const auto& tags : kTaggings) {
    expect_dropped(test::udp_frame(ends, {1}, {.vlan_types = tags}), DropReason::policy_denied);
    expect_dropped(test::udp_frame(ends6, {1}, {.vlan_types = tags}), DropReason::policy_denied);
    expect_dropped(frame(0x0800, {0x45, 1, 2}, tags), DropReason::invalid_header);
    expect_dropped(frame(0x86dd, {0x60, 1, 2}, tags), DropReason::invalid_header);
    expect_dropped(frame(0x0806, {0, 9, 8}, tags), DropReason::invalid_header);
  }
  expect_dropped({1, 2, 3}, DropReason::invalid_header);
}

TEST_F(NonIpTest, LeavesNeighbourDiscoveryAlone) {
  allow({});
  expect_passed(test::nd_frame(135, "fe80::1", "ff02::1:ff00:2", "fe80::2"));
  expect_dropped(tagged_arp({}));
}

TEST_F(NonIpTest, OpensNothingInsideOfTunnelsButArp) {
  const config::Tunnels tunnels{.kinds = {config::TunnelKind::vxlan},
                                .endpoints = {parse_prefix("192.0.2.0/24").value()}};
  const test::Ends nodes{"192.0.2.1", "192.0.2.2", 50'000, 4789};
  const auto inside = [&](const Bytes& inner) {
    Bytes payload{0x08, 0, 0, 0, 0, 0, 7, 0};
    for (const std::uint8_t byte : inner) {
      payload.push_back(byte);
    }
    return test::udp_frame(nodes, payload);
  };
  allow({"arp", "lldp"}, tunnels);
  expect_passed(inside(tagged_arp({})));
  expect_dropped(inside(frame(0x88cc, {2, 7, 4})));
  allow({"lldp"}, tunnels);
  expect_dropped(inside(tagged_arp({})));
  expect_passed(frame(0x88cc, {2, 7, 4}));
}

}  // namespace
}  // namespace portcullis::dataplane
