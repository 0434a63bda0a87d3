// SPDX-License-Identifier: MIT
// The verbs validate and test: manifests in, findings out, no daemon.
#include <cstdio>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "apps/cluster.h"
#include "apps/ctl.h"
#include "base/file.h"
#include "base/limits.h"
#include "classifier/lookup.h"
#include "observe/explain.h"
#include "observe/findings.h"
#include "policy/expect.h"
#include "policy/locate.h"

namespace portcullis::apps {

namespace {

struct ValidateOptions {
  std::vector<std::string> manifests;
  std::string output = "table";
};

int validate(const ValidateOptions& options) {
  const Reading reading =
      read_cluster(options.manifests, {.default_mode = classifier::DefaultMode::kubernetes});
  if (options.output == "json") {
    fmt::print("{}\n", observe::to_json(reading.loaded));
  } else {
    fmt::print("{}", observe::to_text(reading.loaded));
  }
  return reading.loaded.ok() ? kExitPass : kExitTrouble;
}

struct TestOptions {
  ClusterSource source;
  std::string expect;
};

/// The probes of a file with their flows. Everything wrong goes to standard error.
struct Suite {
  std::vector<policy::Probe> probes;
  std::vector<classifier::Flow> flows;  // Parallel to probes.
};

std::optional<Suite> read_suite(const std::string& path, const policy::Snapshot& snapshot) {
  auto text = read_file(path, limits::kManifestBytesMax);
  if (!text) {
    fmt::print(stderr, "portcullis: {}\n", to_string(text.error()));
    return std::nullopt;
  }
  policy::Expectations parsed = policy::parse_expectations({path, *std::move(text)});
  const policy::Locator locator(snapshot);
  Suite suite;
  std::set<std::string> warnings;
  for (policy::Probe& probe : parsed.probes) {
    auto located = locator.locate(policy::flow_text(probe));
    if (!located) {
      parsed.diagnostics.push_back(
          {policy::Diagnostic::Severity::error, probe.where, "", "", located.error().message});
      continue;
    }
    warnings.insert(located->warnings.begin(), located->warnings.end());
    suite.flows.push_back(located->flow);
    suite.probes.push_back(std::move(probe));
  }
  for (const std::string& warning : warnings) {
    fmt::print(stderr, "warning: {}\n", warning);
  }
  if (parsed.diagnostics.empty()) {
    return suite;
  }
  std::stable_sort(parsed.diagnostics.begin(),
                   parsed.diagnostics.end(),
                   [](const auto& a, const auto& b) { return a.where.line < b.where.line; });
  print_diagnostics(parsed.diagnostics);
  return std::nullopt;
}

/// One verdict a flow, in bursts: the road that packets take.
std::vector<classifier::Verdict> judge(const classifier::Table& table,
                                       const std::vector<classifier::Flow>& flows) {
  std::vector<classifier::Key4> keys4;
  std::vector<classifier::Key6> keys6;
  for (const classifier::Flow& flow : flows) {
    if (flow.src.family == Family::v4) {
      keys4.push_back(classifier::key4_of(flow));
    } else {
      keys6.push_back(classifier::key6_of(flow));
    }
  }
  std::vector<classifier::Verdict> verdicts4(keys4.size());
  std::vector<classifier::Verdict> verdicts6(keys6.size());
  classifier::lookup(table, keys4, verdicts4);
  classifier::lookup(table, keys6, verdicts6);
  std::vector<classifier::Verdict> verdicts;
  auto next4 = verdicts4.begin();
  auto next6 = verdicts6.begin();
  for (const classifier::Flow& flow : flows) {
    verdicts.push_back(flow.src.family == Family::v4 ? *next4++ : *next6++);
  }
  return verdicts;
}

int test(const TestOptions& options) {
  const auto cluster = open_cluster(options.source);
  if (!cluster) {
    return kExitTrouble;
  }
  const auto suite = read_suite(options.expect, cluster->snapshot);
  if (!suite) {
    return kExitTrouble;
  }
  const std::vector<classifier::Verdict> verdicts = judge(*cluster->table, suite->flows);
  const observe::Explainer explainer(cluster->enforced());
  std::size_t failed = 0;
  for (std::size_t i = 0; i < verdicts.size(); ++i) {
    const policy::Probe& probe = suite->probes[i];
    if (verdicts[i].allowed() == probe.allow) {
      continue;
    }
    ++failed;
    fmt::print("FAIL {}: {}: expected {}, got {}\n{}",
               to_string(probe.where),
               to_string(probe),
               probe.allow ? "allow" : "deny",
               probe.allow ? "deny" : "allow",
               observe::to_brief_text(explainer.explain(suite->flows[i])));
  }
  fmt::print("{} passed, {} failed\n", verdicts.size() - failed, failed);
  return failed == 0 ? kExitPass : kExitDiffers;
}

constexpr const char* kValidateExamples =
    R"(Prints every error and warning with file, line, column and field, then one line of counts.
What the API server would refuse is an error, and so is what would be dropped in silence.
Exit codes: 0 no error, 2 any error.

Examples:
  portcullis validate --manifests policies/
  portcullis validate --manifests cluster.yaml --manifests policies/ -o json
  kubectl get netpol,pods,ns,nodes -A -o yaml | portcullis validate --manifests -)";

constexpr const char* kTestExamples =
    R"(FILE holds a probe a line, its five fields separated by tabs:
  src   dst   proto   port   expected
src and dst are namespace/pod or an IP address, proto is TCP, UDP, SCTP or ICMP, port is a number
or - (then only rules without ports match), expected is allow or deny; # begins a comment. Or FILE
is a YAML list of the same fields and a name:
  - {name: web reaches its database, src: shop/web-0, dst: shop/db-0, proto: TCP, port: 5432,
     expected: allow}
Every mismatch is printed with its explanation. Nothing is sent: the compiled table answers.
The daemon's own default is deny; say --default deny to test what it would enforce, or
--config FILE to test it with that daemon's static rules too.
Exit codes: 0 all pass, 1 some fail, 2 the input cannot be used.

Examples:
  portcullis test --manifests cluster/ --expect probes.tsv
  portcullis test --manifests cluster/ --manifests new.yaml --expect probes.yaml --default deny
  portcullis test --manifests cluster/ --config portcullisd.toml --expect probes.tsv)";

void add_validate(CLI::App& program, int& exit_code) {
  auto options = std::make_shared<ValidateOptions>();
  CLI::App* verb = program.add_subcommand("validate", "Check manifests; print every error at once");
  verb->add_option("--manifests", options->manifests, "A file, a directory, or - (repeatable)")
      ->required()
      ->type_name("PATH");
  verb->add_option("-o,--output", options->output, "table or json")
      ->check(CLI::IsMember({"table", "json"}))
      ->type_name("FORMAT")
      ->capture_default_str();
  verb->footer(kValidateExamples);
  verb->callback([options, &exit_code] { exit_code = validate(*options); });
}

void add_test(CLI::App& program, int& exit_code) {
  auto options = std::make_shared<TestOptions>();
  CLI::App* verb = program.add_subcommand("test", "Run policy unit tests from a file of probes");
  add_cluster_options(*verb, options->source)->required();
  verb->add_option("--expect", options->expect, "The probes and the verdicts expected")
      ->required()
      ->type_name("FILE");
  verb->footer(kTestExamples);
  verb->callback([options, &exit_code] { exit_code = test(*options); });
}

}  // namespace

void add_offline_verbs(CLI::App& program, int& exit_code) {
  add_validate(program, exit_code);
  add_test(program, exit_code);
}

}  // namespace portcullis::apps
