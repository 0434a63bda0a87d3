// SPDX-License-Identifier: MIT
// portcullis-bench: the benchmarks of the packet path, one verb each.
#include <cstdio>
#include <string>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "base/log.h"
#include "bench/measure.h"
#include "bench/report.h"
#include "bench/throughput/cycles.h"
#include "bench/throughput/options.h"
#include "bench/throughput/paced_run.h"
#include "bench/throughput/pipeline_run.h"
#include "bench/throughput/traffic.h"
#include "bench/throughput/vdev_run.h"
#include "classifier/lookup.h"

namespace portcullis::bench {
namespace {

constexpr const char* kThroughput =
    "What the packet path forwards, and what a packet costs and waits for, under 10,000 rules.\n\n"
    "Beside testpmd (--vdevs): our worker and dpdk-testpmd (forwarding io, and mac), in turns, on\n"
    "the same core, over the same pair of net_pcap devices that hand out the same frames for "
    "ever:\n"
    "64 B, IMIX, 512, 1518 and 9000 B.\n"
    "At a given load (--paced): a generator and sink on the first core and our worker, then a "
    "bare\n"
    "loop that writes MAC addresses, on the last, joined by rings as deep as a NIC's queues. A\n"
    "search finds the greatest load without loss (NDR) and with 0.5 % (PDR); then the percentiles\n"
    "of latency at 10 to 125 % of the NDR.\n"
    "In memory (--pipeline): cycles a packet of parse, flow table, lookup of new flows and\n"
    "counters, among 1 to 10 million established flows; new flows; a SYN flood; malformed "
    "packets,\n"
    "fragments and scans, under which no good packet may be lost.\n\n"
    "Run it on an idle machine with two processors or more: a neighbour on the worker's core\n"
    "fills a queue in 0.1 ms, and the NDR is then the neighbour's. Where that is seen (column\n"
    "disturbed), a trial is made again. bench/README.md says how to read the numbers. Where\n"
    "enough huge pages are free and mounted (4,800 of 2 MB for a million flows), DPDK uses them;\n"
    "else it does without, and the output says so.\n\n"
    "  portcullis-bench throughput --quick\n"
    "  portcullis-bench throughput --paced --json run.json\n"
    "  scripts/bench-report --throughput --json run.json --out report";

Result<void> throughput(const ThroughputOptions& options) {
  const std::string where = fmt::format("{}; time stamp counter {:.0f} MHz; kernel {}",
                                        machine(),
                                        cycles_hz() * 1e-6,
                                        to_string(classifier::current_isa()));
  Report report(where, options.quick ? "quick" : "full", options.seed);
  if (options.json) {
    PORTCULLIS_TRY_VOID(report.write_json(*options.json));  // Better now than when all is done.
  }
  const World world = make_rules_world(options.seed);
  report.note(
      fmt::format("{} pods, {} rules, both families", world.shape.pods, world.rules.rules.size()));
  if (options.vdevs) {
    PORTCULLIS_TRY_VOID(run_vdevs(options, world, report));
  }
  if (options.paced) {
    PORTCULLIS_TRY_VOID(run_paced(options, world, report));
  }
  if (options.pipeline) {
    // Not earlier: DPDK wants to choose among all processors.
    report.note(fmt::format("the pipeline alone, on core {}", pin_to_core()));
    PORTCULLIS_TRY_VOID(run_pipeline(options, world, report));
  }
  report.print_figures();
  return options.json ? report.write_json(*options.json) : Result<void>{};
}

int run(int argc, char** argv) {
  CLI::App app("Benchmarks of Portcullis's packet path.", "portcullis-bench");
  app.require_subcommand(1);
  ThroughputOptions options;
  CLI::App* const verb = app.add_subcommand("throughput", kThroughput);
  verb->add_flag("--quick", options.quick, "Under 45 seconds; the output says what it leaves out");
  bool pipeline = false;
  bool vdevs = false;
  bool paced = false;
  verb->add_flag("--vdevs", vdevs, "Beside testpmd; where any of these three is given, only those");
  verb->add_flag("--paced", paced, "NDR, PDR and latency, through rings");
  verb->add_flag("--pipeline", pipeline, "The pipeline alone, in memory");
  verb->add_option("--seed", options.seed, "Other worlds and traffic of the same shape");
  verb->add_option("--json", options.json, "Also write everything there");
  verb->add_option("--testpmd", options.testpmd, "The program to compare with")
      ->capture_default_str();
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  if (vdevs || paced || pipeline) {
    options.vdevs = vdevs;
    options.paced = paced;
    options.pipeline = pipeline;
  }
  const auto ran = throughput(options);
  if (!ran) {
    fmt::print(stderr, "portcullis-bench: {}\n", to_string(ran.error()));
    return 2;
  }
  return 0;
}

}  // namespace
}  // namespace portcullis::bench

int main(int argc, char** argv) {
  static_cast<void>(portcullis::log::start("error"));
  return portcullis::bench::run(argc, argv);
}
