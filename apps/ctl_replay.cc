// SPDX-License-Identifier: MIT
// The verb replay: a capture in, what would be forwarded out, and a table of verdicts.
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "apps/cluster.h"
#include "apps/ctl.h"
#include "dataplane/replay.h"
#include "observe/replay_report.h"

namespace portcullis::apps {

namespace {

struct ReplayVerb {
  ClusterSource source;
  dataplane::ReplayOptions files;
  std::string output = "table";
};

int replay(const ReplayVerb& options) {
  auto cluster = open_cluster(options.source);
  if (!cluster) {
    return kExitTrouble;
  }
  const dataplane::Generation generation{.epoch = 1,
                                         .table = std::move(cluster->table),
                                         .rule_ids = classifier::kBuiltinRules +
                                                     cluster->lowered.rules.rules.size() +
                                                     cluster->lowered.rules.static_rules.size()};
  dataplane::ReplayOptions files = options.files;
  files.tunnels = cluster->tunnels;
  files.non_ip = cluster->non_ip;
  const auto result = dataplane::replay(generation, files);
  if (!result) {
    fmt::print(stderr, "portcullis: {}\n", to_string(result.error()));
    return kExitTrouble;
  }
  const policy::Lowered& lowered = cluster->lowered;
  const observe::ReplayReport report = observe::report(
      *result, {*generation.table, lowered.rules, lowered.provenance, lowered.endpoints});
  if (options.output == "json") {
    fmt::print("{}\n", observe::to_json(report));
  } else {
    fmt::print("{}", observe::to_text(report));
  }
  return kExitPass;
}

constexpr const char* kExamples =
    R"(The capture runs through the very pipeline of the daemon, with its own times as the clock.
OUT gets what is forwarded, with ARP and neighbour discovery, as a wire would pass it; DROPPED
the rest.
Replies and ICMP errors count for the flow they belong to. Reads pcap and pcapng of Ethernet.
The daemon's own default is deny; say --default deny to see what it would do, or --config FILE
to see it with that daemon's static rules and tunnels too.
Exit codes: 0 replayed, 2 the input cannot be used.

Examples:
  portcullis replay --manifests cluster/ --in seen.pcap --out passed.pcap
  portcullis replay --manifests cluster/ --in seen.pcap --out passed.pcap --dropped lost.pcap)";

}  // namespace

void add_replay_verb(CLI::App& program, int& exit_code) {
  auto options = std::make_shared<ReplayVerb>();
  CLI::App* verb = program.add_subcommand("replay", "Run a capture through the policies, offline");
  add_cluster_options(*verb, options->source)->required();
  verb->add_option("--in", options->files.in, "The capture to read, or -")
      ->required()
      ->type_name("PCAP");
  verb->add_option("--out", options->files.out, "Takes the frames forwarded")
      ->required()
      ->type_name("PCAP");
  verb->add_option("--dropped", options->files.dropped, "Takes the frames dropped")
      ->type_name("PCAP");
  verb->add_option("-o,--output", options->output, "table or json")
      ->check(CLI::IsMember({"table", "json"}))
      ->type_name("FORMAT")
      ->capture_default_str();
  verb->footer(kExamples);
  verb->callback([options, &exit_code] { exit_code = replay(*options); });
}

}  // namespace portcullis::apps
