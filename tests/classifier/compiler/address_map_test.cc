// SPDX-License-Identifier: MIT
#include "classifier/compiler/address_map.h"

#include <algorithm>

#include <gtest/gtest.h>

#include "tests/classifier/cluster.h"

namespace portcullis::classifier {
namespace {

constexpr std::size_t kPlenty = std::size_t{1} << 30U;

std::uint32_t class_v4(const AddressMaps& maps, const IpAddress& address) {
  if (maps.window_v4.covers(address.v4())) {
    return maps.window_v4.classes[address.v4() - maps.window_v4.first];
  }
  std::uint32_t entry = maps.root_v4[address.v4() >> 16U];
  for (std::size_t i = 2; (entry & kChild) != 0; ++i) {
    entry = maps.nodes_v4[(entry & ~kChild) * 256 + address.bytes[i]];
  }
  return entry;
}

TEST(AddressMap, FindsTheClassOfTheLongestPrefix) {
  Cluster cluster;
  const auto pod = cluster.pod({ip("10.1.2.3")});
  const std::vector<Block> blocks{{.cidr = block("0.0.0.0/1")},
                                  {.cidr = block("10.0.0.0/12")},
                                  {.cidr = block("10.1.2.0/23")},
                                  {.cidr = block("10.1.2.0/30"), .except = {block("10.1.2.2/32")}}};
  for (const Block& one : blocks) {
    cluster.allow_ingress(cluster.everything(), cluster.set({}, {one}), cluster.every_port());
  }
  const Classes classes = find_classes(cluster.rules, alone());
  const auto maps = map_addresses(cluster.rules, classes, kPlenty, alone());
  ASSERT_TRUE(maps);
  EXPECT_EQ(class_v4(*maps, ip("10.1.2.3")), classes.addresses[pod].address_class);
  for (const char* text : {"0.0.0.0",
                           "9.255.255.255",
                           "10.1.0.0",
                           "10.1.2.0",
                           "10.1.2.1",
                           "10.1.2.2",
                           "10.1.2.4",
                           "10.1.3.255",
                           "10.1.4.0",
                           "10.16.0.0",
                           "127.255.255.255",
                           "128.0.0.0",
                           "255.255.255.255"}) {
    const RegionIndex region = classes.regions.locate(ip(text));
    EXPECT_EQ(class_v4(*maps, ip(text)), classes.region_classes[region]) << text;
  }
}

TEST(AddressMap, PutsItsWindowWhereEndpointsAreDensest) {
  Cluster cluster;
  const auto far = cluster.pod({ip("10.200.0.1")});
  const auto first = cluster.pod({ip("192.168.0.7")});
  const auto last = cluster.pod({ip("192.168.2.9")});
  cluster.allow_ingress(cluster.set({first}), cluster.set({last}), cluster.every_port());
  cluster.allow_ingress(
      cluster.set({first}), cluster.set({}, {{.cidr = block("192.168.1.0/25")}}), 0);
  const Classes classes = find_classes(cluster.rules, alone());
  const auto maps = map_addresses(cluster.rules, classes, kPlenty, alone());
  ASSERT_TRUE(maps);
  EXPECT_EQ(maps->window_v4.first, ip("192.168.0.7").v4());
  EXPECT_EQ(maps->window_v4.classes.size(), 0x203U);
  EXPECT_EQ(maps->entry_bytes(maps->window_v4.classes).size(), 0x406U);
  for (const EndpointIndex pod : {far, first, last}) {
    const auto& known = classes.addresses[pod];
    EXPECT_EQ(class_v4(*maps, known.address), known.address_class);
  }
  for (const char* text : {"192.168.1.0", "192.168.1.127", "192.168.1.128", "192.168.2.8"}) {
    EXPECT_EQ(class_v4(*maps, ip(text)), classes.region_classes[classes.regions.locate(ip(text))]);
  }
}

TEST(AddressMap, KeepsTheChildBitInBothWidthsOfEntries) {
  AddressMaps maps;
  const std::vector<std::uint32_t> entries{kChild | 3U, 0x7ffe};
  maps.entry_shift = 1;
  const auto byte = [](unsigned value) { return static_cast<std::byte>(value); };
  EXPECT_EQ(maps.entry_bytes(entries), (std::vector{byte(3), byte(0x80), byte(0xfe), byte(0x7f)}));
  maps.entry_shift = 2;
  EXPECT_EQ(maps.entry_bytes(entries).size(), 8U);
  EXPECT_EQ(maps.entry_bytes(entries)[3], byte(0x80));
}

TEST(AddressMap, TakesNoNodesWhereNothingIsLongerThanSixteenBits) {
  Cluster cluster;
  cluster.rules.pod_cidrs = {block("10.0.0.0/8")};
  const Classes classes = find_classes(cluster.rules, alone());
  const auto maps = map_addresses(cluster.rules, classes, kPlenty, alone());
  ASSERT_TRUE(maps);
  EXPECT_TRUE(maps->nodes_v4.empty());
}

TEST(AddressMap, KeepsTheNodeOfEveryAddressThatHasOne) {
  Cluster cluster;
  const auto node = cluster.node({ip("192.0.2.1"), ip("2001:db8::1")});
  cluster.pod({ip("10.0.0.1"), ip("fd00::1")}, node);
  cluster.pod({ip("10.0.0.2"), ip("fd00::2")});
  const Classes classes = find_classes(cluster.rules, alone());
  const auto maps = map_addresses(cluster.rules, classes, kPlenty, alone());
  ASSERT_TRUE(maps);
  const auto owned = [](const Owner4& slot) { return slot.node != kNoClass; };
  EXPECT_EQ(std::ranges::count_if(maps->owners_v4, owned), 2);
  EXPECT_EQ(std::ranges::count(maps->hosts_v6, node, &Host6::node), 2);
  const auto used = [](const Host6& slot) { return slot.address_class != kNoClass; };
  EXPECT_EQ(std::ranges::count_if(maps->hosts_v6, used), 3);
}

TEST(AddressMap, RefusesToOutgrowItsLimit) {
  Cluster cluster;
  cluster.pod({ip("10.0.0.1")});
  const Classes classes = find_classes(cluster.rules, alone());
  const std::size_t bytes = map_addresses(cluster.rules, classes, kPlenty, alone()).value().bytes();
  EXPECT_TRUE(map_addresses(cluster.rules, classes, bytes, alone()));
  const auto maps = map_addresses(cluster.rules, classes, bytes - 1, alone());
  ASSERT_FALSE(maps);
  EXPECT_NE(maps.error().message.find("1 addresses and 2 blocks"), std::string::npos)
      << maps.error().message;
}

}  // namespace
}  // namespace portcullis::classifier
