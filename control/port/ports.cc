// SPDX-License-Identifier: MIT
#include "control/port/ports.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "base/limits.h"
#include "base/log.h"
#include "config/validate.h"
#include "control/params.h"

namespace portcullis::control {
namespace {

using config::Port;
using nlohmann::json;

constexpr std::size_t kVdevBytesMax = 512;

/// Devices at which a pod may be. Others would let a caller have the daemon write files of his
/// choice (net_pcap), or have no peer (net_null).
constexpr std::array<std::string_view, 6> kDrivers{
    "net_af_packet", "net_af_xdp", "net_memif", "net_tap", "net_vhost", "net_virtio_user"};

tl::expected<std::vector<IpAddress>, RpcError> addresses_param(const json& params) {
  const auto list = params.find("addresses");
  if (list == params.end() || !list->is_array() || list->empty() ||
      list->size() > limits::kPodAddressesMax) {
    return wrong_params(fmt::format("addresses is not a list of 1 to {} addresses of the pod",
                                    limits::kPodAddressesMax));
  }
  std::vector<IpAddress> addresses;
  for (const json& text : *list) {
    if (!text.is_string()) {
      return wrong_params("addresses has something that is no text");
    }
    const auto address = parse_ip(text.get_ref<const std::string&>());
    if (!address) {
      return wrong_params("addresses: " + address.error().message);
    }
    addresses.push_back(*address);
  }
  return addresses;
}

tl::expected<std::uint16_t, RpcError> mtu_param(const json& params) {
  const auto found = params.find("mtu");
  if (found == params.end()) {
    return Port{}.mtu;
  }
  if (!found->is_number_unsigned() || *found < config::kMtuMin || *found > config::kMtuMax) {
    return wrong_params(
        fmt::format("mtu is not a number from {} to {}", config::kMtuMin, config::kMtuMax));
  }
  return found->get<std::uint16_t>();
}

tl::expected<std::string, RpcError> vdev_param(const json& params) {
  auto vdev = text_param(params, "vdev");
  if (!vdev) {
    return vdev;
  }
  if (vdev->size() > kVdevBytesMax || !is_printable(*vdev)) {
    return wrong_params(
        fmt::format("vdev is longer than {} bytes or has control characters", kVdevBytesMax));
  }
  const bool is_known = std::ranges::any_of(
      kDrivers, [&vdev](std::string_view driver) { return vdev->starts_with(driver); });
  if (!is_known) {
    return wrong_params(fmt::format("vdev: {} is no device of a pod; its driver must be one of {}",
                                    excerpt(*vdev),
                                    fmt::join(kDrivers, ", ")));
  }
  return vdev;
}

tl::expected<Port, RpcError> port_of(const json& params) {
  if (const auto known = only(params, {"name", "vdev", "addresses", "mtu"}); !known) {
    return tl::unexpected(known.error());
  }
  auto name = text_param(params, "name");
  auto vdev = vdev_param(params);
  auto addresses = addresses_param(params);
  const auto mtu = mtu_param(params);
  if (!name || !vdev || !addresses || !mtu) {
    return tl::unexpected(!name        ? name.error()
                          : !vdev      ? vdev.error()
                          : !addresses ? addresses.error()
                                       : mtu.error());
  }
  return Port{.name = *std::move(name),
              .vdev = *std::move(vdev),
              .role = Port::Role::pod,
              .addresses = *std::move(addresses),
              .mtu = *mtu};
}

json to_json(const Port& port) {
  json addresses = json::array();
  for (const IpAddress& address : port.addresses) {
    addresses.push_back(to_string(address));
  }
  return {{"name", port.name},
          {"vdev", port.vdev},
          {"addresses", std::move(addresses)},
          {"mtu", port.mtu}};
}

}  // namespace

Answer Ports::change(const Caller& caller, const Request& request) {
  if (config_.mode.kind != config::Mode::Kind::node || driver_ == nullptr) {
    return refuse(RpcCode::port_refused,
                  "ports come and go in mode node only, where each pod has one; elsewhere they are "
                  "those of the configuration");
  }
  return request.method == "port.add" ? add(caller, request.params)
                                      : remove(caller, request.params);
}

/// What was started contradicts itself nowhere, so whatever does now is the new port's doing.
tl::expected<void, RpcError> Ports::may_add(const Port& port) const {
  if (std::ranges::find(config_.ports, port.name, &Port::name) != config_.ports.end()) {
    return wrong_params(fmt::format(
        "there is a port '{}' already; remove it first, or take another name", port.name));
  }
  config::Config with = config_;
  with.ports.push_back(port);
  const auto contradictions = config::validate(with);
  if (contradictions.empty()) {
    return {};
  }
  std::vector<std::string> said;
  for (const config::Contradiction& one : contradictions) {
    said.push_back(fmt::format("{}: {}", one.field, one.message));
  }
  return wrong_params(fmt::format("{}", fmt::join(said, "; ")));
}

Answer Ports::add(const Caller& caller, const json& params) {
  auto port = port_of(params);
  if (!port) {
    return tl::unexpected(std::move(port).error());
  }
  if (const auto may = may_add(*port); !may) {
    return tl::unexpected(may.error());
  }
  if (const Result<void> added = driver_->add_port(*port); !added) {
    log::error(
        "control: port {} by {} refused: {}", port->name, caller.text(), to_string(added.error()));
    return refuse(RpcCode::port_refused, to_string(added.error()));
  }
  log::info("control: port {} added by {}: {}", port->name, caller.text(), port->vdev);
  config_.ports.push_back(*port);
  return to_json(*port);
}

Answer Ports::remove(const Caller& caller, const json& params) {
  if (const auto known = only(params, {"name"}); !known) {
    return tl::unexpected(known.error());
  }
  const auto name = text_param(params, "name");
  if (!name) {
    return tl::unexpected(name.error());
  }
  const auto port = std::ranges::find(config_.ports, *name, &Port::name);
  if (port == config_.ports.end()) {
    return wrong_params(
        fmt::format("there is no port {}; `portcullis port list` has them all", excerpt(*name)));
  }
  if (const Result<void> removed = driver_->remove_port(*name); !removed) {
    return refuse(RpcCode::port_refused, to_string(removed.error()));
  }
  log::info("control: port {} removed by {}", *name, caller.text());
  json result = to_json(*port);
  config_.ports.erase(port);
  return result;
}

std::string audit_text(std::string_view method, const json& params) {
  if (!method.starts_with("port.")) {
    return std::string(method);
  }
  const auto name = params.find("name");
  return name != params.end() && name->is_string()
             ? fmt::format("{} {}",
                           method,
                           name->get_ref<const std::string&>().substr(0, config::kNameBytesMax))
             : std::string(method);
}

}  // namespace portcullis::control
