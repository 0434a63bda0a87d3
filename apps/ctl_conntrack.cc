// SPDX-License-Identifier: MIT
// The verb conntrack: the flows that the running daemon knows.
#include <memory>
#include <string>

#include "apps/ctl.h"
#include "control/ask.h"

namespace portcullis::apps {
namespace {

struct FlowOptions {
  DaemonOptions daemon;
  control::FlowWords words;
  std::uint32_t limit = 1000;
  bool all = false;
  std::string by = "source";
};

/// An empty end is a script's unset variable, not a wish for all flows.
std::string refuse_empty(const std::string& word) {
  return word.empty() ? "is empty; write an address, a block or namespace/pod" : "";
}

void add_filter_options(CLI::App& verb, control::FlowWords& words) {
  verb.add_option("--from", words.from, "Who began the flow: an address, a block, namespace/pod")
      ->check(refuse_empty)
      ->type_name("END");
  verb.add_option("--to", words.to, "The other end")->check(refuse_empty)->type_name("END");
  verb.add_option("--address", words.address, "Either end")->check(refuse_empty)->type_name("END");
  verb.add_option("--protocol", words.protocol, "TCP, UDP, SCTP or ICMP")
      ->transform(CLI::IsMember({"TCP", "UDP", "SCTP", "ICMP"}, CLI::ignore_case))
      ->type_name("PROTOCOL");
  verb.add_option("--port", words.port, "A port of either end; not for ICMP")
      ->check(CLI::Range(1, 65'535))
      ->type_name("PORT");
  verb.add_option("--state", words.state, "opening, accepted, established or closing")
      ->transform(
          CLI::IsMember({"opening", "accepted", "established", "closing"}, CLI::ignore_case))
      ->type_name("STATE");
}

constexpr const char* kListExamples =
    R"(All filters that are given must fit; a pod is meant by all of its addresses. The columns
EGRESS BY and INGRESS BY name the rules that allowed the flow's source to send and its destination
to take; "-" where the flow was judged under an earlier table and no packet has come since.
TIMEOUT is how long the flow may still be silent. An ICMP query has an identifier for ports.
Exit codes: 0 listed, if only that there is none; 2 trouble.

Examples:
  portcullis conntrack list
  portcullis conntrack list --from shop/web-0 --to shop/db-0 --port 5432
  portcullis conntrack list --address 203.0.113.0/24 --protocol TCP --state opening
  portcullis conntrack list --to fd00:20::/64 --limit 10000 -o json)";

constexpr const char* kTopExamples =
    R"(Takes the filters of `portcullis conntrack list`, and counts the flows of now that fit all of
them: --state opening shows who opens connections that nobody has answered, as a flood or a scan
does. By `port`, flows count together that have the source and the port it calls in common; by
`namespace`, those whose sources are pods of one. Counts are exact up to some thousand groups a
worker; beyond that "LEAST to MOST" says what is known.
Exit codes: 0 printed, if only that there is none; 2 trouble.

Examples:
  portcullis conntrack top
  portcullis conntrack top --by namespace
  portcullis conntrack top --by port --state opening --protocol TCP -n 20
  portcullis conntrack top --by destination --from shop/web-0 -o json)";

constexpr const char* kStatsExamples =
    R"(CREATED, EXPIRED (silent for too long), EVICTED (made room for others) and REVALIDATED
(judged again under a new table) count since the daemon's start; FLOWS and the second table are of
now.
Exit codes: 0 printed, 2 trouble.

Examples:
  portcullis conntrack stats
  portcullis conntrack stats -o json)";

constexpr const char* kFlushExamples =
    R"(Takes the filters of `portcullis conntrack list`; without any, --all must say that every
flow is meant. An ended flow is not known any more: its next packet is judged like any other, so
that a connection in mid-stream is dropped (unless conntrack.tcp_loose picks it up) and its client
has to connect again, while datagrams go on if the policies allow them.
Exit codes: 0 done, whether any flow matched or none; 2 trouble.

Examples:
  portcullis conntrack flush --from shop/web-0 --to shop/db-0
  portcullis conntrack flush --address 203.0.113.7
  portcullis conntrack flush --all)";

void add_list(CLI::App& conntrack, int& exit_code) {
  auto options = std::make_shared<FlowOptions>();
  CLI::App* verb = conntrack.add_subcommand("list", "Print flows and the rules that allowed them");
  add_filter_options(*verb, options->words);
  verb->add_option("--limit", options->limit, "Flows to print at most")
      ->check(CLI::Range(1, 10'000))
      ->type_name("N")
      ->capture_default_str();
  add_daemon_options(*verb, options->daemon);
  verb->footer(kListExamples);
  verb->callback([options, &exit_code] {
    exit_code =
        tell(control::ask_flow_list(target_of(options->daemon), options->words, options->limit));
  });
}

void add_top(CLI::App& conntrack, int& exit_code) {
  auto options = std::make_shared<FlowOptions>();
  options->limit = 10;
  CLI::App* verb = conntrack.add_subcommand("top", "Print who has most flows");
  verb->add_option("--by", options->by, "source, destination, pair, port or namespace")
      ->transform(
          CLI::IsMember({"source", "destination", "pair", "port", "namespace"}, CLI::ignore_case))
      ->type_name("WHAT")
      ->capture_default_str();
  add_filter_options(*verb, options->words);
  verb->add_option("-n,--limit", options->limit, "Lines to print at most")
      ->check(CLI::Range(1, 1000))
      ->type_name("N")
      ->capture_default_str();
  add_daemon_options(*verb, options->daemon);
  verb->footer(kTopExamples);
  verb->callback([options, &exit_code] {
    exit_code = tell(control::ask_flow_top(
        target_of(options->daemon), options->words, options->by, options->limit));
  });
}

void add_stats(CLI::App& conntrack, int& exit_code) {
  auto options = std::make_shared<DaemonOptions>();
  CLI::App* verb = conntrack.add_subcommand("stats", "Print how many flows there are and were");
  add_daemon_options(*verb, *options);
  verb->footer(kStatsExamples);
  verb->callback(
      [options, &exit_code] { exit_code = tell(control::ask_flow_stats(target_of(*options))); });
}

void add_flush(CLI::App& conntrack, int& exit_code) {
  auto options = std::make_shared<FlowOptions>();
  CLI::App* verb = conntrack.add_subcommand("flush", "End flows, and say how many");
  add_filter_options(*verb, options->words);
  verb->add_flag("--all", options->all, "Every flow; needed where no filter is given");
  add_daemon_options(*verb, options->daemon);
  verb->footer(kFlushExamples);
  verb->callback([options, &exit_code] {
    exit_code =
        tell(control::ask_flow_flush(target_of(options->daemon), options->words, options->all));
  });
}

}  // namespace

void add_conntrack_verb(CLI::App& program, int& exit_code) {
  CLI::App* verb = program.add_subcommand(
      "conntrack", "The flows that the daemon knows: list, top, stats, flush");
  verb->require_subcommand(1);
  add_list(*verb, exit_code);
  add_top(*verb, exit_code);
  add_stats(*verb, exit_code);
  add_flush(*verb, exit_code);
}

}  // namespace portcullis::apps
