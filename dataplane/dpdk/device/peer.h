// SPDX-License-Identifier: MIT
// Devices whose other end is a process beside ours, met at a socket: net_vhost, net_virtio_user and
// net_memif. Thread: the control thread.
#pragma once

#include <optional>

#include "base/result.h"
#include "config/config.h"
#include "dataplane/packet/neighbour.h"

namespace portcullis::dataplane {

/// Looks at the socket where such a device would listen or call. The drivers would say less, and
/// some remove at their end whatever has the name at which they could not listen. Any other device
/// passes.
/// Errors: begin with "ports.NAME"; no path is given, something is there where the device is to
/// listen, no socket where it is to call, or the driver would wait for its peer.
Result<void> check_socket(const config::Port& options);

/// The address that such a port has wherever and whenever it is opened, made of its name: drivers
/// make up another one each time, and who has learned it would send to nobody for some seconds.
/// Null: the port is of another driver, or its arguments name one.
std::optional<MacAddress> lasting_mac(const config::Port& options);

}  // namespace portcullis::dataplane
