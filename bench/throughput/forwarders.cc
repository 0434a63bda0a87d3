// SPDX-License-Identifier: MIT
#include "bench/throughput/forwarders.h"

#include <algorithm>
#include <bit>
#include <charconv>
#include <chrono>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include <unistd.h>

#include <fmt/format.h>

#include "base/limits.h"
#include "bench/throughput/child.h"
#include "bench/throughput/cores.h"
#include "classifier/compile.h"
#include "classifier/verdict.h"
#include "dataplane/dataplane.h"
#include "dataplane/packet/headers.h"

namespace portcullis::bench {
namespace {

namespace wire = dataplane::wire;

constexpr double kStartSeconds = 60;
constexpr double kAnswerSeconds = 10;
/// What a forwarder has under way, beside the frames of the captures.
constexpr std::size_t kSpareMbufs = 8192;
/// Data room of a buffer, which is DPDK's own default, its headroom, and what lies around it.
constexpr std::size_t kMbufBytes = 2176;
constexpr std::size_t kMbufHeadroom = 128;
constexpr std::size_t kMbufOverhead = 192;
constexpr std::size_t kMtuLeast = 1500;
constexpr std::size_t kPageBytes = 4096;
constexpr std::size_t kOtherMemoryMb = 96;
constexpr std::uint32_t kLongTimeoutS = 86'400;

std::size_t mbufs(const VdevPair& pair) {
  return pair.frames + kSpareMbufs;
}

std::size_t mtu(const VdevPair& pair) {
  return std::max(kMtuLeast, pair.frame_bytes_max - wire::kEthernetBytes);
}

/// As large as our ports make theirs: net_pcap wants to have each frame in one piece.
std::size_t mbuf_bytes(const VdevPair& pair) {
  constexpr std::size_t kLine = 64;
  const std::size_t frame =
      wire::kEthernetBytes + limits::kVlanTagsMax * wire::kVlanTagBytes + mtu(pair);
  return std::max(kMbufBytes, (kMbufHeadroom + frame + kLine - 1) / kLine * kLine);
}

std::string vdev(const VdevPair& pair, std::size_t i) {
  return fmt::format("net_pcap{},rx_pcap={},infinite_rx=1", i, pair.captures[i].string());
}

void sleep_seconds(double seconds) {
  std::this_thread::sleep_for(std::chrono::duration<double>(seconds));
}

double seconds_between(std::uint64_t begin_ns, std::uint64_t end_ns) {
  return static_cast<double>(end_ns - begin_ns) * 1e-9;
}

/// The number after `name` in what testpmd says.
double number_after(std::string_view text, std::string_view name) {
  const std::size_t at = text.find(name);
  if (at == std::string_view::npos) {
    return 0;
  }
  text.remove_prefix(at + name.size());
  text.remove_prefix(std::min(text.find_first_not_of(' '), text.size()));
  std::uint64_t value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return static_cast<double>(value);
}

/// What our worker has done since it started.
struct Progress {
  std::uint64_t processor_ns = 0;
  std::uint64_t packets = 0;
  std::uint64_t dropped = 0;
  std::uint64_t flows = 0;
};

config::Config config_for(const VdevPair& pair) {
  const auto [control, worker] = control_and_worker();
  config::Config config;
  config.eal = {.file_prefix = "portcullis-bench",
                .hugepages = pair.hugepages,
                .memory_mb = static_cast<std::uint32_t>(memory_mb(pair)),
                .control_cpu = control,
                .worker_cpus = {worker},
                .mbufs = static_cast<std::uint32_t>(mbufs(pair)),
                .idle = config::Eal::Idle::poll,
                .telemetry = false};
  for (std::size_t i = 0; i < pair.captures.size(); ++i) {
    config.ports.push_back({.name = fmt::format("side{}", i),
                            .vdev = vdev(pair, i),
                            .mtu = static_cast<std::uint16_t>(mtu(pair))});
  }
  config.mode.pairs = {{"side0", "side1"}};
  config.conntrack.flows_max =
      std::max(config.conntrack.flows_max, std::bit_ceil(static_cast<std::uint32_t>(pair.flows)));
  config.conntrack.udp_timeout_s = kLongTimeoutS;
  return config;
}

void tell(int descriptor, const std::string& text) {
  static_cast<void>(write(descriptor, text.data(), text.size()) == 0);
}

/// In the child: starts the dataplane, then answers each byte with a line of progress until "q".
void serve(int descriptor, const World& world, const VdevPair& pair) {
  auto table = classifier::compile(world.rules);
  const std::size_t rule_ids = classifier::kBuiltinRules + world.rules.rules.size();
  auto started = table ? dataplane::Dataplane::start(
                             config_for(pair), {.table = *std::move(table), .rule_ids = rule_ids})
                       : tl::unexpected(table.error());
  if (!started) {
    tell(descriptor, to_string(started.error()));
    return;
  }
  tell(descriptor, "ready\n");
  char asked = 0;
  while (read(descriptor, &asked, 1) == 1 && asked != 'q') {
    const auto status = (*started)->status();
    const dataplane::WorkerStatus& worker = status.workers.front();
    // Here, where no other process comes between the time and the packets.
    tell(descriptor,
         fmt::format("{} {} {} {}\n",
                     thread_times(kForwardingThread, getpid()).ran_ns,
                     worker.packets,
                     worker.dropped,
                     worker.flows));
  }
  started->reset();
  tell(descriptor, "bye\n");
}

class Ours : public Forwarder {
 public:
  explicit Ours(Child child) : child_(std::move(child)) {}
  /// DPDK leaves files behind where it is not let end.
  ~Ours() override {
    child_.resume();
    static_cast<void>(child_.send("q"));
    static_cast<void>(child_.read_until("bye\n", kAnswerSeconds));
  }
  Ours(const Ours&) = delete;
  Ours& operator=(const Ours&) = delete;

  Result<void> establish(std::size_t flows) {
    PORTCULLIS_TRY_VOID(child_.read_until("ready\n", kStartSeconds));
    Progress now;
    for (double waited = 0; now.flows < flows; waited += 0.1) {
      if (waited > kStartSeconds) {
        return fail(fmt::format("of {} flows only {} are known", flows, now.flows));
      }
      sleep_seconds(0.1);
      PORTCULLIS_TRY(now, progress());
    }
    child_.pause();
    return {};
  }

  Result<Passage> run(double seconds) override {
    child_.resume();
    PORTCULLIS_TRY(const Progress before, progress());
    sleep_seconds(seconds);
    PORTCULLIS_TRY(const Progress after, progress());
    child_.pause();
    return Passage{.packets = static_cast<double>(after.packets - before.packets),
                   .processor_seconds = seconds_between(before.processor_ns, after.processor_ns),
                   .dropped = static_cast<double>(after.dropped - before.dropped)};
  }

 private:
  Result<Progress> progress() {
    PORTCULLIS_TRY_VOID(child_.send("?"));
    PORTCULLIS_TRY(const std::string line, child_.read_until("\n", kAnswerSeconds));
    Progress progress;
    const char* at = line.data();
    for (std::uint64_t* value :
         {&progress.processor_ns, &progress.packets, &progress.dropped, &progress.flows}) {
      at = std::from_chars(at, line.data() + line.size(), *value).ptr;
      at += at < line.data() + line.size() ? 1 : 0;
    }
    return progress;
  }

  Child child_;
};

}  // namespace

class Testpmd {
 public:
  explicit Testpmd(Child child) : child_(std::move(child)) {}
  Testpmd(const Testpmd&) = delete;
  Testpmd& operator=(const Testpmd&) = delete;
  ~Testpmd() {
    static_cast<void>(child_.send("quit\n"));
    static_cast<void>(child_.read_until("Bye...", kAnswerSeconds));
  }

  Result<void> wait_for_start() {
    PORTCULLIS_TRY_VOID(child_.read_until("testpmd> ", kStartSeconds));
    return {};
  }

  Result<Passage> run(const std::string& mode, double seconds) {
    PORTCULLIS_TRY_VOID(child_.send(fmt::format("set fwd {}\n", mode)));
    PORTCULLIS_TRY_VOID(child_.read_until("packet forwarding mode", kAnswerSeconds));
    const std::uint64_t begin = thread_times(kForwardingThread, child_.process()).ran_ns;
    PORTCULLIS_TRY_VOID(child_.send("start\n"));
    sleep_seconds(seconds);
    PORTCULLIS_TRY_VOID(child_.send("stop\n"));
    PORTCULLIS_TRY_VOID(child_.read_until("Accumulated forward statistics", kAnswerSeconds));
    PORTCULLIS_TRY(const std::string totals, child_.read_until("Done.", kAnswerSeconds));
    const std::uint64_t end = thread_times(kForwardingThread, child_.process()).ran_ns;
    return Passage{.packets = number_after(totals, "RX-packets:"),
                   .processor_seconds = seconds_between(begin, end),
                   .dropped = number_after(totals, "TX-dropped:")};
  }

 private:
  Child child_;
};

namespace {

class TestpmdMode : public Forwarder {
 public:
  TestpmdMode(std::shared_ptr<Testpmd> testpmd, std::string mode)
      : testpmd_(std::move(testpmd)), mode_(std::move(mode)) {}
  Result<Passage> run(double seconds) override { return testpmd_->run(mode_, seconds); }

 private:
  std::shared_ptr<Testpmd> testpmd_;
  std::string mode_;
};

}  // namespace

Result<std::shared_ptr<Testpmd>> start_testpmd(const std::string& program, const VdevPair& pair) {
  const auto [control, worker] = control_and_worker();
  std::vector<std::string> arguments{program,
                                     fmt::format("--lcores=0@{},1@{}", control, worker),
                                     "--main-lcore=0",
                                     "--no-pci",
                                     "--no-telemetry",
                                     "-m",
                                     fmt::format("{}", memory_mb(pair))};
  if (pair.hugepages) {
    arguments.emplace_back("--in-memory");
  } else {
    arguments.insert(arguments.end(), {"--no-huge", "--file-prefix=portcullis-testpmd"});
  }
  for (std::size_t i = 0; i < pair.captures.size(); ++i) {
    arguments.push_back("--vdev=" + vdev(pair, i));
  }
  // Burst, descriptors, buffers and caches as ours.
  for (const std::string& argument : {std::string("--"),
                                      std::string("--interactive"),
                                      std::string("--no-flush-rx"),
                                      std::string("--no-mlockall"),
                                      std::string("--nb-cores=1"),
                                      fmt::format("--burst={}", limits::kBurstMax),
                                      std::string("--rxd=1024"),
                                      std::string("--txd=1024"),
                                      std::string("--mbcache=256"),
                                      fmt::format("--mbuf-size={}", mbuf_bytes(pair)),
                                      fmt::format("--total-num-mbufs={}", mbufs(pair))}) {
    arguments.push_back(argument);
  }
  PORTCULLIS_TRY(Child child, Child::start(arguments));
  auto testpmd = std::make_shared<Testpmd>(std::move(child));
  PORTCULLIS_TRY_VOID(testpmd->wait_for_start());
  return testpmd;
}

std::unique_ptr<Forwarder> testpmd_forwarder(std::shared_ptr<Testpmd> testpmd, std::string mode) {
  return std::make_unique<TestpmdMode>(std::move(testpmd), std::move(mode));
}

Result<std::unique_ptr<Forwarder>> start_ours(const World& world, const VdevPair& pair) {
  PORTCULLIS_TRY(Child child, Child::fork([&](int descriptor) { serve(descriptor, world, pair); }));
  auto ours = std::make_unique<Ours>(std::move(child));
  PORTCULLIS_TRY_VOID(ours->establish(pair.flows));
  return std::unique_ptr<Forwarder>(std::move(ours));
}

std::size_t memory_mb(const VdevPair& pair) {
  // A buffer lies within a page, or begins one.
  const std::size_t bytes = mbuf_bytes(pair) + kMbufOverhead;
  const std::size_t each =
      pair.hugepages ? bytes : (bytes + kPageBytes - 1) / kPageBytes * kPageBytes;
  return ((mbufs(pair) * each) >> 20U) + kOtherMemoryMb;
}

}  // namespace portcullis::bench
