// SPDX-License-Identifier: MIT
// Who forwards between two devices of DPDK: our worker, and dpdk-testpmd. Each is a child process
// whose one forwarding thread is on the last core, and sleeps while it is not asked.
// Thread: one.
#pragma once

#include <array>
#include <cstddef>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"
#include "bench/corpus.h"

namespace portcullis::bench {

/// A pair of net_pcap devices that hand out the frames of a capture each, for ever.
struct VdevPair {
  std::array<std::filesystem::path, 2> captures;
  std::size_t frames = 0;  // Of both captures.
  std::size_t flows = 0;   // Between them.
  std::size_t frame_bytes_max = 1518;
  bool hugepages = false;
};

/// What went through in a while.
struct Passage {
  double packets = 0;
  double processor_seconds = 0;  // Of the forwarding thread.
  double dropped = 0;
};

class Forwarder {
 public:
  Forwarder() = default;
  Forwarder(const Forwarder&) = delete;
  Forwarder& operator=(const Forwarder&) = delete;
  virtual ~Forwarder() = default;
  /// Forwards for so long. Errors: the child is gone, or does not answer in time.
  virtual Result<Passage> run(double seconds) = 0;
};

/// A running testpmd, which stays in one process whatever its mode.
class Testpmd;

/// Errors: the program is not there, or does not start over these devices.
Result<std::shared_ptr<Testpmd>> start_testpmd(const std::string& program, const VdevPair& pair);
/// `mode`: "io", which passes packets on, or "mac", which writes their MAC addresses first.
std::unique_ptr<Forwarder> testpmd_forwarder(std::shared_ptr<Testpmd> testpmd, std::string mode);

/// Our worker under the policies of a world, mode wire, with every flow established.
/// Errors: DPDK does not start; the flows are not known after a while.
Result<std::unique_ptr<Forwarder>> start_ours(const World& world, const VdevPair& pair);

/// DPDK memory that a forwarder takes for these frames, in MiB.
std::size_t memory_mb(const VdevPair& pair);

}  // namespace portcullis::bench
