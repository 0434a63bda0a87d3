// SPDX-License-Identifier: MIT
// Which processor does what, and the forwarding thread's name.
// Thread: any.
#pragma once

namespace portcullis::bench {

/// As EAL calls the thread of lcore 1.
inline constexpr const char* kForwardingThread = "rte-worker-1";

/// The first and the last processor that this process may use: one and the same where it has one.
struct Cores {
  unsigned control = 0;
  unsigned worker = 0;
};
Cores control_and_worker();

}  // namespace portcullis::bench
