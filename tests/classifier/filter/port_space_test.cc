// SPDX-License-Identifier: MIT
#include "classifier/filter/port_space.h"

#include <gtest/gtest.h>

#include "classifier/key.h"
#include "tests/classifier/filter/stretch.h"

namespace portcullis::classifier {
namespace {

/// The point of a key, step by step as kernels find it.
std::uint32_t point_of(const PortArrays& arrays, const Key4& key) {
  const bool icmp = key.protocol == kProtocolIcmp || key.protocol == kProtocolIcmpv6;
  const std::uint32_t row =
      arrays.rows.at(arrays.protocols.at(key.protocol) + arrays.flags.at(key.tcp_flags) +
                     stretch_of(arrays.dst_ports, icmp ? key.icmp : key.dst_port));
  return arrays.src_ports_matter
             ? arrays.points.at(row + stretch_of(arrays.src_ports, key.src_port))
             : row;
}

bool holds(const PortSpace& space, const StaticRule& rule, const Key4& key) {
  const auto bits = space.bits(space.find(port_match_of(rule)).value());
  const std::uint32_t point = point_of(space.arrays(), key);
  return ((bits[point / 64] >> (point % 64)) & 1U) != 0;
}

TEST(PortSpace, TellsApartWhatRulesTellApart) {
  const StaticRule web{.protocol = kProtocolTcp, .dst_ports = {80, 80}};
  const StaticRule high{
      .protocol = kProtocolUdp, .src_ports = {1024, 65535}, .dst_ports = {53, 53}};
  const StaticRule any{};
  const std::vector<StaticRule> rules{web, high, any};
  const PortSpace space(rules);
  EXPECT_TRUE(space.arrays().src_ports_matter);
  EXPECT_FALSE(space.arrays().flags_matter);
  EXPECT_TRUE(holds(space, web, {.dst_port = 80, .protocol = kProtocolTcp}));
  EXPECT_FALSE(holds(space, web, {.dst_port = 81, .protocol = kProtocolTcp}));
  EXPECT_FALSE(holds(space, web, {.dst_port = 80, .protocol = kProtocolUdp}));
  EXPECT_TRUE(holds(space, high, {.src_port = 1024, .dst_port = 53, .protocol = kProtocolUdp}));
  EXPECT_FALSE(holds(space, high, {.src_port = 1023, .dst_port = 53, .protocol = kProtocolUdp}));
  EXPECT_TRUE(holds(space, any, {.dst_port = 9, .protocol = 200}));
}

TEST(PortSpace, ReadsAnIcmpTypeWhereOthersHaveAPort) {
  const StaticRule ping{.protocol = kProtocolIcmp, .icmp = {0x0800, 0x08ff}};
  const StaticRule low{.dst_ports = {0, 10}};
  const StaticRule not_zero{.dst_ports = {1, 65535}};
  const std::vector<StaticRule> rules{ping, low, not_zero};
  const PortSpace space(rules);
  const Key4 request{.icmp = 0x0800, .protocol = kProtocolIcmp};
  EXPECT_TRUE(holds(space, ping, request));
  EXPECT_FALSE(holds(space, ping, {.icmp = 0x0900, .protocol = kProtocolIcmp}));
  EXPECT_TRUE(holds(space, low, request)) << "ICMP has port 0";
  EXPECT_FALSE(holds(space, not_zero, request));
}

TEST(PortSpace, TellsTcpFlagsApart) {
  const StaticRule begins{.protocol = kProtocolTcp, .tcp_flags = 0x02, .tcp_flags_mask = 0x12};
  const std::vector<StaticRule> rules{begins, {.protocol = kProtocolTcp}};
  const PortSpace space(rules);
  EXPECT_TRUE(space.arrays().flags_matter);
  EXPECT_TRUE(holds(space, begins, {.protocol = kProtocolTcp, .tcp_flags = 0x02}));
  EXPECT_TRUE(holds(space, begins, {.protocol = kProtocolTcp, .tcp_flags = 0xc2}));
  EXPECT_FALSE(holds(space, begins, {.protocol = kProtocolTcp, .tcp_flags = 0x12}));
}

TEST(PortSpace, LeavesOutRareMatchesRatherThanGrowWithoutBound) {
  std::vector<StaticRule> rules(3, {.protocol = kProtocolTcp, .dst_ports = {443, 443}});
  for (std::uint16_t i = 0; i < 5'000; ++i) {
    const auto port = static_cast<std::uint16_t>(i * 13);
    rules.push_back({.protocol = kProtocolTcp, .src_ports = {port, port}, .dst_ports = {i, i}});
  }
  const PortSpace space(rules);
  EXPECT_TRUE(space.find(port_match_of(rules[0]))) << "the most used comes first";
  EXPECT_FALSE(space.find(port_match_of(rules.back())));
  EXPECT_LE(space.points(), 65'536U);
}

}  // namespace
}  // namespace portcullis::classifier
