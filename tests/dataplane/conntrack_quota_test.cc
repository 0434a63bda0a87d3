// SPDX-License-Identifier: MIT
// Quotas of namespaces in the flow table: what counts against them, what makes room, and what goes.
#include <algorithm>
#include <array>
#include <cstdio>
#include <map>
#include <random>

#include <gtest/gtest.h>

#include "dataplane/conntrack.h"
#include "dataplane/flows/query.h"
#include "tests/support/tuple.h"

namespace portcullis::dataplane {
namespace {

using Event = Packet::Event;
using test::tuple;

constexpr std::uint64_t kSecond = 1'000'000'000;
constexpr NamespaceQuota kShop{.name_space = 1, .flows_max = 4};
constexpr NamespaceQuota kBank{.name_space = 2, .flows_max = 4};

FlowTuple flow(NamespaceQuota of, std::uint16_t port) {
  FlowTuple t = tuple("10.0.0.1", port, "10.9.0.1", 80);
  t.src[2] = static_cast<std::uint8_t>(of.name_space);
  return t;
}

class Rig {
 public:
  explicit Rig(config::Conntrack config = {}) : table(with_quotas(std::move(config)), 42) {}

  std::uint32_t insert(NamespaceQuota of, std::uint16_t port, Event event = Event::begin) {
    const FlowTuple t = flow(of, port);
    return table.insert({.tuple = t, .event = event, .verdict = {}, .epoch = 1, .quota = of},
                        table.hash(t),
                        now_ns);
  }
  Conntrack::Found find(NamespaceQuota of, std::uint16_t port) {
    const FlowTuple t = flow(of, port);
    return table.find({.tuple = t, .hash = table.hash(t)}, now_ns);
  }
  [[nodiscard]] std::size_t flows(NamespaceQuota of) const {
    return table.quotas()->flows(of.name_space);
  }
  [[nodiscard]] std::uint64_t refused(NamespaceQuota of) const {
    for (const NamespaceFlows& one : table.quotas()->counts()) {
      if (one.name_space == of.name_space) {
        return one.refused;
      }
    }
    return 0;
  }

  Conntrack table;
  std::uint64_t now_ns = 1000 * kSecond;

 private:
  static config::Conntrack with_quotas(config::Conntrack config) {
    config.namespace_flows_max = 4;
    return config;
  }
};

TEST(ConntrackQuota, TakesNothingWhereThereIsNone) {
  Conntrack table({.namespace_flows = {{"shop", 0}}}, 42);
  EXPECT_EQ(table.quotas(), nullptr);
  for (std::uint16_t port = 0; port < 100; ++port) {
    const FlowTuple t = flow(kShop, port);
    ASSERT_NE(table.insert(
                  {.tuple = t, .event = Event::data, .verdict = {}, .epoch = 1}, table.hash(t), 1),
              Conntrack::kOverQuota);
  }
  EXPECT_EQ(table.size(), 100U);
}

TEST(ConntrackQuota, RefusesWhereAllOfANamespaceAreEstablished) {
  Rig rig;
  for (std::uint16_t port = 0; port < 4; ++port) {
    ASSERT_LT(rig.insert(kShop, port, Event::data), rig.table.capacity());
  }
  EXPECT_EQ(rig.insert(kShop, 4), Conntrack::kOverQuota);
  EXPECT_EQ(rig.insert(kShop, 5), Conntrack::kOverQuota);
  EXPECT_EQ(rig.refused(kShop), 2U);
  EXPECT_EQ(rig.table.evicted(), 0U);
  for (std::uint16_t port = 0; port < 4; ++port) {
    EXPECT_TRUE(rig.find(kShop, port));
    EXPECT_NE(rig.insert(kBank, port), Conntrack::kOverQuota);
  }
  EXPECT_EQ(rig.flows(kShop), 4U);
  EXPECT_EQ(rig.flows(kBank), 4U);
  EXPECT_NE(rig.insert({}, 1), Conntrack::kOverQuota) << "nobody's quota";
  EXPECT_EQ(rig.table.size(), 9U);
}

TEST(ConntrackQuota, TakesThePlaceOfTheOldestThatIsNotEstablished) {
  Rig rig;
  rig.insert(kBank, 1);
  rig.insert(kShop, 0, Event::data);
  rig.insert(kShop, 1);
  rig.insert(kShop, 2);
  rig.insert(kShop, 3);
  ASSERT_NE(rig.insert(kShop, 4), Conntrack::kOverQuota);
  EXPECT_FALSE(rig.find(kShop, 1));
  ASSERT_NE(rig.insert(kShop, 5), Conntrack::kOverQuota);
  EXPECT_FALSE(rig.find(kShop, 2));
  for (std::uint16_t port = 10; port < 100; ++port) {
    ASSERT_NE(rig.insert(kShop, port), Conntrack::kOverQuota);
    ASSERT_EQ(rig.flows(kShop), 4U);
  }
  EXPECT_TRUE(rig.find(kShop, 0)) << "established";
  EXPECT_TRUE(rig.find(kBank, 1)) << "another namespace's";
  EXPECT_EQ(rig.table.evicted(), 92U);
  EXPECT_EQ(rig.refused(kShop), 0U);
}

TEST(ConntrackQuota, TakesThePlaceOfWhatHasTimedOut) {
  Rig rig({.tcp_established_timeout_s = 10});
  for (std::uint16_t port = 0; port < 4; ++port) {
    rig.insert(kShop, port, Event::data);
  }
  rig.now_ns += 11 * kSecond;
  EXPECT_NE(rig.insert(kShop, 9), Conntrack::kOverQuota);
  EXPECT_EQ(rig.flows(kShop), 4U);
  EXPECT_EQ(rig.table.expired(), 1U);
  EXPECT_EQ(rig.table.evicted(), 0U);
}

TEST(ConntrackQuota, SearchesABoundedNumberAndGoesOnThereTheNextTime) {
  const NamespaceQuota shop{.name_space = 1, .flows_max = 40};
  Rig rig;
  for (std::uint16_t port = 0; port < 40; ++port) {
    rig.insert(shop, port, port == 39 ? Event::begin : Event::data);
  }
  EXPECT_EQ(rig.insert(shop, 100), Conntrack::kOverQuota);
  EXPECT_EQ(rig.insert(shop, 100), Conntrack::kOverQuota);
  EXPECT_NE(rig.insert(shop, 100), Conntrack::kOverQuota) << "the third search comes to it";
  EXPECT_FALSE(rig.find(shop, 39));
}

TEST(ConntrackQuota, CountsDownByEveryWayAFlowEnds) {
  Rig rig({.flows_max = 64, .tcp_established_timeout_s = 1});
  const auto fill = [&] {
    for (std::uint16_t port = 0; port < 4; ++port) {
      ASSERT_LT(rig.insert(kShop, port, Event::data), rig.table.capacity());
    }
    ASSERT_EQ(rig.flows(kShop), 4U);
  };
  fill();
  rig.table.remove(rig.find(kShop, 2).index);
  EXPECT_EQ(rig.flows(kShop), 3U);
  rig.now_ns += 2 * kSecond;
  EXPECT_FALSE(rig.find(kShop, 1)) << "found to have timed out";
  EXPECT_EQ(rig.flows(kShop), 2U);
  for (int i = 0; i < 3000; ++i) {
    rig.now_ns += kSecond / 1000;
    rig.table.expire(rig.now_ns);
  }
  EXPECT_EQ(rig.flows(kShop), 0U) << "swept";
  fill();
  FlowQuery flush({.action = FlowRequest::Action::flush});
  while (!flush.step(rig.table, rig.now_ns)) {
  }
  EXPECT_EQ(rig.flows(kShop), 0U) << "flushed";
  // The table is full, and others make room in it as they would without quotas.
  for (std::uint16_t port = 0; port < 4; ++port) {
    rig.insert(kShop, port);
  }
  for (std::uint16_t port = 0; port < 200; ++port) {
    ASSERT_LT(rig.insert({}, port), rig.table.capacity());
  }
  EXPECT_EQ(rig.flows(kShop), 0U) << "evicted";
  EXPECT_EQ(rig.table.size(), 64U);
}

TEST(ConntrackQuota, IsToldWithTheCounts) {
  Rig rig;
  for (std::uint16_t port = 0; port < 5; ++port) {
    rig.insert(kShop, port, Event::data);
  }
  rig.insert(kBank, 1);
  rig.table.remove(rig.find(kBank, 1).index);
  for (const auto action : {FlowRequest::Action::count, FlowRequest::Action::list}) {
    FlowQuery query({.action = action});
    while (!query.step(rig.table, rig.now_ns)) {
    }
    const FlowAnswer answer = query.take();
    if (action == FlowRequest::Action::list) {
      EXPECT_TRUE(answer.namespaces.empty());
      continue;
    }
    ASSERT_EQ(answer.namespaces.size(), 2U);
    EXPECT_EQ(answer.namespaces[0].name_space, 1);
    EXPECT_EQ(answer.namespaces[0].flows, 4U);
    EXPECT_EQ(answer.namespaces[0].flows_max, 4U);
    EXPECT_EQ(answer.namespaces[0].refused, 1U);
    EXPECT_EQ(answer.namespaces[1].name_space, 2);
    EXPECT_EQ(answer.namespaces[1].flows, 0U);
  }
}

/// Counted by hand: the entries of a namespace in the whole table.
std::map<std::uint8_t, std::size_t> counted(Conntrack& table) {
  std::map<std::uint8_t, std::size_t> flows;
  for (std::uint32_t i = 0; i < table.capacity(); ++i) {
    if (table.entry(i).state != FlowState::none) {
      ++flows[table.entry(i).tuple.src[2]];
    }
  }
  return flows;
}

TEST(ConntrackQuota, HoldsOnRandomFlows) {
  const std::uint64_t seed = std::random_device{}();
  std::printf("seed %lu\n", seed);
  std::mt19937_64 random(seed);
  Rig rig({.flows_max = 256, .tcp_syn_timeout_s = 3, .tcp_established_timeout_s = 20});
  const std::array<NamespaceQuota, 4> namespaces{
      NamespaceQuota{},
      kShop,
      NamespaceQuota{.name_space = 2, .flows_max = 50},
      NamespaceQuota{.name_space = 65'280 + 3, .flows_max = 100}};
  for (int i = 0; i < 100'000; ++i) {
    const NamespaceQuota of = namespaces.at(random() % 4);
    const auto port = static_cast<std::uint16_t>(random() % 200);
    rig.now_ns += random() % (kSecond / 20);
    if (random() % 8 == 0) {
      rig.table.expire(rig.now_ns);
    }
    if (const Conntrack::Found found = rig.find(of, port)) {
      if (random() % 4 == 0) {
        rig.table.remove(found.index);
      } else {
        rig.table.touch(found, static_cast<Event>(random() % 5), rig.now_ns);
      }
    } else {
      rig.insert(of, port, random() % 3 == 0 ? Event::data : Event::begin);
    }
    if (i % 100 == 0) {
      auto flows = counted(rig.table);
      for (const NamespaceQuota& one : namespaces) {
        if (one.name_space != 0) {
          const std::size_t count = flows[static_cast<std::uint8_t>(one.name_space)];
          ASSERT_EQ(rig.flows(one), count) << "step " << i;
          ASSERT_LE(count, one.flows_max) << "step " << i;
        }
      }
    }
  }
  EXPECT_GT(rig.refused(kShop), 0U);
  EXPECT_GT(rig.table.evicted(), 0U);
}

}  // namespace
}  // namespace portcullis::dataplane
