// SPDX-License-Identifier: MIT
// The least that a forwarder can do, to read our figures beside: receive a burst at one port, write
// both MAC addresses of each packet, send it out of the other. It does what dpdk-testpmd's mac mode
// does, but is a loop of this benchmark: rings of one process cannot be lent to another program
// without huge pages.
// Thread: start and end on EAL's main thread; it forwards on lcore 1.
#pragma once

#include <memory>

#include "base/result.h"
#include "config/config.h"

namespace portcullis::bench {

class MacLoop {
 public:
  /// Opens the first two ports of `config` as our engine would, and forwards between them.
  /// Errors: as those of a port.
  static Result<std::unique_ptr<MacLoop>> start(const config::Config& config);
  MacLoop(const MacLoop&) = delete;
  MacLoop& operator=(const MacLoop&) = delete;
  ~MacLoop();

 private:
  struct State;
  explicit MacLoop(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace portcullis::bench
