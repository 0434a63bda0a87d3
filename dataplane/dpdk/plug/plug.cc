// SPDX-License-Identifier: MIT
#include "dataplane/dpdk/plug/plug.h"

#include <algorithm>
#include <chrono>
#include <thread>
#include <utility>

#include <fmt/format.h>

#include "base/check.h"
#include "base/limits.h"
#include "dataplane/dpdk/buffer/demand.h"
#include "dataplane/dpdk/offloads.h"
#include "dataplane/dpdk/plug/port_change.h"

namespace portcullis::dataplane {
namespace {

using Step = PortChange::Step;

/// Between two looks whether the workers are done. A turn of theirs takes microseconds, or as long
/// as they sleep.
constexpr std::chrono::microseconds kNap{50};

/// Lays a change before each worker, and waits until all have taken it.
void tell(const Plugboard& board, std::span<PortChange> changes) {
  PORTCULLIS_CHECK(changes.size() == board.workers.size());
  for (std::size_t i = 0; i < changes.size(); ++i) {
    board.workers[i]->port_mailbox().post(changes[i]);
  }
  for (const std::unique_ptr<Worker>& worker : board.workers) {
    while (!worker->port_mailbox().empty()) {
      std::this_thread::sleep_for(kNap);
    }
  }
}

void tell(const Plugboard& board, PortIndex port, Step step) {
  std::vector<PortChange> changes(board.workers.size());
  for (PortChange& change : changes) {
    change.step = step;
    change.port = port;
  }
  tell(board, changes);
}

std::vector<PortChange> introductions(PortIndex index,
                                      const Port& port,
                                      const std::vector<PortPart>& parts) {
  std::vector<PortChange> changes;
  for (const PortPart& part : parts) {
    changes.push_back({.step = Step::learn,
                       .port = index,
                       .part = part,
                       .device = port.id(),
                       .mtu = port.options().mtu,
                       .mac = port.mac(),
                       .is_kernels = port.is_kernels(),
                       .addresses = port.options().addresses,
                       .sources = port.options().addresses});
  }
  return changes;
}

const std::unique_ptr<Port>* find(const Plugboard& board, const std::string& name) {
  const auto found = std::ranges::find_if(board.ports, [&name](const auto& port) {
    return port != nullptr && port->options().name == name;
  });
  return found == board.ports.end() ? nullptr : &*found;
}

/// What would otherwise go wrong late, or in a worker.
Result<void> check(const Plugboard& board, const config::Port& options) {
  std::size_t addresses = options.addresses.size();
  const std::string interface = kernel_interface(options);
  // All ports of a node have one crew: everybody.
  const std::size_t workers = board.workers.size();
  BufferUse use{.ports = buffers_of_port(options, workers), .workers = workers, .routes = true};
  for (const std::unique_ptr<Port>& port : board.ports) {
    if (port != nullptr && device_name(port->options()) == device_name(options)) {
      return fail(fmt::format("ports.{}: device {} already serves port '{}'",
                              options.name,
                              device_name(options),
                              port->options().name));
    }
    // Two would both receive, or the second one's end would cut the first one off (XDP).
    if (port != nullptr && !interface.empty() && kernel_interface(port->options()) == interface) {
      return fail(fmt::format("ports.{}: interface {} already serves port '{}'",
                              options.name,
                              interface,
                              port->options().name));
    }
    if (port != nullptr) {
      addresses += port->options().addresses.size();
      use.ports += buffers_of_port(port->options(), workers);
    }
  }
  if (addresses > limits::kPodAddressesMax) {
    return fail(fmt::format("ports.{}: {} addresses of ports are more than the {} there may be",
                            options.name,
                            addresses,
                            limits::kPodAddressesMax));
  }
  if (frame_bytes_max(options.mtu) > board.pool.frame_bytes_max()) {
    return fail(
        fmt::format("ports.{}: frames of mtu {} do not fit the packet buffers, which were made for "
                    "the ports of the configuration; lower it, or give one of those this mtu and "
                    "start anew",
                    options.name,
                    options.mtu));
  }
  if (const Result<void> enough = check_buffers(board.pool.buffers(), use); !enough) {
    return fail(fmt::format("ports.{}: {}", options.name, enough.error().message));
  }
  return {};
}

/// The first index that no port has.
Result<PortIndex> free_index(const Plugboard& board) {
  const auto free = std::find(board.ports.begin(), board.ports.end(), nullptr);
  const auto index = static_cast<std::size_t>(free - board.ports.begin());
  if (index == limits::kPortsMax) {
    return fail(fmt::format("there are {} ports, which is as many as there may be; remove one",
                            limits::kPortsMax));
  }
  return static_cast<PortIndex>(index);
}

}  // namespace

Result<void> plug(const Plugboard& board, const config::Port& options) {
  PORTCULLIS_CHECK(options.role == config::Port::Role::pod);
  PORTCULLIS_TRY_VOID(check(board, options));
  PORTCULLIS_TRY(const PortIndex index, free_index(board));
  // All ports of a node have one crew, and there is one at least, the uplink.
  const auto other = std::ranges::find_if(board.ports, [](const auto& p) { return p != nullptr; });
  PORTCULLIS_CHECK(other != board.ports.end());
  PORTCULLIS_TRY(auto port, Port::open(options, (*other)->crew(), board.pool));
  PORTCULLIS_TRY_VOID(port->start());
  PORTCULLIS_TRY(const std::vector<PortPart> parts, board.exchange.plug(index, *port));
  std::vector<PortChange> changes = introductions(index, *port, parts);
  tell(board, changes);
  for (PortChange& change : changes) {
    change.step = Step::serve;
  }
  tell(board, changes);
  if (index == board.ports.size()) {
    board.ports.emplace_back();
  }
  board.ports[index] = std::move(port);
  return {};
}

Result<void> unplug(const Plugboard& board, const std::string& name) {
  const std::unique_ptr<Port>* const found = find(board, name);
  if (found == nullptr) {
    return fail(fmt::format("there is no port '{}'; `portcullis port list` has them all", name));
  }
  if ((*found)->options().role != config::Port::Role::pod) {
    return fail(
        fmt::format("port '{}' is the way to everyone else, and stays; only pods' ports go", name));
  }
  const auto index = static_cast<PortIndex>(found - board.ports.data());
  tell(board, index, Step::rest);
  tell(board, index, Step::forget);
  tell(board, index, Step::clear);
  board.exchange.unplug(index);
  board.ports[index].reset();
  return {};
}

}  // namespace portcullis::dataplane
