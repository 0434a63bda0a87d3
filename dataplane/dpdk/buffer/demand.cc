// SPDX-License-Identifier: MIT
#include "dataplane/dpdk/buffer/demand.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <string_view>

#include <fmt/format.h>

#include "base/limits.h"

namespace portcullis::dataplane {
namespace {

/// A thread's cache, and what it grows to before it gives back (rte_mempool: half as much again).
constexpr std::uint32_t kCache = 256;
constexpr std::uint64_t with_overflow(std::uint64_t cache) {
  return cache + cache / 2;
}
/// Of a pool, one thread's cache has this part at most.
constexpr std::uint64_t kCacheShare = 16;
/// And all fragments that wait have this one.
constexpr std::uint64_t kHeldShare = 8;

/// Virtual devices of DPDK 22.11 that copy, so that a packet's buffer is free once it was sent, and
/// none lies ready for one that comes. For net_af_xdp we do so (device/xdp.h).
constexpr std::array<std::string_view, 7> kCopying{
    "net_af_packet", "net_af_xdp", "net_memif", "net_null", "net_pcap", "net_ring", "net_vhost"};
/// A virtio device has queues as its argument says, and by default of this length.
constexpr std::uint64_t kVirtioQueue = 256;
constexpr std::uint64_t kVirtioQueueMax = 32'768;

/// What one queue of a device keeps: of buffers to receive into, and of sent ones.
std::uint64_t buffers_of_queues(const config::Port& port) {
  const std::string_view vdev = port.vdev;
  const bool copies = std::ranges::any_of(
      kCopying, [vdev](std::string_view driver) { return vdev.starts_with(driver); });
  if (copies && vdev.find("zero-copy=") == std::string_view::npos) {
    return 0;
  }
  if (vdev.starts_with("net_tap")) {
    return kRxDescriptors;  // It writes what it sends.
  }
  if (vdev.starts_with("net_virtio_user")) {
    constexpr std::string_view kKey = "queue_size=";
    std::uint64_t queue = kVirtioQueue;
    if (const std::size_t at = vdev.find(kKey); at != std::string_view::npos) {
      std::from_chars(vdev.data() + at + kKey.size(), vdev.data() + vdev.size(), queue);
    }
    return 2 * std::min(queue, kVirtioQueueMax);
  }
  return kRxDescriptors + kTxDescriptors;
}

/// Of so many buffers, what is not there to receive into.
std::uint64_t spent(std::uint64_t buffers, const BufferUse& use) {
  const std::uint64_t threads = use.workers + 1;  // And the control thread.
  const std::uint64_t waiting =
      held_fragments_max(buffers, use.workers) + (use.routes ? limits::kHeldMax : 0);
  return use.ports + threads * with_overflow(cache_buffers(buffers)) +
         use.workers * (waiting + limits::kBurstMax);
}

}  // namespace

std::uint64_t buffers_of_port(const config::Port& port, std::size_t crew) {
  const std::uint64_t queues = port.vdev.empty() ? crew : 1;
  return queues * (buffers_of_queues(port) + limits::kBurstMax);
}

std::uint32_t cache_buffers(std::uint64_t buffers) {
  return static_cast<std::uint32_t>(std::min<std::uint64_t>(kCache, buffers / kCacheShare));
}

std::size_t held_fragments_max(std::uint64_t buffers, std::size_t workers) {
  const std::uint64_t share = std::max<std::uint64_t>(buffers / kHeldShare / workers, 1);
  return std::min<std::size_t>(share, limits::kFragmentsHeldMax);
}

std::uint64_t buffers_needed(const BufferUse& use) {
  // More buffers make larger caches and let more fragments wait, up to a bound of each: so this
  // climbs to the least number that is enough, and ends.
  std::uint64_t buffers = 0;
  while (buffers < spent(buffers, use)) {
    buffers = spent(buffers, use);
  }
  return buffers;
}

Result<void> check_buffers(std::uint64_t buffers, const BufferUse& use) {
  const std::uint64_t needed = buffers_needed(use);
  if (buffers >= needed) {
    return {};
  }
  return fail(fmt::format(
      "eal.mbufs = {} is too few: it takes {} ({} for the ports' queues, the rest for "
      "what {} keep at hand and what waits); raise it, and eal.memory_mb with it",
      buffers,
      needed,
      use.ports,
      use.workers == 1 ? "the worker may" : fmt::format("{} workers may", use.workers)));
}

}  // namespace portcullis::dataplane
