// SPDX-License-Identifier: MIT
#include "tests/dataplane/ring_port.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <filesystem>
#include <thread>
#include <utility>

#include <rte_bus_vdev.h>
#include <rte_eal.h>
#include <rte_eth_ring.h>
#include <rte_ethdev.h>
#include <rte_malloc.h>
#include <rte_mbuf.h>
#include <rte_ring.h>
#include <unistd.h>

#include "base/check.h"

#ifdef __SANITIZE_THREAD__
extern "C" {
void AnnotateIgnoreReadsBegin(const char* file, int line);
void AnnotateIgnoreReadsEnd(const char* file, int line);
void AnnotateIgnoreWritesBegin(const char* file, int line);
void AnnotateIgnoreWritesEnd(const char* file, int line);
}
#endif

namespace portcullis::test {
namespace {

/// Rings hand packets over by fences that TSan does not see, at their far end inside of a library
/// that is not instrumented. So it looks away from the test's end; races between the worker and the
/// control thread are reported still.
class Unwatched {
 public:
#ifdef __SANITIZE_THREAD__
  Unwatched() {
    AnnotateIgnoreReadsBegin(__FILE__, __LINE__);
    AnnotateIgnoreWritesBegin(__FILE__, __LINE__);
  }
  ~Unwatched() {
    AnnotateIgnoreWritesEnd(__FILE__, __LINE__);
    AnnotateIgnoreReadsEnd(__FILE__, __LINE__);
  }
#else
  Unwatched() {}   // NOLINT(modernize-use-equals-default): a variable of this type is used.
  ~Unwatched() {}  // NOLINT(modernize-use-equals-default)
#endif
  Unwatched(const Unwatched&) = delete;
  Unwatched& operator=(const Unwatched&) = delete;
};

constexpr unsigned kRingSlots = 1024;
constexpr unsigned kBuffers = 4095;
constexpr std::size_t kChainBytes = 1900;  // In each buffer.

rte_mempool* buffers() {
  static rte_mempool* const pool = rte_pktmbuf_pool_create(
      "test_mbufs", kBuffers, 0, 0, RTE_MBUF_DEFAULT_BUF_SIZE, SOCKET_ID_ANY);
  PORTCULLIS_CHECK(pool != nullptr);
  return pool;
}

rte_ring* make_ring(const std::string& name) {
  rte_ring* const ring =
      rte_ring_create(name.c_str(), kRingSlots, SOCKET_ID_ANY, RING_F_SP_ENQ | RING_F_SC_DEQ);
  PORTCULLIS_CHECK(ring != nullptr);
  return ring;
}

}  // namespace

config::Eal test_eal_options() {
  return {.file_prefix = "portcullis_test_" + std::to_string(getpid()),
          .memory_mb = 96,
          .worker_cpus = {1, 0},
          .mbufs = 8192,
          .telemetry = false};
}

dataplane::Eal& test_eal() {
  // EAL leaves its folder behind, and no other process will ever use this one.
  struct Folder {
    const std::filesystem::path path;
    ~Folder() {
      std::error_code ignored;
      std::filesystem::remove_all(path, ignored);
    }
  };
  static const std::unique_ptr<dataplane::Eal> eal = [] {
    auto started = dataplane::Eal::start(test_eal_options());
    if (!started) {
      std::fprintf(stderr, "%s\n", to_string(started.error()).c_str());
      PORTCULLIS_CHECK(false);
    }
    static const Folder folder{rte_eal_get_runtime_dir()};
    return *std::move(started);
  }();
  return *eal;
}

rte_mbuf* chain_of(const Bytes& frame,
                   std::size_t buffer_bytes,
                   std::uint16_t segment_bytes,
                   rte_mempool* pool) {
  rte_mbuf* packet = nullptr;
  for (std::size_t from = 0; from < frame.size(); from += buffer_bytes) {
    rte_mbuf* const buffer = rte_pktmbuf_alloc(pool);
    PORTCULLIS_CHECK(buffer != nullptr);
    const std::size_t bytes = std::min(buffer_bytes, frame.size() - from);
    char* const room = rte_pktmbuf_append(buffer, static_cast<std::uint16_t>(bytes));
    PORTCULLIS_CHECK(room != nullptr);
    std::copy_n(&frame[from], bytes, room);
    if (packet == nullptr) {
      packet = buffer;
    } else {
      PORTCULLIS_CHECK(rte_pktmbuf_chain(packet, buffer) == 0);
    }
  }
  if (segment_bytes > 0) {
    packet->ol_flags |= RTE_MBUF_F_RX_LRO;
    packet->tso_segsz = segment_bytes;
  }
  return packet;
}

std::size_t free_buffers() {
  return rte_mempool_avail_count(buffers());
}

std::size_t engine_buffers_in_use() {
  const rte_mempool* const pool = rte_mempool_lookup("portcullis_mbufs");
  PORTCULLIS_CHECK(pool != nullptr);
  return rte_mempool_in_use_count(pool);
}

std::size_t dpdk_bytes_in_use() {
  std::size_t bytes = 0;
  for (int socket = 0; socket < RTE_MAX_NUMA_NODES; ++socket) {
    rte_malloc_socket_stats stats{};
    if (rte_malloc_get_socket_stats(socket, &stats) == 0) {
      bytes += stats.heap_allocsz_bytes;
    }
  }
  return bytes;
}

RingPort::RingPort(const std::string& name)
    : name_(name), in_(make_ring(name + "_in")), out_(make_ring(name + "_out")) {
  plug_in();
}

void RingPort::plug_in() {
  PORTCULLIS_CHECK(rte_eth_from_rings(name_.c_str(), &in_, 1, &out_, 1, 0) >= 0);
}

RingPort::~RingPort() {
  take();
  void* packet = nullptr;
  while (rte_ring_dequeue(in_, &packet) == 0) {
    rte_pktmbuf_free(static_cast<rte_mbuf*>(packet));
  }
  rte_vdev_uninit(device().c_str());  // Where nobody has closed it.
  rte_ring_free(in_);
  rte_ring_free(out_);
}

bool RingPort::put(const Bytes& frame) {
  const Unwatched unwatched;
  rte_mbuf* const packet = rte_pktmbuf_alloc(buffers());
  if (packet == nullptr) {
    return false;
  }
  char* const room = rte_pktmbuf_append(packet, static_cast<std::uint16_t>(frame.size()));
  PORTCULLIS_CHECK(room != nullptr);
  std::copy(frame.begin(), frame.end(), room);
  if (rte_ring_enqueue(in_, packet) != 0) {
    rte_pktmbuf_free(packet);
    return false;
  }
  return true;
}

bool RingPort::put_chain(const Bytes& frame, std::uint16_t segment_bytes) {
  const Unwatched unwatched;
  rte_mbuf* const packet = chain_of(frame, kChainBytes, segment_bytes, buffers());
  if (rte_ring_enqueue(in_, packet) != 0) {
    rte_pktmbuf_free(packet);
    return false;
  }
  return true;
}

std::optional<Bytes> RingPort::take_one() {
  const Unwatched unwatched;
  void* object = nullptr;
  if (rte_ring_dequeue(out_, &object) != 0) {
    return std::nullopt;
  }
  auto* const packet = static_cast<rte_mbuf*>(object);
  const auto* const bytes = rte_pktmbuf_mtod(packet, const std::uint8_t*);
  Bytes frame(bytes, bytes + packet->data_len);
  rte_pktmbuf_free(packet);
  return frame;
}

std::vector<Bytes> RingPort::take() {
  std::vector<Bytes> frames;
  while (std::optional<Bytes> frame = take_one()) {
    frames.push_back(*std::move(frame));
  }
  return frames;
}

std::optional<Bytes> RingPort::wait(const std::function<bool(const Bytes&)>& wanted) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  while (std::chrono::steady_clock::now() < end) {
    std::optional<Bytes> frame = take_one();
    if (!frame) {
      std::this_thread::sleep_for(std::chrono::microseconds(100));
      continue;
    }
    if (wanted(*frame)) {
      return frame;
    }
  }
  return std::nullopt;
}

std::optional<Bytes> RingPort::wait() {
  return wait([](const Bytes&) { return true; });
}

}  // namespace portcullis::test
