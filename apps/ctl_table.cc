// SPDX-License-Identifier: MIT
// The verb table: what manifests compile to.
#include <memory>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "apps/cluster.h"
#include "apps/ctl.h"
#include "observe/table_report.h"

namespace portcullis::apps {
namespace {

struct DumpOptions {
  ClusterSource source;
  std::string output = "table";
};

int dump(const DumpOptions& options) {
  const auto cluster = open_cluster(options.source);
  if (!cluster) {
    return kExitTrouble;
  }
  const observe::TableReport report = observe::report_of(*cluster->table);
  if (options.output == "json") {
    fmt::print("{}\n", observe::to_json(report));
  } else {
    fmt::print("{}", observe::to_text(report));
  }
  return kExitPass;
}

constexpr const char* kDumpExamples =
    R"(Compiles the manifests and prints why the table is as large as it is: bytes and records by
part, address classes, rows and how they share tiles, permits. docs/table_format.md explains the
parts. The digest names the table: `portcullis status` shows the same one where the same manifests,
static rules, default mode and pod CIDRs run; --config FILE takes those of a daemon.
Exit codes: 0 done, 2 the input cannot be used.

Examples:
  portcullis table dump --manifests cluster/
  portcullis table dump --manifests cluster/ --default deny -o json)";

}  // namespace

void add_table_verb(CLI::App& program, int& exit_code) {
  CLI::App* verb = program.add_subcommand("table", "Look at a compiled table");
  verb->require_subcommand(1);
  auto options = std::make_shared<DumpOptions>();
  CLI::App* dump_verb = verb->add_subcommand("dump", "Print the sizes of its parts");
  add_cluster_options(*dump_verb, options->source)->required();
  dump_verb->add_option("-o,--output", options->output, "table or json")
      ->check(CLI::IsMember({"table", "json"}))
      ->type_name("FORMAT")
      ->capture_default_str();
  dump_verb->footer(kDumpExamples);
  dump_verb->callback([options, &exit_code] { exit_code = dump(*options); });
}

}  // namespace portcullis::apps
