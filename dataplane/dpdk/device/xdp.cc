// SPDX-License-Identifier: MIT
#include "dataplane/dpdk/device/xdp.h"

#include <algorithm>
#include <charconv>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <string>
#include <system_error>
#include <utility>

#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <rte_errno.h>
#include <rte_ethdev.h>
#include <rte_malloc.h>
#include <rte_mbuf.h>
#include <rte_mempool.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <fmt/format.h>

#include "base/file.h"
#include "base/limits.h"
#include "dataplane/dpdk/buffer/demand.h"
#include "dataplane/dpdk/device/arguments.h"

namespace portcullis::dataplane {
namespace {

constexpr std::string_view kDriver = "net_af_xdp";

/// What the driver lays before the kernel to receive into, whatever the queue's length; what waits
/// to be sent; what was sent, which it takes back once it is half of so many; and some bursts.
constexpr unsigned kRing = 2048;
constexpr unsigned kBuffers = kRing + kTxDescriptors + kRing / 2 + 4 * limits::kBurstMax;

/// Of a descriptor that AF_XDP needs: what nothing else has; empty for any other.
std::string identity_of(int fd) {
  std::error_code gone;
  const std::string what = std::filesystem::read_symlink(fmt::format("/proc/self/fd/{}", fd), gone);
  int domain = 0;
  socklen_t length = sizeof domain;
  if (::getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &length) == 0) {
    return domain == AF_XDP ? what : "";  // With its inode.
  }
  if (what != "anon_inode:bpf-prog" && what != "anon_inode:bpf-map") {
    return {};
  }
  std::ifstream info(fmt::format("/proc/self/fdinfo/{}", fd));
  for (std::string line; std::getline(info, line);) {
    if (line.starts_with("prog_id:") || line.starts_with("map_id:")) {
      return what + line;
    }
  }
  return {};
}

}  // namespace

Result<void> check_xdp_queues(const config::Port& options) {
  if (!is_of_driver(options, kDriver)) {
    return {};
  }
  const std::string interface(device_argument(options, "iface"));
  const UniqueFd socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  ethtool_channels channels{};
  channels.cmd = ETHTOOL_GCHANNELS;
  ifreq request{};
  if (socket.get() < 0 || interface.size() >= sizeof request.ifr_name) {
    return {};  // The driver has the better words for it.
  }
  std::memcpy(request.ifr_name, interface.data(), interface.size());
  request.ifr_data = reinterpret_cast<char*>(&channels);
  if (::ioctl(socket.get(), SIOCETHTOOL, &request) != 0) {
    return {};  // An interface without channels has one.
  }
  const std::uint32_t queues = channels.rx_count + channels.combined_count;
  if (queues <= 1) {
    return {};
  }
  return fail(fmt::format(
      "ports.{0}: {1} receives by {2} queues, and net_af_xdp would take the packets of one only: "
      "make a veth with `numrxqueues 1 numtxqueues 1` at both ends, or `ethtool -L {1} rx 1 tx 1`",
      options.name,
      interface,
      queues));
}

Result<std::unique_ptr<XdpSide>> XdpSide::make(const config::Port& options, rte_mempool* all) {
  if (!is_of_driver(options, kDriver)) {
    return std::unique_ptr<XdpSide>();
  }
  static unsigned made = 0;
  const std::string name = fmt::format("portcullis_xdp_{}", made++);
  rte_mempool* const pool = rte_pktmbuf_pool_create(
      name.c_str(), kBuffers, 0, 0, rte_pktmbuf_data_room_size(all), SOCKET_ID_ANY);
  if (pool == nullptr) {
    return fail(
        fmt::format("ports.{}: net_af_xdp takes {} packet buffers of its own, for which "
                    "there is no room ({}); raise eal.memory_mb",
                    options.name,
                    kBuffers,
                    rte_strerror(rte_errno)));
  }
  return std::unique_ptr<XdpSide>(new XdpSide(pool, all));
}

XdpSide::XdpSide(rte_mempool* pool, rte_mempool* all)
    : pool_(pool), all_(all), others_(handles()) {}

XdpSide::~XdpSide() {
  // With those that were opened only to close the device.
  const std::vector<Handle> since = new_since(others_);
  handles_.insert(handles_.end(), since.begin(), since.end());
  for (const Handle& handle : handles_) {
    if (identity_of(handle.fd) == handle.identity) {
      ::close(handle.fd);
    }
  }
  rte_mempool_free(pool_);
}

std::vector<XdpSide::Handle> XdpSide::new_since(const std::vector<Handle>& then) {
  std::vector<Handle> now = handles();
  std::erase_if(now, [&then](const Handle& one) {
    return std::ranges::any_of(then, [&one](const Handle& other) { return other == one; });
  });
  return now;
}

std::vector<XdpSide::Handle> XdpSide::handles() {
  std::vector<Handle> found;
  std::error_code unreadable;
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd", unreadable)) {
    const std::string name = entry.path().filename();
    int fd = -1;
    std::from_chars(name.data(), name.data() + name.size(), fd);
    if (std::string identity = identity_of(fd); !identity.empty()) {
      found.push_back({fd, std::move(identity)});
    }
  }
  return found;
}

Result<void> XdpSide::adopt(const config::Port& options, std::uint16_t device) {
  handles_ = new_since(others_);
  device_ = device;
  const auto in = [](std::uint16_t,
                     std::uint16_t,
                     rte_mbuf** packets,
                     std::uint16_t count,
                     std::uint16_t,
                     void* side) -> std::uint16_t {
    return static_cast<XdpSide*>(side)->copy_in({packets, count});
  };
  const auto out = [](std::uint16_t,
                      std::uint16_t,
                      rte_mbuf** packets,
                      std::uint16_t count,
                      void* side) -> std::uint16_t {
    return static_cast<XdpSide*>(side)->copy_out({packets, count});
  };
  receiving_ = rte_eth_add_rx_callback(device, 0, in, this);
  sending_ = rte_eth_add_tx_callback(device, 0, out, this);
  if (receiving_ == nullptr || sending_ == nullptr) {
    return fail(
        fmt::format("ports.{}: net_af_xdp needs a DPDK that calls back when it receives "
                    "and sends (RTE_ETHDEV_RXTX_CALLBACKS): {}",
                    options.name,
                    rte_strerror(rte_errno)));
  }
  return {};
}

void XdpSide::prepare_to_close() {
  if (handles_.empty()) {
    handles_ = new_since(others_);  // Of a device that did not come up.
  }
  others_ = handles();
  // Else the next device of this number would still call us.
  if (receiving_ != nullptr) {
    rte_eth_remove_rx_callback(device_, 0, receiving_);
    rte_free(const_cast<rte_eth_rxtx_callback*>(std::exchange(receiving_, nullptr)));
  }
  if (sending_ != nullptr) {
    rte_eth_remove_tx_callback(device_, 0, sending_);
    rte_free(const_cast<rte_eth_rxtx_callback*>(std::exchange(sending_, nullptr)));
  }
}

std::uint16_t XdpSide::copy_in(std::span<rte_mbuf*> packets) noexcept {
  std::uint16_t copied = 0;
  for (rte_mbuf* const packet : packets) {
    rte_mbuf* const copy = rte_pktmbuf_copy(packet, all_, 0, UINT32_MAX);
    rte_pktmbuf_free(packet);
    if (copy != nullptr) {
      packets[copied++] = copy;
    } else {
      missed_.fetch_add(1, std::memory_order_relaxed);
    }
  }
  return copied;
}

std::uint16_t XdpSide::copy_out(std::span<rte_mbuf*> packets) noexcept {
  std::uint16_t copied = 0;
  for (rte_mbuf*& packet : packets) {
    rte_mbuf* const copy = rte_pktmbuf_copy(packet, pool_, 0, UINT32_MAX);
    if (copy == nullptr) {
      break;  // The driver takes back what was sent on the next call, also of nothing.
    }
    rte_pktmbuf_free(std::exchange(packet, copy));
    ++copied;
  }
  return copied;
}

}  // namespace portcullis::dataplane
