// SPDX-License-Identifier: MIT
#include "dataplane/dpdk/offloads.h"

#include <array>
#include <cstdint>
#include <cstring>
#include <string_view>

#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <fmt/format.h>

#include "base/file.h"
#include "dataplane/dpdk/device/arguments.h"

namespace portcullis::dataplane {
namespace {

/// One question to the interface. False: it has no answer.
bool ask(const std::string& interface, void* question) {
  const UniqueFd socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (socket.get() < 0 || interface.size() >= IFNAMSIZ) {
    return false;
  }
  ifreq request{};
  std::memcpy(request.ifr_name, interface.data(), interface.size());
  request.ifr_data = static_cast<char*>(question);
  return ::ioctl(socket.get(), SIOCETHTOOL, &request) == 0;
}

std::uint32_t value_of(const std::string& interface, std::uint32_t command) {
  ethtool_value value{.cmd = command, .data = 0};
  return ask(interface, &value) ? value.data : 0;
}

bool is_veth(const std::string& interface) {
  ethtool_drvinfo driver{};
  driver.cmd = ETHTOOL_GDRVINFO;
  return ask(interface, &driver) && std::string_view(driver.driver) == "veth";
}

}  // namespace

std::string kernel_interface(const config::Port& port) {
  for (const auto& [driver, key] : {std::pair("net_af_packet", "iface"),
                                    std::pair("net_af_xdp", "iface"),
                                    std::pair("net_pcap", "iface"),
                                    std::pair("net_pcap", "rx_iface"),
                                    std::pair("net_pcap", "rx_iface_in")}) {
    const std::string_view name = device_argument(port, key);
    if (is_of_driver(port, driver) && !name.empty()) {
      return std::string(name);
    }
  }
  return {};
}

std::string offload_advice(const config::Port& port) {
  const std::string interface = kernel_interface(port);
  if (interface.empty()) {
    return {};
  }
  const bool joins = value_of(interface, ETHTOOL_GGRO) != 0 ||
                     (value_of(interface, ETHTOOL_GFLAGS) & ETH_FLAG_LRO) != 0;
  std::string advice;
  if (joins) {
    advice = fmt::format(
        "{0} joins what it receives to packets that no frame holds, which are "
        "dropped: ethtool -K {0} gro off lro off",
        interface);
  }
  if (is_veth(interface)) {
    advice += fmt::format(
        "{}{} is a veth: whoever sends at its other end must cut packets itself, or "
        "large ones are dropped; there: ethtool -K DEVICE tso off gso off",
        advice.empty() ? "" : "; ",
        interface);
  }
  return advice;
}

}  // namespace portcullis::dataplane
