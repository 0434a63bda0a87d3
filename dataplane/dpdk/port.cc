// SPDX-License-Identifier: MIT
#include "dataplane/dpdk/port.h"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <thread>
#include <utility>

#include <rte_dev.h>
#include <rte_errno.h>
#include <rte_ethdev.h>
#include <rte_mbuf.h>
#include <rte_mempool.h>

#include <fmt/format.h>

#include "base/limits.h"
#include "base/log.h"
#include "dataplane/dpdk/buffer/demand.h"
#include "dataplane/dpdk/device/arguments.h"
#include "dataplane/dpdk/device/peer.h"
#include "dataplane/dpdk/eal.h"
#include "dataplane/dpdk/offloads.h"
#include "dataplane/dpdk/spread/rss.h"
#include "dataplane/packet/headers.h"

namespace portcullis::dataplane {
namespace {

constexpr const char* kPoolName = "portcullis_mbufs";

/// The kernel lets go of an interface's queue some time after its socket was closed, and until then
/// a port that comes again cannot have it.
constexpr int kXdpTries = 20;
constexpr std::chrono::milliseconds kXdpPause{10};

Failure failed(const config::Port& options, std::string_view what, int error) {
  return fail(fmt::format("ports.{}: {} ({}): {}",
                          options.name,
                          what,
                          rte_strerror(error < 0 ? -error : error),
                          recent_dpdk_log()));
}

}  // namespace

std::size_t frame_bytes_max(std::uint16_t mtu) {
  return wire::kEthernetBytes + limits::kVlanTagsMax * wire::kVlanTagBytes + mtu;
}

std::string device_name(const config::Port& options) {
  return options.vdev.empty() ? options.pci : options.vdev.substr(0, options.vdev.find(','));
}

Result<std::unique_ptr<BufferPool>> BufferPool::make(const config::Eal& options,
                                                     std::size_t frame_bytes_max) {
  const std::size_t room = std::max<std::size_t>(
      RTE_MBUF_DEFAULT_BUF_SIZE, RTE_ALIGN(RTE_PKTMBUF_HEADROOM + frame_bytes_max, 64U));
  if (room > UINT16_MAX) {
    return fail(fmt::format("an mtu of {} bytes does not fit a packet buffer", frame_bytes_max));
  }
  forget_dpdk_log();
  rte_mempool* const pool = rte_pktmbuf_pool_create(kPoolName,
                                                    options.mbufs,
                                                    cache_buffers(options.mbufs),
                                                    0,
                                                    static_cast<std::uint16_t>(room),
                                                    SOCKET_ID_ANY);
  if (pool == nullptr) {
    return fail(
        fmt::format("cannot take {} packet buffers of {} bytes from eal.memory_mb = {} ({}); raise "
                    "eal.memory_mb or lower eal.mbufs",
                    options.mbufs,
                    room,
                    options.memory_mb,
                    rte_strerror(rte_errno)));
  }
  return std::unique_ptr<BufferPool>(new BufferPool(pool));
}

std::size_t BufferPool::frame_bytes_max() const {
  return rte_pktmbuf_data_room_size(pool_) - std::size_t{RTE_PKTMBUF_HEADROOM};
}

std::size_t BufferPool::buffers() const {
  return pool_->size;
}

BufferPool::~BufferPool() {
  rte_mempool_free(pool_);
}

Result<std::unique_ptr<Port>> Port::open(const config::Port& options,
                                         const Crew& crew,
                                         const BufferPool& pool) {
  PORTCULLIS_TRY_VOID(check_socket(options));
  PORTCULLIS_TRY_VOID(check_xdp_queues(options));
  auto port = try_open(options, crew, pool);
  if (!is_of_driver(options, "net_af_xdp")) {
    return port;
  }
  for (int left = kXdpTries; !port && left > 0; --left) {
    std::this_thread::sleep_for(kXdpPause);
    port = try_open(options, crew, pool);
  }
  if (!port) {
    return fail(
        fmt::format("{}; net_af_xdp takes queue 0 of an interface that is up and has no "
                    "other XDP program, and needs a kernel with XDP_SOCKETS and the "
                    "capabilities NET_ADMIN, NET_RAW, BPF and IPC_LOCK",
                    port.error().message));
  }
  return port;
}

Result<std::unique_ptr<Port>> Port::try_open(const config::Port& options,
                                             const Crew& crew,
                                             const BufferPool& pool) {
  const std::string name = device_name(options);
  std::uint16_t id = 0;
  forget_dpdk_log();
  if (rte_eth_dev_get_port_by_name(name.c_str(), &id) != 0) {
    // Past its last one a driver would only say that it failed.
    if (rte_eth_dev_count_total() >= RTE_MAX_ETHPORTS) {
      return fail(
          fmt::format("ports.{}: there are {} devices, which is as many as this build of DPDK "
                      "drives (RTE_MAX_ETHPORTS); take out another port",
                      options.name,
                      RTE_MAX_ETHPORTS));
    }
    const std::string& arguments = options.vdev.empty() ? options.pci : options.vdev;
    const int error = rte_dev_probe(arguments.c_str());
    if (error != 0) {
      return failed(options,
                    fmt::format("cannot create device '{}'; check its name, and that the "
                                "interface it uses is there",
                                arguments),
                    error);
    }
    if (rte_eth_dev_get_port_by_name(name.c_str(), &id) != 0) {
      return fail(fmt::format("ports.{}: '{}' is no network device", options.name, arguments));
    }
  }
  std::unique_ptr<Port> port(new Port(options, crew, id, pool));
  PORTCULLIS_TRY(port->xdp_, XdpSide::make(options, pool.get()));
  PORTCULLIS_TRY_VOID(port->configure(crew.size() > 1));
  return port;
}

Port::Port(config::Port options, Crew crew, std::uint16_t id, const BufferPool& pool)
    : options_(std::move(options)),
      crew_(std::move(crew)),
      id_(id),
      is_kernels_(!kernel_interface(options_).empty()),
      pool_(pool) {}

Port::~Port() {
  stop();
  if (xdp_ != nullptr) {
    xdp_->prepare_to_close();
  }
  rte_eth_dev_info device{};
  const bool is_told = rte_eth_dev_info_get(id_, &device) == 0;
  rte_eth_dev_close(id_);
  if (!options_.vdev.empty() && is_told && device.device != nullptr) {
    if (const int error = rte_dev_remove(device.device); error != 0) {
      log::warn("ports.{}: device {} stays, so that none can have its name: {}",
                options_.name,
                device_name(options_),
                rte_strerror(-error));
    }
  }
}

/// One queue each way, or one for each of the crew. A virtual device gets several to send from only
/// with as many to receive from: its queues are pairs to the kernel, which would put packets into
/// those that nobody polls (net_tap, net_af_packet).
Result<void> Port::configure(bool spread) {
  rte_eth_dev_info device{};
  if (const int error = rte_eth_dev_info_get(id_, &device); error != 0) {
    return failed(options_, "says nothing of itself", error);
  }
  const auto crew = static_cast<std::uint16_t>(crew_.size());
  spread = spread && offers_rss(device, crew);
  const bool sends_apart = options_.vdev.empty() && device.max_tx_queues >= crew;
  queues_.rx = spread ? crew : 1;
  queues_.tx = spread || sends_apart ? crew : 1;
  rte_eth_conf conf{};
  conf.rxmode.mtu = options_.mtu;
  if (spread) {
    ask_for_rss(device, conf);
  }
  if (const int error = rte_eth_dev_configure(id_, queues_.rx, queues_.tx, &conf); error != 0) {
    return failed(options_,
                  fmt::format("refuses {} queues to receive and {} to send, mtu {}",
                              queues_.rx,
                              queues_.tx,
                              options_.mtu),
                  error);
  }
  PORTCULLIS_TRY_VOID(set_up_queues());
  PORTCULLIS_TRY_VOID(set_mtu());
  return learn_mac();
}

/// Where the device only made one up, it need not know of another: it filters nothing.
Result<void> Port::learn_mac() {
  if (const std::optional<MacAddress> lasting = lasting_mac(options_); lasting) {
    mac_ = *lasting;
    return {};
  }
  rte_ether_addr mac{};
  if (const int error = rte_eth_macaddr_get(id_, &mac); error != 0) {
    return failed(options_, "has no MAC address", error);
  }
  std::copy_n(mac.addr_bytes, mac_.size(), mac_.begin());
  return {};
}

Result<void> Port::set_up_queues() {
  std::uint16_t rx = kRxDescriptors;
  std::uint16_t tx = kTxDescriptors;
  rte_eth_dev_adjust_nb_rx_tx_desc(id_, &rx, &tx);
  const auto socket = static_cast<unsigned>(rte_eth_dev_socket_id(id_));
  rte_mempool* const pool = xdp_ == nullptr ? pool_.get() : xdp_->pool();
  for (std::uint16_t queue = 0; queue < queues_.rx; ++queue) {
    const int error = rte_eth_rx_queue_setup(id_, queue, rx, socket, nullptr, pool);
    if (error != 0) {
      return failed(options_, fmt::format("cannot set up receive queue {}", queue), error);
    }
  }
  for (std::uint16_t queue = 0; queue < queues_.tx; ++queue) {
    if (const int error = rte_eth_tx_queue_setup(id_, queue, tx, socket, nullptr); error != 0) {
      return failed(options_, fmt::format("cannot set up transmit queue {}", queue), error);
    }
  }
  return xdp_ == nullptr ? Result<void>() : xdp_->adopt(options_, id_);
}

Result<void> Port::set_mtu() {
  const int error = rte_eth_dev_set_mtu(id_, options_.mtu);
  if (error == -ENOTSUP) {
    return {};  // Memory devices have none; the forwarder keeps to the configured one.
  }
  if (error != 0) {
    return failed(options_, fmt::format("refuses mtu {}", options_.mtu), error);
  }
  return {};
}

/// A wire passes everybody's frames, and a mirror judges them; a router's port wants its own and
/// group frames.
void Port::listen() {
  using Role = config::Port::Role;
  const bool all = options_.role == Role::wire || options_.role == Role::mirror;
  const int error = all ? rte_eth_promiscuous_enable(id_) : rte_eth_allmulticast_enable(id_);
  if (error != 0 && error != -ENOTSUP) {
    log::warn("ports.{}: cannot listen to {} frames: {}",
              options_.name,
              all ? "all" : "multicast",
              rte_strerror(-error));
  }
}

Result<void> Port::start() {
  PORTCULLIS_TRY_VOID(start_device());
  if (queues_.rx > 1) {
    // A table of queues may be set for good only once the device runs.
    if (const Result<void> proven = set_up_rss(id_, crew_); !proven) {
      log::warn("ports.{}: packets are spread in software, not by the device: {}",
                options_.name,
                proven.error().message);
      stop();
      PORTCULLIS_TRY_VOID(configure(false));
      PORTCULLIS_TRY_VOID(start_device());
    }
  }
  listen();
  if (const std::string advice = offload_advice(options_); !advice.empty()) {
    log::warn("ports.{}: {}", options_.name, advice);
  }
  return {};
}

Result<void> Port::start_device() {
  forget_dpdk_log();
  if (const int error = rte_eth_dev_start(id_); error != 0) {
    return failed(options_, "does not start", error);
  }
  started_ = true;
  return {};
}

void Port::stop() {
  if (std::exchange(started_, false)) {
    // The kernel's interface outlives us and should not stay promiscuous.
    rte_eth_promiscuous_disable(id_);
    rte_eth_dev_stop(id_);
  }
}

}  // namespace portcullis::dataplane
