// SPDX-License-Identifier: MIT
#include "dataplane/dpdk/link/carrier.h"

#include <algorithm>
#include <cstring>
#include <string>
#include <utility>

#include <net/if.h>
#include <rte_errno.h>
#include <rte_ethdev.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "base/file.h"
#include "base/log.h"
#include "dataplane/dpdk/offloads.h"

namespace portcullis::dataplane {
namespace {

/// Whether the kernel has a carrier at an interface. One that is gone has none.
bool interface_is_up(const std::string& interface) {
  const UniqueFd socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  ifreq request{};
  if (socket.get() < 0 || interface.size() >= sizeof request.ifr_name) {
    return true;  // That we cannot look is no reason to cut anybody off.
  }
  std::memcpy(request.ifr_name, interface.data(), interface.size());
  constexpr int kRuns = IFF_UP | IFF_RUNNING;
  return ::ioctl(socket.get(), SIOCGIFFLAGS, &request) == 0 && (request.ifr_flags & kRuns) == kRuns;
}

std::size_t place_of(std::span<const std::unique_ptr<Port>> ports, const std::string& name) {
  const auto found = std::find_if(
      ports.begin(), ports.end(), [&](const auto& port) { return port->options().name == name; });
  return static_cast<std::size_t>(found - ports.begin());
}

}  // namespace

bool link_is_up(const Port& port) {
  // DPDK 22.11 reads no link of the devices that work on the kernel's interfaces: they say "up" as
  // long as they run.
  if (const std::string interface = kernel_interface(port.options()); !interface.empty()) {
    return interface_is_up(interface);
  }
  rte_eth_link link{};
  return rte_eth_link_get_nowait(port.id(), &link) == 0 && link.link_status == RTE_ETH_LINK_UP;
}

LinkCarrier::LinkCarrier(const config::Config& config,
                         std::span<const std::unique_ptr<Port>> ports,
                         std::uint64_t now_ns) {
  if (!config.mode.carry_link) {
    return;
  }
  for (const auto& [a, b] : config.mode.pairs) {
    const std::size_t first = place_of(ports, a);
    const std::size_t second = place_of(ports, b);
    wires_.push_back({.ports = {first, second},
                      .ends = {{{.port = ports[first].get()}, {.port = ports[second].get()}}},
                      .pair = LinkPair(now_ns)});
  }
}

LinkCarrier::~LinkCarrier() {
  for (const Wire& wire : wires_) {
    for (const End& end : wire.ends) {
      if (end.taken_down) {
        rte_eth_dev_set_link_up(end.port->id());
      }
    }
  }
}

void LinkCarrier::check(std::uint64_t now_ns) {
  for (Wire& wire : wires_) {
    const std::array<bool, 2> up{link_is_up(*wire.ends[0].port), link_is_up(*wire.ends[1].port)};
    const LinkPair::Orders orders = wire.pair.check(up, now_ns);
    for (std::size_t i = 0; i < wire.ends.size(); ++i) {
      End& end = wire.ends.at(i);
      if (orders.at(i) == LinkPair::Order::down) {
        take_down(end, wire.ends.at(1 - i).port->options().name);
      } else if (end.taken_down && !wire.pair.held(i)) {
        let_up(end);  // Also one that did not come up when it was told to.
      }
    }
  }
}

/// Where the other end's name is `other`.
void LinkCarrier::take_down(End& end, const std::string& other) {
  if (end.cannot) {
    return;
  }
  const std::string& name = end.port->options().name;
  const int error = rte_eth_dev_set_link_down(end.port->id());
  if (error != 0) {
    end.cannot = true;
    log::warn(
        "ports.{}: its device cannot take its link down ({}), so hosts behind it do not learn "
        "when '{}' has none",
        name,
        rte_strerror(-error),
        other);
  } else if (!std::exchange(end.taken_down, true)) {
    log::info("ports.{}: its link is taken down, as '{}' has none", name, other);
  }
}

void LinkCarrier::let_up(End& end) {
  const std::string& name = end.port->options().name;
  if (const int error = rte_eth_dev_set_link_up(end.port->id()); error != 0) {
    log::error("ports.{}: its link does not come up again: {}", name, rte_strerror(-error));
    return;
  }
  end.taken_down = false;
  log::info("ports.{}: its link is let up again", name);
}

void LinkCarrier::tell(std::size_t port, PortStatus& status) const {
  for (const Wire& wire : wires_) {
    for (std::size_t i = 0; i < wire.ends.size(); ++i) {
      if (wire.ports.at(i) == port && wire.pair.held(i)) {
        status.partner_down = wire.ends.at(1 - i).port->options().name;
        status.taken_down = wire.ends.at(i).taken_down;
      }
    }
  }
}

}  // namespace portcullis::dataplane
