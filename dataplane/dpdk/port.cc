// SPDX-License-Identifier: MIT
#include "dataplane/dpdk/port.h"

#include <algorithm>
#include <cerrno>
#include <utility>

#include <rte_dev.h>
#include <rte_errno.h>
#include <rte_ethdev.h>
#include <rte_mbuf.h>
#include <rte_mempool.h>

#include <fmt/format.h>

#include "base/log.h"
#include "dataplane/dpdk/eal.h"

namespace portcullis::dataplane {
namespace {

/// Descriptors of a queue; a device with other limits adjusts them.
constexpr std::uint16_t kRxDescriptors = 1024;
constexpr std::uint16_t kTxDescriptors = 1024;
/// Buffers that a worker keeps at hand. The pool refuses more than 2/3 of its size.
constexpr std::uint32_t kPoolCache = 256;
constexpr const char* kPoolName = "portcullis_mbufs";

/// The name under which EAL knows the device: the part before its arguments, or a PCI address.
std::string device_name(const config::Port& options) {
  return options.vdev.empty() ? options.pci : options.vdev.substr(0, options.vdev.find(','));
}

Failure failed(const config::Port& options, std::string_view what, int error) {
  return fail(fmt::format("ports.{}: {} ({}): {}",
                          options.name,
                          what,
                          rte_strerror(error < 0 ? -error : error),
                          recent_dpdk_log()));
}

}  // namespace

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
                                                    std::min(kPoolCache, options.mbufs / 2),
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

BufferPool::~BufferPool() {
  rte_mempool_free(pool_);
}

Result<std::unique_ptr<Port>> Port::open(const config::Port& options, const BufferPool& pool) {
  const std::string name = device_name(options);
  std::uint16_t id = 0;
  forget_dpdk_log();
  if (rte_eth_dev_get_port_by_name(name.c_str(), &id) != 0) {
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
  std::unique_ptr<Port> port(new Port(options, id));
  PORTCULLIS_TRY_VOID(port->configure(pool));
  return port;
}

Port::~Port() {
  stop();
  rte_eth_dev_close(id_);
}

Result<void> Port::configure(const BufferPool& pool) {
  rte_eth_conf conf{};
  conf.rxmode.mtu = options_.mtu;
  if (const int error = rte_eth_dev_configure(id_, 1, 1, &conf); error != 0) {
    return failed(options_, fmt::format("refuses one queue each way, mtu {}", options_.mtu), error);
  }
  std::uint16_t rx = kRxDescriptors;
  std::uint16_t tx = kTxDescriptors;
  rte_eth_dev_adjust_nb_rx_tx_desc(id_, &rx, &tx);
  const auto socket = static_cast<unsigned>(rte_eth_dev_socket_id(id_));
  if (const int error = rte_eth_rx_queue_setup(id_, 0, rx, socket, nullptr, pool.get());
      error != 0) {
    return failed(options_, "cannot set up its receive queue", error);
  }
  if (const int error = rte_eth_tx_queue_setup(id_, 0, tx, socket, nullptr); error != 0) {
    return failed(options_, "cannot set up its transmit queue", error);
  }
  PORTCULLIS_TRY_VOID(set_mtu());
  rte_ether_addr mac{};
  if (const int error = rte_eth_macaddr_get(id_, &mac); error != 0) {
    return failed(options_, "has no MAC address", error);
  }
  std::copy_n(mac.addr_bytes, mac_.size(), mac_.begin());
  return {};
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
  forget_dpdk_log();
  if (const int error = rte_eth_dev_start(id_); error != 0) {
    return failed(options_, "does not start", error);
  }
  started_ = true;
  listen();
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
