// SPDX-License-Identifier: MIT
// Swaps of the whole table while packets are judged as fast as they can be: none may be lost, none
// judged by parts of two tables.
#include <cstdio>
#include <string>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "base/log.h"
#include "bench/measure.h"
#include "bench/report.h"
#include "bench/swap/run.h"
#include "bench/throughput/cycles.h"
#include "classifier/lookup.h"

namespace portcullis::bench {
namespace {

constexpr const char* kAbout =
    "What swaps of the whole table do to packets under full load, and how long they take.\n\n"
    "One worker on the last core is kept busy by a generator and sink on the first, through "
    "rings.\n"
    "Two editions of policies take turns beside 10,000 rules; parts of both together would let\n"
    "pass what either denies, and deny what either allows. Every packet is accounted for.\n\n"
    "Run it on an idle machine with two processors or more. bench/README.md says how to read the\n"
    "numbers.";

Result<void> run(const SwapOptions& options) {
  const std::string where = fmt::format("{}; time stamp counter {:.0f} MHz; kernel {}",
                                        machine(),
                                        cycles_hz() * 1e-6,
                                        to_string(classifier::current_isa()));
  Report report(where, options.quick ? "quick" : "full", options.seed);
  if (options.json) {
    PORTCULLIS_TRY_VOID(report.write_json(*options.json));  // Better now than when all is done.
  }
  PORTCULLIS_TRY_VOID(run_swaps(options, report));
  report.print_figures();
  return options.json ? report.write_json(*options.json) : Result<void>{};
}

}  // namespace
}  // namespace portcullis::bench

int main(int argc, char** argv) {
  using namespace portcullis;
  static_cast<void>(log::start("error"));
  CLI::App app(bench::kAbout, "bench_swap");
  bench::SwapOptions options;
  app.add_flag("--quick", options.quick, "205 swaps, and under 45 seconds; without it 1,010 swaps");
  app.add_option("--seed", options.seed, "Another world, other traffic and moments");
  app.add_option("--json", options.json, "Also write everything there");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  const auto ran = bench::run(options);
  if (!ran) {
    fmt::print(stderr, "bench_swap: {}\n", to_string(ran.error()));
    return 2;
  }
  return 0;
}
