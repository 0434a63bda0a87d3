// SPDX-License-Identifier: MIT
// The verb explain: why a flow is allowed or denied, from manifests.
#include <cctype>
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "apps/cluster.h"
#include "apps/ctl.h"
#include "observe/explain.h"
#include "policy/expect.h"
#include "policy/locate.h"

namespace portcullis::apps {

namespace {

struct ExplainOptions {
  ClusterSource source;
  std::string from;
  std::string to;
  std::string protocol = "TCP";
  std::string port;
  DaemonOptions daemon;  // Its output serves both ways.
};

std::string upper(std::string text) {
  for (char& letter : text) {
    letter = static_cast<char>(std::toupper(static_cast<unsigned char>(letter)));
  }
  return text;
}

/// Protocol and port of the flow that is asked for, as a probe reads them.
Result<policy::FlowText> question_of(const ExplainOptions& options) {
  const std::string protocol_name = upper(options.protocol);
  PORTCULLIS_TRY(const std::uint8_t protocol, policy::parse_protocol(protocol_name));
  if (options.port.empty() && protocol != classifier::kProtocolIcmp) {
    return fail(
        fmt::format("which port? Say --port NUMBER, or --port - for a {} flow that only "
                    "rules without ports can match",
                    protocol_name));
  }
  PORTCULLIS_TRY(const auto port,
                 policy::parse_port(options.port.empty() ? "-" : options.port, protocol));
  return policy::FlowText{options.from, options.to, protocol, port.value_or(0)};
}

int trouble(const Error& error) {
  fmt::print(stderr, "portcullis: {}\n", to_string(error));
  return kExitTrouble;
}

int explain(const ExplainOptions& options) {
  const auto question = question_of(options);
  if (!question) {
    return trouble(question.error());
  }
  if (options.source.manifests.empty()) {
    return tell(control::ask_explain(target_of(options.daemon),
                                     {.from = options.from,
                                      .to = options.to,
                                      .protocol = upper(options.protocol),
                                      .port = options.port}));
  }
  const auto cluster = open_cluster(options.source);
  if (!cluster) {
    return kExitTrouble;
  }
  const auto located = policy::Locator(cluster->snapshot).locate(*question);
  if (!located) {
    return trouble(located.error());
  }
  for (const std::string& warning : located->warnings) {
    fmt::print(stderr, "warning: {}\n", warning);
  }
  const observe::Explainer explainer(cluster->enforced());
  const observe::Explanation explanation = explainer.explain(located->flow);
  if (options.daemon.output == "json") {
    fmt::print("{}\n", to_json(explanation));
  } else {
    fmt::print("{}", to_text(explanation));
  }
  return explanation.allowed ? kExitPass : kExitDiffers;
}

constexpr const char* kExamples =
    R"(Both ends are judged, the source's egress and the destination's ingress; both must allow it.
A denial names who isolates the pod and the rules that came nearest to allowing it.
With --manifests no daemon is needed, and what no policy decides is allowed; say --default deny to
ask what a daemon in its own default mode would enforce, or --config FILE to ask it with that
daemon's static rules too.
Exit codes: 0 allowed, 1 denied, 2 trouble.

Examples:
  portcullis explain --manifests cluster/ --from shop/web-0 --to shop/db-0 --port 5432
  portcullis explain --from shop/web-0 --to shop/db-0 --port 5432
  portcullis explain --manifests cluster/ --from 203.0.113.7 --to shop/web-0 --port 443 -o json
  portcullis explain --manifests cluster/ --from shop/web-0 --to ops/dns --protocol UDP --port 53
  portcullis explain --manifests cluster/ --from shop/web-0 --to shop/db-0 --protocol ICMP)";

}  // namespace

void add_explain_verb(CLI::App& program, int& exit_code) {
  auto options = std::make_shared<ExplainOptions>();
  CLI::App* verb = program.add_subcommand("explain", "Say why a flow is allowed or denied");
  CLI::Option* manifests = add_cluster_options(*verb, options->source);
  manifests->description("A file, a directory, or - (repeatable); without it, the daemon is asked");
  verb->get_option("--default")->needs(manifests);
  verb->get_option("--config")->needs(manifests);
  verb->add_option("--from", options->from, "The source: namespace/pod or an IP address")
      ->required()
      ->type_name("SRC");
  verb->add_option("--to", options->to, "The destination: namespace/pod or an IP address")
      ->required()
      ->type_name("DST");
  verb->add_option("--protocol", options->protocol, "TCP, UDP, SCTP or ICMP")
      ->type_name("PROTOCOL")
      ->capture_default_str();
  verb->add_option("--port", options->port, "The destination port; not for ICMP")
      ->type_name("PORT");
  add_daemon_options(*verb, options->daemon);
  verb->footer(kExamples);
  verb->callback([options, &exit_code] { exit_code = explain(*options); });
}

}  // namespace portcullis::apps
