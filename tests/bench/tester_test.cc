// SPDX-License-Identifier: MIT
// The tester accounts for every packet that it sends, and notices one that does not come out.
#include "bench/throughput/tester.h"

#include <algorithm>
#include <memory>

#include <gtest/gtest.h>

#include "bench/throughput/mac_loop.h"
#include "tests/dataplane/ring_port.h"

namespace portcullis::bench {
namespace {

constexpr std::size_t kFrameBytes = 200;

Schedules schedules_of(std::size_t frames) {
  Schedules schedules;
  for (Schedule& schedule : schedules) {
    schedule.heads.resize(frames);
    for (std::size_t i = 0; i < frames; ++i) {
      std::ranges::fill(schedule.heads[i].bytes, static_cast<std::uint8_t>(i));
      schedule.lengths.push_back(static_cast<std::uint16_t>(64 + i % 100));
    }
  }
  return schedules;
}

config::Config config_for(const Tester& tester) {
  config::Config config;
  config.eal = test::test_eal_options();
  config.eal.mbufs = 512;
  config.ports = {{.name = "a", .vdev = tester.device(0)}, {.name = "b", .vdev = tester.device(1)}};
  return config;
}

TEST(Tester, GetsBackWhatItSendsOrCountsItLost) {
  test::test_eal();
  const Schedules schedules = schedules_of(1000);
  const auto tester = Tester::make("whole", kFrameBytes, schedules).value();
  const auto loop = MacLoop::start(config_for(*tester)).value();
  ASSERT_TRUE(tester->pass_all());
  for (const double rate : {2e4, 2e5, 1e12}) {
    const Offered offered = tester->offer(rate, 0.1).value();
    EXPECT_GT(offered.sent, 0U);
    EXPECT_EQ(offered.latency.count() + offered.untimed + offered.lost, offered.sent);
    EXPECT_LE(offered.rate(), rate * 1.1);
    EXPECT_GT(offered.seconds, 0);
    EXPECT_LE(offered.seconds, 0.11);
  }
}

TEST(Tester, TellsOfPacketsThatDoNotComeOut) {
  test::test_eal();
  const Schedules schedules = schedules_of(10);
  // Nobody forwards.
  const auto tester = Tester::make("dead", kFrameBytes, schedules).value();
  const auto offered = tester->offer(1e4, 0.01);
  ASSERT_FALSE(offered);
  EXPECT_NE(offered.error().message.find("did not come out"), std::string::npos);
}

}  // namespace
}  // namespace portcullis::bench
