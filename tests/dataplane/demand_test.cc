// SPDX-License-Identifier: MIT
#include "dataplane/dpdk/buffer/demand.h"

#include <string>

#include <gtest/gtest.h>

#include "base/limits.h"

namespace portcullis::dataplane {
namespace {

std::uint64_t of_device(const std::string& vdev) {
  return buffers_of_port({.vdev = vdev}, 4) - limits::kBurstMax;
}

TEST(Demand, KnowsWhatDevicesKeep) {
  EXPECT_EQ(of_device("net_af_packet0,iface=eth0"), 0U);
  EXPECT_EQ(of_device("net_memif0,role=server"), 0U);
  EXPECT_EQ(of_device("net_memif0,role=client,zero-copy=yes"), 2'048U);
  EXPECT_EQ(of_device("net_af_xdp0,iface=eth0"), 0U);
  EXPECT_EQ(of_device("net_tap0,iface=tap0"), 1'024U);
  EXPECT_EQ(of_device("net_virtio_user0,path=/dev/vhost-net"), 512U);
  EXPECT_EQ(of_device("net_virtio_user0,path=/x,queue_size=1024"), 2'048U);
  EXPECT_EQ(of_device("net_virtio_user0,path=/x,queue_size=99999999"), 65'536U);
  EXPECT_EQ(of_device("net_new0"), 2'048U);
  // A card has a queue each way for each worker.
  EXPECT_EQ(buffers_of_port({.pci = "0000:3b:00.0"}, 4), 4 * (2'048 + limits::kBurstMax));
}

TEST(Demand, IsTheLeastThatLeavesSomethingToReceiveInto) {
  for (const std::uint64_t ports :
       {std::uint64_t{64}, std::uint64_t{4'224}, std::uint64_t{90'000}}) {
    for (std::size_t workers = 1; workers <= limits::kWorkersMax; workers *= 2) {
      for (const bool routes : {false, true}) {
        const BufferUse use{.ports = ports, .workers = workers, .routes = routes};
        const std::uint64_t needed = buffers_needed(use);
        EXPECT_GT(needed, ports + workers * limits::kBurstMax);
        EXPECT_TRUE(check_buffers(needed, use).has_value());
        EXPECT_FALSE(check_buffers(needed - 1, use).has_value());
        const std::uint64_t kept =
            ports + (workers + 1) * (cache_buffers(needed) + cache_buffers(needed) / 2) +
            workers * (held_fragments_max(needed, workers) + (routes ? limits::kHeldMax : 0) +
                       limits::kBurstMax);
        EXPECT_LE(kept, needed);
      }
    }
  }
}

TEST(Demand, LeavesCachesAndFragmentsTheirShare) {
  EXPECT_EQ(cache_buffers(16'384), 256U);
  EXPECT_EQ(cache_buffers(1'024), 64U);
  EXPECT_EQ(held_fragments_max(16'384, 1), limits::kFragmentsHeldMax);
  EXPECT_EQ(held_fragments_max(1'024, 2), 64U);
  EXPECT_EQ(held_fragments_max(512, 64), 1U);
}

TEST(Demand, SaysHowManyItTakes) {
  const BufferUse use{.ports = 8'448, .workers = 4};
  const std::uint64_t needed = buffers_needed(use);
  const Result<void> few = check_buffers(8'192, use);
  ASSERT_FALSE(few.has_value());
  EXPECT_EQ(
      few.error().message,
      "eal.mbufs = 8192 is too few: it takes " + std::to_string(needed) +
          " (8448 for the ports' queues, the rest for what 4 workers may keep at hand and what "
          "waits); raise it, and eal.memory_mb with it");
  // The defaults do for a wire of two cards, and for a node of thirty veths.
  EXPECT_LE(
      buffers_needed({.ports = 2 * buffers_of_port({.pci = "0000:3b:00.0"}, 2), .workers = 2}),
      config::Eal{}.mbufs);
  EXPECT_LE(buffers_needed({.ports = 30 * buffers_of_port({.vdev = "net_af_packet0"}, 2),
                            .workers = 2,
                            .routes = true}),
            config::Eal{}.mbufs);
}

}  // namespace
}  // namespace portcullis::dataplane
