// SPDX-License-Identifier: MIT
// The roads between two workers, driven by hand: what is sent by way of the other, what finds no
// room, and whose loss it is.
#include <array>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <rte_mbuf.h>
#include <rte_mempool.h>

#include <gtest/gtest.h>

#include "base/limits.h"
#include "dataplane/dpdk/spread/exchange.h"
#include "dataplane/dpdk/transmit.h"
#include "dataplane/packet/headers.h"
#include "tests/dataplane/ring_port.h"

namespace portcullis::dataplane {
namespace {

using test::Bytes;

constexpr std::size_t kRoom = limits::kHandoverSlots - 1;
constexpr std::size_t kDeviceRoom = 1'023;
constexpr std::uint16_t kNarrowMtu = 1'280;
constexpr test::Ends kEnds{"10.0.0.1", "10.0.0.2", 40'000, 53};

/// Two ports, whose crew is both workers: worker 0 is the host of port 0.
class Handovers : public testing::Test {
 protected:
  void SetUp() override {
    config::Eal eal = (test::test_eal(), test::test_eal_options());
    eal.mbufs = 4'096;
    auto pool = BufferPool::make(eal, 5'000);
    ASSERT_TRUE(pool.has_value()) << to_string(pool.error());
    pool_ = *std::move(pool);
    static int ports = 0;
    for (int i = 0; i < 2; ++i) {
      rings_.push_back(std::make_unique<test::RingPort>("h" + std::to_string(ports++)));
      auto port = Port::open(
          {.name = "p", .vdev = rings_.back()->device(), .mtu = kNarrowMtu}, {0, 1}, *pool_);
      ASSERT_TRUE(port.has_value()) << to_string(port.error());
      ASSERT_TRUE((*port)->start().has_value());
      ports_.push_back(*std::move(port));
    }
    auto exchange = Exchange::make(ports_, 2);
    ASSERT_TRUE(exchange.has_value()) << to_string(exchange.error());
    exchange_ = *std::move(exchange);
    host_ = std::make_unique<Transmit>(ports_, *pool_, exchange_->share(0));
    other_ = std::make_unique<Transmit>(ports_, *pool_, exchange_->share(1));
  }
  void TearDown() override {
    rings_[0]->take();
    exchange_.reset();
    EXPECT_EQ(rte_mempool_in_use_count(pool_->get()), 0U) << "a buffer is lost";
    ports_.clear();
    pool_.reset();
  }

  /// The other worker sends so many small packets on port 0.
  void send(std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) {
      other_->send_copy(0, test::udp_frame(kEnds, {static_cast<std::uint8_t>(i)}));
    }
    other_->flush();
  }
  std::uint64_t drops(const Transmit& worker, DropReason reason) {
    return worker.losses().drops.at(static_cast<std::size_t>(reason)).get();
  }

  std::unique_ptr<BufferPool> pool_;
  std::vector<std::unique_ptr<test::RingPort>> rings_;
  std::vector<std::unique_ptr<Port>> ports_;
  std::unique_ptr<Exchange> exchange_;
  std::unique_ptr<Transmit> host_;
  std::unique_ptr<Transmit> other_;
};

TEST_F(Handovers, SharePortsOut) {
  for (std::uint16_t i = 0; i < 2; ++i) {
    ASSERT_EQ(exchange_->share(i).sources.size(), 1U);
    EXPECT_EQ(exchange_->share(i).sources[0].port, i);
    EXPECT_TRUE(exchange_->share(i).sources[0].shared);
    EXPECT_EQ(exchange_->share(i).ways_out[i].road, nullptr);
    EXPECT_NE(exchange_->share(i).ways_out[1 - i].road, nullptr);
    EXPECT_EQ(exchange_->share(i).inboxes.size(), 1U);
  }
  EXPECT_EQ(exchange_->share(0).roads[1], exchange_->share(1).inboxes[0]);
}

TEST_F(Handovers, TakeAPacketsTagAlong) {
  rte_mbuf* packet = other_->copy_of(test::udp_frame(kEnds));
  set_tag(packet, {.port = 7, .overheard = true});
  Handover& road = *exchange_->share(1).roads[0];
  ASSERT_EQ(road.put(std::span(&packet, 1)), 1U);
  std::array<rte_mbuf*, 4> taken{};
  ASSERT_EQ(road.take(taken), 1U);
  EXPECT_EQ(taken[0], packet);
  EXPECT_EQ(tag_of(packet).port, 7);
  EXPECT_TRUE(tag_of(packet).overheard);
  EXPECT_FALSE(tag_of(packet).continued);
  Transmit::consume(packet);
}

TEST_F(Handovers, SendInOrderByWayOfTheHost) {
  send(200);
  EXPECT_EQ(other_->handed(), 200U);
  EXPECT_TRUE(rings_[0]->take().empty());
  EXPECT_EQ(host_->carry(), 200U);
  const std::vector<Bytes> frames = rings_[0]->take();
  ASSERT_EQ(frames.size(), 200U);
  for (std::size_t i = 0; i < frames.size(); ++i) {
    EXPECT_EQ(frames[i].back(), i);
  }
  EXPECT_EQ(host_->carry(), 0U);
  EXPECT_EQ(other_->losses().all.get() + host_->losses().all.get() + other_->refused(), 0U);
}

TEST_F(Handovers, CountWhatFindsTheRoadFull) {
  send(kRoom + 50);
  EXPECT_EQ(other_->handed(), kRoom);
  EXPECT_EQ(drops(*other_, DropReason::handover_full), 50U);
  EXPECT_EQ(other_->losses().all.get(), 50U);
}

TEST_F(Handovers, CountWhatADeviceRefusesForWhoHandedItOver) {
  send(kDeviceRoom + 300);
  while (host_->carry() > 0) {
  }
  EXPECT_EQ(rings_[0]->take().size(), kDeviceRoom);
  EXPECT_EQ(other_->refused(), 300U);
  EXPECT_EQ(host_->losses().all.get(), 0U);
  EXPECT_EQ(host_->refused(), 0U);
}

TEST_F(Handovers, LoseAPacketInFragmentsOnceWhateverBurstsItComesIn) {
  constexpr std::size_t kTurn = 512;  // Packets that a host carries in one turn, from one road.
  send(kTurn);
  ASSERT_EQ(host_->carry(), kTurn);
  // A turn's packets end with three of four fragments, and the device has room for two of these.
  send(kDeviceRoom - kTurn - 2);
  Bytes frame = test::udp_frame(kEnds, Bytes(4'000));
  wire::store16(&frame.at(wire::kEthernetBytes + wire::kIpv4Fragment), 0);  // May be cut.
  test::mend_ipv4(frame);
  rte_mbuf* const packet = other_->copy_of(frame);
  ASSERT_NE(packet, nullptr);
  other_->send_in_fragments(0, packet);
  other_->flush();
  EXPECT_EQ(host_->carry(), kTurn);
  EXPECT_EQ(rings_[0]->take().size(), kDeviceRoom);
  EXPECT_EQ(other_->refused(), 0U) << "the last fragment tells";
  EXPECT_EQ(host_->carry(), 1U);
  EXPECT_TRUE(rings_[0]->take().empty());
  EXPECT_EQ(other_->refused(), 1U);
}

}  // namespace
}  // namespace portcullis::dataplane
