// SPDX-License-Identifier: MIT
#include "dataplane/dpdk/device/peer.h"

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include <sys/stat.h>

#include <fmt/format.h>

#include "dataplane/dpdk/device/arguments.h"

namespace portcullis::dataplane {
namespace {

/// Where a device meets its peer, and how.
struct Meeting {
  std::string_view key;  // The argument that names the socket.
  std::string path;
  bool listens = false;
  bool shares = false;  // Others of this process may listen at the same socket.
  bool waits = false;   // Calls again until somebody listens.
};

std::optional<Meeting> meeting_of(const config::Port& port) {
  if (is_of_driver(port, "net_vhost")) {
    const bool calls = device_argument(port, "client") == "1";
    return Meeting{.key = "iface",
                   .path = std::string(device_argument(port, "iface")),
                   .listens = !calls,
                   .waits = calls};
  }
  if (is_of_driver(port, "net_virtio_user")) {
    return Meeting{.key = "path", .path = std::string(device_argument(port, "path"))};
  }
  // An abstract socket, memif's default, is no file.
  if (is_of_driver(port, "net_memif") && device_argument(port, "socket-abstract") == "no") {
    const std::string_view role = device_argument(port, "role");
    return Meeting{.key = "socket",
                   .path = std::string(device_argument(port, "socket")),
                   .listens = role == "server" || role == "master",
                   .shares = true};
  }
  return std::nullopt;
}

}  // namespace

Result<void> check_socket(const config::Port& options) {
  if (is_of_driver(options, "net_virtio_user") && device_argument(options, "server") == "1") {
    return fail(
        fmt::format("ports.{}: net_virtio_user with server=1 would stop everything until "
                    "its peer calls; let the peer listen, or take net_vhost, which listens "
                    "without waiting",
                    options.name));
  }
  const std::optional<Meeting> meeting = meeting_of(options);
  if (!meeting) {
    return {};
  }
  if (meeting->path.empty()) {
    return fail(fmt::format("ports.{}: the device says no {}=PATH, where it meets its peer",
                            options.name,
                            meeting->key));
  }
  struct stat found {};
  const bool exists = ::lstat(meeting->path.c_str(), &found) == 0;
  const bool is_socket = exists && S_ISSOCK(found.st_mode);
  if (meeting->listens && exists && !(meeting->shares && is_socket)) {
    return fail(
        fmt::format("ports.{}: {} is there already, and the device would listen there; "
                    "remove it if nobody uses it, or name another",
                    options.name,
                    meeting->path));
  }
  // The kernel's own end of virtio is a character device.
  if (!meeting->listens && !meeting->waits && !is_socket && !(exists && S_ISCHR(found.st_mode))) {
    return fail(
        fmt::format("ports.{}: there is no socket {}; start the peer that listens there "
                    "first, or let the port listen (docs/operations.md, Ports)",
                    options.name,
                    meeting->path));
  }
  return {};
}

std::optional<MacAddress> lasting_mac(const config::Port& options) {
  constexpr std::array<std::string_view, 3> kNameless{"net_memif", "net_vhost", "net_virtio_user"};
  bool is_nameless = false;
  for (const std::string_view driver : kNameless) {
    is_nameless = is_nameless || is_of_driver(options, driver);
  }
  if (!is_nameless || !device_argument(options, "mac").empty()) {
    return std::nullopt;
  }
  // FNV-1a. Ports of one node have different names, and 40 bits are enough for those of a few.
  std::uint64_t hash = 0xcbf29ce484222325U;
  for (const char c : options.name) {
    hash = (hash ^ static_cast<std::uint8_t>(c)) * 0x100000001b3U;
  }
  MacAddress mac{0x02};  // Administered locally, of one host.
  for (std::size_t i = 1; i < mac.size(); ++i) {
    mac[i] = static_cast<std::uint8_t>(hash >> (8 * i));
  }
  return mac;
}

}  // namespace portcullis::dataplane
