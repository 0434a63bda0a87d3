// SPDX-License-Identifier: MIT
// Ports of pods that come and go while the workers run.
// Thread: the control thread. It waits for each worker's turn of its loop, a few times; no worker
// waits for it.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "config/config.h"
#include "dataplane/dpdk/port.h"
#include "dataplane/dpdk/spread/exchange.h"
#include "dataplane/dpdk/worker.h"

namespace portcullis::dataplane {

/// What a port is plugged into. Owner: the engine.
struct Plugboard {
  /// By index, which a port keeps for its life; null where one was removed.
  std::vector<std::unique_ptr<Port>>& ports;
  Exchange& exchange;
  const BufferPool& pool;
  std::span<const std::unique_ptr<Worker>> workers;  // Running.
};

/// Opens the port, lets every worker know of it, and only then lets its packets in.
/// REQUIRES: mode node; options are validated beside those of the other ports; role pod.
/// Errors: begin with "ports.NAME"; the device is closed again, and nothing has changed.
Result<void> plug(const Plugboard& board, const config::Port& options);

/// Receives from the port no more, lets every worker forget it, and closes its device. What waits
/// for it is dropped and counted; flows of its addresses stay until they time out.
/// Errors: no such port, or it is no pod's; nothing has changed.
Result<void> unplug(const Plugboard& board, const std::string& name);

}  // namespace portcullis::dataplane
