// SPDX-License-Identifier: MIT
// Lookups a second, build times and bytes: our table and its rivals side by side, over
// policy-shaped worlds and plain filter sets. options.cc has the usage.
#include <cstdio>
#include <span>

#include <fmt/format.h>

#include "bench/classbench/run.h"
#include "bench/measure.h"
#include "bench/options.h"
#include "bench/policy_run.h"
#include "bench/report.h"
#include "classifier/lookup.h"

namespace portcullis::bench {
namespace {

Result<void> run(const Options& options) {
  const std::string where = fmt::format("{}; pinned to core {}; kernel {}",
                                        machine(),
                                        pin_to_core(),
                                        to_string(classifier::current_isa()));
  Report report(where, options.quick ? "quick" : "full", options.seed);
  if (options.json) {
    PORTCULLIS_TRY_VOID(report.write_json(*options.json));  // Better now than when all is done.
  }
  if (options.policies) {
    PORTCULLIS_TRY_VOID(run_policies(options, report));
  }
  if (options.classbench) {
    PORTCULLIS_TRY_VOID(run_classbench(options, report));
  }
  report.print_figures();
  return options.json ? report.write_json(*options.json) : Result<void>{};
}

}  // namespace
}  // namespace portcullis::bench

int main(int argc, char** argv) {
  using namespace portcullis;
  const auto options = bench::read_options(std::span(argv, static_cast<std::size_t>(argc)));
  if (!options) {
    fmt::print(stderr, "{}\n{}", to_string(options.error()), bench::kUsage);
    return 2;
  }
  const auto ran = bench::run(*options);
  if (!ran) {
    fmt::print(stderr, "{}\n", to_string(ran.error()));
    return 2;
  }
  return 0;
}
