// SPDX-License-Identifier: MIT
#include "control/words/changes.h"

#include <fmt/format.h>

#include "control/words/flows.h"

namespace portcullis::control {
namespace {

using nlohmann::json;

/// Of a revision, or of one that would be.
std::string table_line(const json& revision) {
  const json& sizes = part(revision, "table");
  return fmt::format("table {}: {}, {} classes, compiled in {:.1f} ms\n",
                     short_digest(revision, "table_digest"),
                     bytes_text(number(sizes, "bytes")),
                     text(sizes, "classes"),
                     number(revision, "duration_ms"));
}

/// How to keep what is on trial; empty where nothing is.
std::string trial_line(const json& result) {
  const json& trial = part(result, "trial");
  return trial.is_object() ? fmt::format(
                                 "on trial: revision {} comes back in {}, unless "
                                 "`portcullis confirm` keeps this one\n",
                                 text(trial, "base"),
                                 span_of(trial, "left_s"))
                           : "";
}

std::string trial_text(const json& trial) {
  if (!trial.is_object()) {
    return "nothing";
  }
  return fmt::format("revision {} by {}; {} comes back in {}, unless it is confirmed",
                     text(trial, "revision"),
                     text(trial, "who"),
                     text(trial, "base"),
                     span_of(trial, "left_s"));
}

/// "denied_per_second < 2x: 3.1 now, 2.0 before, trips at 4.0".
std::string guard_text(const json& figure) {
  const std::string where = text(figure, "namespace");
  const bool settled = !text(figure, "per_second").empty();
  return fmt::format(
      "{}: {}{}, {:.1f} before, trips at {:.1f}",
      text(figure, "guard"),
      settled ? fmt::format("{:.1f} now", number(figure, "per_second")) : "not measured yet",
      where.empty() ? "" : fmt::format(" in {}", where),
      number(figure, "before"),
      number(figure, "limit"));
}

std::string drain_text(const json& drain) {
  const std::string flows = text(drain, "flows");
  return fmt::format("{} flows that revision {} denies go on for {}",
                     flows.empty() ? "the" : flows,
                     text(drain, "revision"),
                     span_of(drain, "left_s"));
}

/// "TCP 80"; the protocol alone where there is no port.
std::string port_text(const json& pair) {
  const std::string port = text(pair, "port");
  return text(pair, "protocol") + (port.empty() ? "" : " " + port);
}

/// "Deployment shop/web"; a node says so itself, and an address is one.
std::string end_text(const json& pair, const char* name, const char* kind_name) {
  const std::string kind = text(pair, kind_name);
  const bool plain = kind == "Node" || kind == "Address";
  return plain ? text(pair, name) : kind + " " + text(pair, name);
}

/// Who is denied what, most flows first; empty where nobody is.
std::string pairs_table(const json& flows) {
  const json& pairs = part(flows, "pairs");
  if (pairs.empty()) {
    return "";
  }
  std::vector<Row> rows{{"FLOWS", "SOURCE", "DESTINATION", "PORT", "DENIED BY"}};
  for (const json& pair : pairs) {
    const std::string all = text(pair, "flows");
    const std::string least = text(pair, "at_least");
    const json& rule = part(pair, "denied_by");
    rows.push_back({all == least ? all : fmt::format("{} to {}", least, all),
                    end_text(pair, "source", "source_kind"),
                    end_text(pair, "destination", "destination_kind"),
                    port_text(pair),
                    rule.is_object() ? rule_name(rule) : "-"});
  }
  return table(rows) + rest_line(flows, "pairs");
}

/// What became of the flows that a commit denied.
std::string fate_line(const json& flows) {
  const std::string fate = text(flows, "established");
  const std::string denied = text(flows, "denied");
  if (fate == "keep" || fate == "drain") {
    return fmt::format("flows: it denied {} of those tracked; {} go on {}\n",
                       denied,
                       text(flows, "kept"),
                       fate == "keep"
                           ? "until they end by themselves"
                           : fmt::format("for {}, then they end", span_of(flows, "drain_s")));
  }
  return fmt::format(
      "flows: it denied {} of those tracked; {} ended\n", denied, text(flows, "ended"));
}

}  // namespace

std::string render_confirm(const json& result) {
  return fmt::format(
      "revision {} stays: {}\n", text(result, "revision"), counts_text(part(result, "counts")));
}

std::string render_commit(const json& result) {
  std::string out = diagnostic_lines(part(result, "warnings"));
  const std::string revision = text(result, "revision");
  if (text(result, "changed") == "false") {
    return out + fmt::format("unchanged: revision {} enforces this content already\n", revision) +
           trial_line(result);
  }
  const std::string origin = text(result, "rollback_to");
  out += fmt::format("revision {}{} is enforced: {}\n",
                     revision,
                     origin.empty() ? "" : fmt::format(" (the content of {})", origin),
                     counts_text(part(result, "counts")));
  out += table_line(result);
  const json& flows = part(result, "flows");
  if (number(flows, "denied") > 0 || number(flows, "ended") > 0 || number(flows, "kept") > 0) {
    out += fate_line(flows) + pairs_table(flows);
  }
  return out + trial_line(result);
}

std::string render_plan(const json& result) {
  std::string out = diagnostic_lines(part(result, "warnings"));
  const std::string revision = text(result, "revision");
  if (text(result, "changed") == "false") {
    return out + fmt::format("nothing would change: revision {} enforces this content\n", revision);
  }
  out +=
      fmt::format("it would be revision {}: {}\n", revision, counts_text(part(result, "counts")));
  out += table_line(result);
  const json& flows = part(result, "flows");
  const std::string denied = text(flows, "denied");
  if (denied.empty()) {
    return out + "flows: a worker has not answered how many it would deny\n";
  }
  out += fmt::format("flows: it would deny {} of those tracked\n", denied) + pairs_table(flows);
  const json& examples = part(flows, "examples");
  return examples.empty() ? out : out + "\n" + flow_table(examples);
}

std::vector<Row> pending_rows(const json& status) {
  const json& trial = part(status, "trial");
  std::vector<Row> rows{{"on trial", trial_text(trial)}};
  for (const json& figure : part(trial, "figures")) {
    rows.push_back({"guard", guard_text(figure)});
  }
  if (const json& drain = part(status, "drain"); drain.is_object()) {
    rows.push_back({"drain", drain_text(drain)});
  }
  return rows;
}

}  // namespace portcullis::control
