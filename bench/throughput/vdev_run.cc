// SPDX-License-Identifier: MIT
#include "bench/throughput/vdev_run.h"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <filesystem>
#include <numeric>
#include <random>
#include <system_error>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "bench/measure.h"
#include "bench/throughput/cycles.h"
#include "bench/throughput/forwarders.h"
#include "bench/throughput/traffic.h"
#include "classifier/compile.h"
#include "dataplane/pcap.h"

namespace portcullis::bench {
namespace {

struct Plan {
  const char* name = "";
  std::size_t flows = 0;
  std::size_t frame_bytes = 64;  // 0: the Internet mix.
  const char* figure = "";
  double target = 0;  // Least share of testpmd's mac forwarding; none if zero.
  bool quick = true;
};
constexpr std::array<Plan, 7> kPlans{{
    {"10k flows, 64 B", 10'000, 64, "pipeline_10k_flows", 0, false},
    {"10k flows, 512 B", 10'000, 512, "pipeline_10k_512b", 0, false},
    {"10k flows, 1518 B", 10'000, 1518, "pipeline_10k_1518b", 0, false},
    {"10k flows, 9000 B", 10'000, 9000, "pipeline_10k_9000b", 0, false},
    {"100k flows, 64 B", 100'000, 64, "pipeline_100k_flows", 0.60},
    {"100k flows, IMIX", 100'000, 0, "pipeline_100k_imix", 0, false},
    {"1M flows, 64 B", 1'000'000, 64, "pipeline_1m_flows", 0.45},
}};
/// More frames than of these flows take too long to load into small pages.
constexpr std::size_t kQuickFlowsMax = 100'000;
constexpr std::size_t kImixBytesMax = 1518;
/// Left for everyone else.
constexpr std::size_t kReserveMb = 2048;

/// A folder that ends with its owner.
class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string name =
        (std::filesystem::temp_directory_path() / "portcullis-bench-XXXXXX").string();
    path_ = mkdtemp(name.data()) == nullptr ? "" : name;
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  ~TemporaryFolder() {
    std::error_code error;
    std::filesystem::remove_all(path_, error);
  }
  [[nodiscard]] const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

/// Both directions of all flows in random order, half of them in each capture.
Result<void> write_captures(const Traffic& traffic, const Plan& plan, const VdevPair& pair) {
  std::vector<std::uint32_t> order(pair.frames);
  std::iota(order.begin(), order.end(), 0U);
  std::shuffle(order.begin(), order.end(), std::mt19937_64(plan.flows));
  std::vector<std::uint8_t> bytes(Traffic::kFrameBytesMax);
  for (std::size_t i = 0; i < pair.captures.size(); ++i) {
    PORTCULLIS_TRY(auto writer, dataplane::PcapWriter::create(pair.captures[i].string(), false));
    const std::size_t half = order.size() / 2;
    for (const std::uint32_t number : std::span(order).subspan(i * half, half)) {
      const std::size_t flow = number / 2;
      const auto step = number % 2 == 0 ? Traffic::Step::data : Traffic::Step::data_reply;
      const std::size_t length = traffic.write(
          flow, step, plan.frame_bytes > 0 ? plan.frame_bytes : imix_bytes(flow), bytes);
      writer.write({.wire_length = static_cast<std::uint32_t>(length),
                    .bytes = std::span(bytes).first(length)});
    }
    PORTCULLIS_TRY_VOID(writer.finish());
  }
  return {};
}

/// Packets a processor-second of everyone, medians; they take turns.
struct Rates {
  double io = 0;
  double mac = 0;
  double ours = 0;
  double dropped = 0;  // By ours, in all.
};

Result<Rates> take_turns(const std::array<std::unique_ptr<Forwarder>, 3>& forwarders,
                         double seconds) {
  std::array<std::vector<double>, 3> rates;
  double dropped = 0;
  for (int i = 0; i < ThroughputOptions::kRepetitions; ++i) {
    for (std::size_t who = 0; who < forwarders.size(); ++who) {
      PORTCULLIS_TRY(const Passage passage, forwarders[who]->run(seconds));
      if (passage.packets == 0 || passage.processor_seconds <= 0) {
        return fail(fmt::format("{} packets went through number {} in {} s",
                                passage.packets,
                                who,
                                passage.processor_seconds));
      }
      rates[who].push_back(passage.packets / passage.processor_seconds);
      dropped += who == 2 ? passage.dropped : 0;
    }
  }
  return Rates{.io = median(rates[0]),
               .mac = median(rates[1]),
               .ours = median(rates[2]),
               .dropped = dropped};
}

Grid grid_of(const Plan& plan, const Rates& rates) {
  Grid grid{.name = plan.name, .columns = {"Mpps", "cycles", "of mac"}};
  for (const auto& [name, rate] : {std::pair("testpmd io", rates.io),
                                   std::pair("testpmd mac", rates.mac),
                                   std::pair("portcullis", rates.ours)}) {
    grid.rows.push_back({name, {rate * 1e-6, cycles_hz() / rate, rate / rates.mac}});
  }
  return grid;
}

/// Small pages slow the devices down far more than us, so that the share without huge ones is
/// another figure, and no target's.
void add_figures(const Plan& plan, const Rates& rates, bool hugepages, Report& report) {
  const double share = rates.ours / rates.mac;
  const std::string name = fmt::format("{}{}", plan.figure, hugepages ? "" : "_small_pages");
  if (plan.target > 0 && hugepages) {
    report.at_least(name, share, "ratio", plan.target);
  } else {
    report.measured(name, share, "ratio");
  }
  // What filtering adds to a bare forwarder; the devices' own cost is in both.
  report.measured(
      name + "_added_cycles", cycles_hz() / rates.ours - cycles_hz() / rates.io, "cycles");
}

VdevPair in_hugepages(VdevPair pair) {
  pair.hugepages = true;
  return pair;
}

Result<void> measure(const Plan& plan,
                     const ThroughputOptions& options,
                     const World& world,
                     Report& report) {
  const TemporaryFolder folder;
  VdevPair pair{.captures = {folder.path() / "a.pcap", folder.path() / "b.pcap"},
                .frames = plan.flows * 2,
                .flows = plan.flows,
                .frame_bytes_max = std::max(plan.frame_bytes, kImixBytesMax),
                .hugepages = true};
  // Two processes hold the frames at the same time.
  pair.hugepages = free_hugepage_bytes() >> 20U >= 2 * memory_mb(pair);
  if (options.quick && !pair.hugepages && plan.flows > kQuickFlowsMax) {
    report.note(fmt::format("{}: a quick run leaves it out without {} MiB of huge pages",
                            plan.name,
                            2 * memory_mb(in_hugepages(pair))));
    return {};
  }
  if (!pair.hugepages && available_bytes() >> 20U < 2 * memory_mb(pair) + kReserveMb) {
    report.note(fmt::format("{}: left out, it needs {} MiB of memory, or {} in huge pages",
                            plan.name,
                            2 * memory_mb(pair) + kReserveMb,
                            2 * memory_mb(in_hugepages(pair))));
    return {};
  }
  PORTCULLIS_TRY(const auto table, classifier::compile(world.rules));
  const Traffic traffic(world, *table, Traffic::Kind::udp4);
  PORTCULLIS_TRY_VOID(write_captures(traffic, plan, pair));
  const auto testpmd = start_testpmd(options.testpmd, pair);
  if (!testpmd) {
    report.note(fmt::format("{}: left out, testpmd {}", plan.name, to_string(testpmd.error())));
    return {};
  }
  PORTCULLIS_TRY(auto ours, start_ours(world, pair));
  const std::array<std::unique_ptr<Forwarder>, 3> forwarders{
      testpmd_forwarder(*testpmd, "io"), testpmd_forwarder(*testpmd, "mac"), std::move(ours)};
  PORTCULLIS_TRY(const Rates rates, take_turns(forwarders, options.seconds()));
  if (rates.dropped > 0) {
    report.note(fmt::format("{}: ours dropped {} packets", plan.name, rates.dropped));
  }
  if (!pair.hugepages) {
    report.note(fmt::format("{}: without huge pages", plan.name));
  }
  report.add(grid_of(plan, rates));
  add_figures(plan, rates, pair.hugepages, report);
  return {};
}

}  // namespace

Result<void> run_vdevs(const ThroughputOptions& options, const World& world, Report& report) {
  report.note(
      "net_pcap copies each frame out of memory on the forwarding core: that is in every figure "
      "below, and testpmd io is hardly more than it");
  for (const Plan& plan : kPlans) {
    if (plan.quick || !options.quick) {
      PORTCULLIS_TRY_VOID(measure(plan, options, world, report));
    }
  }
  return {};
}

}  // namespace portcullis::bench
