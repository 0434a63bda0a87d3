// SPDX-License-Identifier: MIT
#include "dataplane/quota/namespace_map.h"

#include <atomic>
#include <cstdio>
#include <map>
#include <random>
#include <thread>

#include <gtest/gtest.h>

#include "tests/support/tuple.h"

namespace portcullis::dataplane {
namespace {

using Owner = NamespaceMap::Owner;

IpAddress ip(std::string_view text) {
  return parse_ip(text).value();
}

NamespaceQuota quota(std::uint16_t name_space, std::uint32_t flows_max = 10) {
  return {.name_space = name_space, .flows_max = flows_max};
}

/// Of few, so that they meet; half of them IPv6, with the same bytes.
IpAddress address_of(std::uint32_t number) {
  IpAddress address = IpAddress::from_v4(0x0a00'0000U + number / 2);
  address.family = number % 2 == 0 ? Family::v4 : Family::v6;
  return address;
}

TEST(NamespaceMap, KnowsWhoseAnAddressIs) {
  NamespaceMap map(2);
  map.set(ip("10.0.0.1"), quota(7, 4'000'000'000));
  map.set(ip("fd00::1"), quota(65'535));
  EXPECT_EQ(map.find(Family::v4, ip("10.0.0.1").bytes), quota(7, 4'000'000'000));
  EXPECT_EQ(map.find(Family::v6, ip("fd00::1").bytes), quota(65'535));
  EXPECT_EQ(map.find(Family::v4, ip("10.0.0.2").bytes), std::nullopt);
  EXPECT_EQ(map.find(Family::v6, ip("10.0.0.1").bytes), std::nullopt) << "of the other family";
  map.set(ip("10.0.0.1"), std::nullopt);
  EXPECT_EQ(map.find(Family::v4, ip("10.0.0.1").bytes), std::nullopt);
  map.set(ip("10.0.0.1"), quota(8));
  EXPECT_EQ(map.find(Family::v4, ip("10.0.0.1").bytes), quota(8)) << "it came back";
}

TEST(NamespaceMap, ChargesThePodThatBeginsAFlowElseTheOther) {
  NamespaceMap map(3);
  map.set(ip("10.0.0.1"), quota(1));
  map.set(ip("10.0.0.2"), quota(2));
  map.set(ip("10.0.0.3"), NamespaceQuota{});
  const auto payer = [&](const char* from, const char* to) {
    return map.payer_of(test::tuple(from, 1, to, 2)).name_space;
  };
  EXPECT_EQ(payer("10.0.0.1", "10.0.0.2"), 1);
  EXPECT_EQ(payer("10.0.0.2", "10.0.0.1"), 2);
  EXPECT_EQ(payer("192.0.2.1", "10.0.0.2"), 2);
  EXPECT_EQ(payer("10.0.0.3", "10.0.0.2"), 0) << "a pod of a namespace without a quota began it";
  EXPECT_EQ(payer("192.0.2.1", "192.0.2.2"), 0);
}

TEST(NamespaceMap, EqualsAMapOnRandomChanges) {
  const std::uint64_t seed = std::random_device{}();
  std::printf("seed %lu\n", seed);
  std::mt19937_64 random(seed);
  constexpr std::uint32_t kAddresses = 1000;
  auto map = std::make_shared<NamespaceMap>(0);
  std::map<IpAddress, Owner> model;
  std::size_t remade = 0;
  for (int i = 0; i < 50'000; ++i) {
    const IpAddress address = address_of(static_cast<std::uint32_t>(random() % kAddresses));
    const Owner owner =
        random() % 2 == 0 ? Owner() : quota(static_cast<std::uint16_t>(random() % 9));
    if (!map->has_room(1)) {
      map = map->remade(1);
      ++remade;
    }
    map->set(address, owner);
    model[address] = owner;
    const IpAddress other = address_of(static_cast<std::uint32_t>(random() % kAddresses));
    const auto known = model.find(other);
    ASSERT_EQ(map->find(other.family, other.bytes), known == model.end() ? Owner() : known->second);
  }
  EXPECT_GT(remade, 3U) << "it grew";
  for (const auto& [address, owner] : model) {
    ASSERT_EQ(map->find(address.family, address.bytes), owner);
  }
}

TEST(NamespaceMap, ForgetsWhatIsNoPodsWhereItIsRemade) {
  auto map = std::make_shared<NamespaceMap>(0);
  std::size_t remade = 0;
  for (std::uint32_t i = 0; i < 100'000; ++i) {
    if (!map->has_room(1)) {
      map = map->remade(1);
      ++remade;
    }
    map->set(address_of(i), quota(1));
    if (i >= 10) {
      map->set(address_of(i - 10), std::nullopt);
    }
  }
  EXPECT_LE(remade, 100'000U / 30) << "ten addresses at a time need no more than the least room";
}

/// Address number n belongs to namespace n + 1, or n + 1001, or to nobody, and to no other.
TEST(NamespaceMap, ShowsReadersOnlyWhatAnAddressHad) {
  constexpr std::uint32_t kAddresses = 1000;
  NamespaceMap map(kAddresses);
  std::atomic<bool> over{false};
  std::atomic<std::uint64_t> found{0};
  std::uint64_t wrong = 0;
  std::jthread reader([&] {
    std::mt19937 random(1);
    while (!over.load(std::memory_order_relaxed)) {
      const auto number = static_cast<std::uint32_t>(random() % kAddresses);
      const IpAddress address = address_of(number);
      if (const Owner owner = map.find(address.family, address.bytes)) {
        const bool is_first = *owner == quota(static_cast<std::uint16_t>(number + 1), number);
        const bool is_second = *owner == quota(static_cast<std::uint16_t>(number + 1001), ~number);
        wrong += is_first || is_second ? 0 : 1;
        found.fetch_add(1, std::memory_order_relaxed);
      }
    }
  });
  std::mt19937 random(2);
  for (std::uint64_t i = 0; i < 300'000 || found.load(std::memory_order_relaxed) < 1000; ++i) {
    // More of them as time goes by, so that slots are taken while the reader searches.
    const auto bound = static_cast<std::uint32_t>(1 + std::min<std::uint64_t>(i / 100, 999));
    const auto number = static_cast<std::uint32_t>(random() % bound);
    const std::array<Owner, 3> owners{Owner(),
                                      quota(static_cast<std::uint16_t>(number + 1), number),
                                      quota(static_cast<std::uint16_t>(number + 1001), ~number)};
    map.set(address_of(number), owners.at(random() % 3));
  }
  over.store(true, std::memory_order_relaxed);
  reader.join();
  EXPECT_EQ(wrong, 0U);
  EXPECT_GE(found.load(), 1000U);
}

}  // namespace
}  // namespace portcullis::dataplane
