// SPDX-License-Identifier: MIT
// Links on a wire of memory rings, which read down when they are told to be.
#include <memory>
#include <string>

#include <rte_ethdev.h>

#include <gtest/gtest.h>

#include "dataplane/dpdk/engine.h"
#include "dataplane/dpdk/link/carrier.h"
#include "tests/dataplane/ring_port.h"
#include "tests/support/generation.h"

namespace portcullis::dataplane {
namespace {

class LinksOfAWire : public testing::Test {
 protected:
  void start(bool carry) {
    const std::vector<std::uint32_t> cpus{test::test_eal().worker_cpus().front()};
    static int wires = 0;
    const std::string suffix = std::to_string(wires++);
    left_ = std::make_unique<test::RingPort>("l" + suffix);
    right_ = std::make_unique<test::RingPort>("r" + suffix);
    config::Config config{.eal = test::test_eal_options()};
    config.eal.mbufs = 1024;
    config.ports = {{.name = "left", .vdev = left_->device()},
                    {.name = "right", .vdev = right_->device()}};
    config.mode.pairs = {{"left", "right"}};
    config.mode.carry_link = carry;
    auto engine = Engine::start(
        config, cpus, test::generation_of({.default_mode = classifier::DefaultMode::deny}, 1));
    ASSERT_TRUE(engine.has_value()) << to_string(engine.error());
    engine_ = *std::move(engine);
    now_ns_ = monotonic_ns();
    check();
  }
  void TearDown() override {
    engine_.reset();
    left_.reset();
    right_.reset();
  }

  static std::uint16_t id_of(const test::RingPort& port) {
    std::uint16_t id = 0;
    EXPECT_EQ(rte_eth_dev_get_port_by_name(port.device().c_str(), &id), 0);
    return id;
  }
  void check() {
    now_ns_ += 500'000'000;
    engine_->check_links(now_ns_);
  }
  PortStatus left() { return engine_->status().ports.at(0); }
  PortStatus right() { return engine_->status().ports.at(1); }

  std::uint64_t now_ns_ = 0;
  std::unique_ptr<test::RingPort> left_;
  std::unique_ptr<test::RingPort> right_;
  std::unique_ptr<Engine> engine_;
};

TEST_F(LinksOfAWire, FollowEachOther) {
  start(true);
  EXPECT_TRUE(left().link_up && right().link_up);
  EXPECT_EQ(right().partner_down, "");

  ASSERT_EQ(rte_eth_dev_set_link_down(id_of(*left_)), 0);
  EXPECT_TRUE(right().link_up) << "only a check carries it over";
  for (int i = 0; i < 50; ++i) {
    check();
    EXPECT_FALSE(right().link_up);
    EXPECT_EQ(right().partner_down, "left");
    EXPECT_TRUE(right().taken_down);
    EXPECT_EQ(left().partner_down, "") << "it is down by itself";
  }
  ASSERT_EQ(rte_eth_dev_set_link_up(id_of(*left_)), 0);
  check();
  EXPECT_TRUE(right().link_up);
  EXPECT_EQ(right().partner_down, "");
  EXPECT_FALSE(right().taken_down);

  check();  // Has it seen up again; else it would have its time to find its link.
  ASSERT_EQ(rte_eth_dev_set_link_down(id_of(*right_)), 0);
  check();
  EXPECT_FALSE(left().link_up);
  EXPECT_EQ(left().partner_down, "right");
}

TEST_F(LinksOfAWire, AreTakenDownAgainWhereSomebodyElseLetsThemUp) {
  start(true);
  ASSERT_EQ(rte_eth_dev_set_link_down(id_of(*left_)), 0);
  check();
  ASSERT_EQ(rte_eth_dev_set_link_up(id_of(*right_)), 0);
  check();
  EXPECT_FALSE(right().link_up);
}

TEST_F(LinksOfAWire, AreLeftAloneWhereThatIsConfigured) {
  start(false);
  ASSERT_EQ(rte_eth_dev_set_link_down(id_of(*left_)), 0);
  check();
  EXPECT_FALSE(left().link_up);
  EXPECT_TRUE(right().link_up);
  EXPECT_EQ(right().partner_down, "");
}

}  // namespace
}  // namespace portcullis::dataplane
