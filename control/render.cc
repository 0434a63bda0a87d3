// SPDX-License-Identifier: MIT
#include "control/render.h"

#include <algorithm>
#include <cstdint>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "control/status/standing.h"
#include "control/words/cells.h"
#include "control/words/changes.h"

namespace portcullis::control {
namespace {

using nlohmann::json;

/// "POLICY_DENIED 12, NO_ROUTE 3", most first.
std::string drops_text(const json& drops) {
  std::vector<std::pair<std::uint64_t, std::string>> sorted;
  for (const auto& [reason, count] : drops.items()) {
    sorted.emplace_back(count.is_number_unsigned() ? count.get<std::uint64_t>() : 0, reason);
  }
  std::sort(sorted.rbegin(), sorted.rend());
  std::string out;
  for (const auto& [count, reason] : sorted) {
    out += fmt::format("{}{} {}", out.empty() ? "" : ", ", reason, count);
  }
  return out.empty() ? "none" : out;
}

/// "up"; "down, as NAME is"; "up, though NAME is down" where its device cannot follow.
std::string link_text(const json& port) {
  const std::string leader = text(port, "down_as");
  const std::string lost = text(port, "cannot_follow");
  return text(port, "link") + (leader.empty() ? "" : fmt::format(", as {} is", leader)) +
         (lost.empty() ? "" : fmt::format(", though {} is down", lost));
}

std::string ports_table(const json& ports) {
  std::vector<Row> rows{
      {"PORT", "LINK", "SPREAD", "RX PACKETS", "RX BYTES", "RX MISSED", "TX PACKETS", "TX BYTES"}};
  for (const json& port : ports) {
    rows.push_back({text(port, "name"),
                    link_text(port),
                    text(port, "spread"),
                    text(port, "rx_packets"),
                    text(port, "rx_bytes"),
                    text(port, "rx_missed"),
                    text(port, "tx_packets"),
                    text(port, "tx_bytes")});
  }
  return table(rows);
}

std::string workers_table(const json& workers, bool mirror) {
  std::vector<Row> rows{{"WORKER CPU",
                         "BUSY",
                         "PACKETS",
                         mirror ? "WOULD FORWARD" : "FORWARDED",
                         mirror ? "WOULD DROP" : "DROPPED",
                         "FLOWS",
                         "HANDED OVER",
                         "DROPS BY REASON"}};
  for (const json& worker : workers) {
    rows.push_back({text(worker, "cpu"),
                    fmt::format("{:.1f}%", number(worker, "busy") * 100),
                    text(worker, "packets"),
                    text(worker, "forwarded"),
                    text(worker, "dropped"),
                    text(worker, "flows"),
                    text(worker, "handed_to_judge"),
                    drops_text(part(worker, "drops"))});
  }
  return table(rows);
}

std::string rules_table(const json& rules) {
  if (rules.empty()) {
    return "no rule has judged a packet yet\n";
  }
  std::vector<Row> rows{{"PACKETS", "RULE"}};
  for (const json& rule : rules) {
    rows.push_back({text(rule, "packets"), rule_name(rule)});
  }
  return table(rows);
}

}  // namespace

std::string render_ports(const json& status) {
  std::vector<Row> rows{{"PORT", "DEVICE", "LINK", "RX PACKETS", "TX PACKETS", "ADDRESSES"}};
  for (const json& port : part(status, "ports")) {
    std::string addresses;
    for (const json& address : part(port, "addresses")) {
      addresses += (addresses.empty() ? "" : ", ") + address.get<std::string>();
    }
    rows.push_back({text(port, "name"),
                    text(port, "device"),
                    text(port, "link"),
                    text(port, "rx_packets"),
                    text(port, "tx_packets"),
                    addresses});
  }
  return table(rows);
}

std::string render_port_added(const json& result) {
  return fmt::format("port {} is in force\n", text(result, "name"));
}

std::string render_port_removed(const json& result) {
  return fmt::format("port {} is gone; its flows stay until they time out or are flushed\n",
                     text(result, "name"));
}

std::string render_status(const json& result) {
  const json& running = part(result, "running");
  const json& sizes = part(running, "table");
  const json& conntrack = part(result, "conntrack");
  const bool mirror = text(result, "mode") == "mirror";
  std::vector<Row> rows{
      {"daemon",
       fmt::format("portcullisd {}, pid {}, up {}",
                   text(result, "version"),
                   text(result, "pid"),
                   span_of(result, "uptime_s"))},
      {"mode",
       fmt::format("{}{}, default {}",
                   text(result, "mode"),
                   mirror ? " (judges copies, forwards nothing)" : "",
                   text(result, "default_mode"))},
      {"revision",
       fmt::format(
           "{} by {}, {} ago{}",
           text(running, "revision"),
           text(running, "who"),
           span_of(running, "age_s"),
           text(running, "comment").empty() ? "" : fmt::format(": {}", text(running, "comment")))},
      {"content",
       fmt::format(
           "{}: {}", short_digest(running, "digest"), counts_text(part(running, "counts")))},
      {"table",
       fmt::format("{}: {}, {} address classes, {} port classes, compiled in {:.1f} ms",
                   short_digest(running, "table_digest"),
                   bytes_text(number(sizes, "bytes")),
                   text(sizes, "classes"),
                   text(sizes, "port_classes"),
                   number(running, "duration_ms"))},
      {"flows", fmt::format("{} of {}", text(conntrack, "flows"), text(conntrack, "flows_max"))},
      {"drops", drops_text(part(result, "drops"))},
  };
  for (Row& row : standing_rows(result)) {
    rows.push_back(std::move(row));
  }
  for (Row& row : pending_rows(result)) {
    rows.push_back(std::move(row));
  }
  const json& undone = part(result, "last_undone");
  if (undone.is_object()) {
    rows.push_back({"last undone",
                    fmt::format("revision {}, {} ago: {}",
                                text(undone, "revision"),
                                span_of(undone, "age_s"),
                                text(undone, "reason"))});
  }
  const json& refused = part(result, "last_refused");
  rows.push_back({"last refused",
                  refused.is_object() ? fmt::format("{} ago, by {}: {}",
                                                    span_of(refused, "age_s"),
                                                    text(refused, "who"),
                                                    text(refused, "message"))
                                      : "nothing"});
  return table(rows) + "\n" + ports_table(part(result, "ports")) + "\n" +
         workers_table(part(result, "workers"), mirror) + "\n" + rules_table(part(result, "rules"));
}

std::string render_history(const json& result) {
  std::vector<Row> rows{
      {"REVISION", "TIME", "WHO", "POLICIES", "PODS", "TABLE", "CONTENT", "COMMENT"}};
  const json& revisions = part(result, "revisions");
  for (std::size_t i = 0; i < revisions.size(); ++i) {
    const json& revision = revisions[i];
    const json& counts = part(revision, "counts");
    const std::string origin = text(revision, "rollback_to");
    std::string comment = text(revision, "comment");
    if (!origin.empty()) {
      comment = fmt::format("rollback to {}{}{}", origin, comment.empty() ? "" : ": ", comment);
    }
    rows.push_back({text(revision, "revision") + (i == 0 ? " *" : ""),
                    text(revision, "time"),
                    text(revision, "who"),
                    text(counts, "policies"),
                    text(counts, "pods"),
                    bytes_text(number(part(revision, "table"), "bytes")),
                    short_digest(revision, "digest"),
                    comment});
  }
  return table(rows);
}

std::string render_show(const json& result) {
  std::string out = table({{"revision", text(result, "revision")},
                           {"time", text(result, "time")},
                           {"who", text(result, "who")},
                           {"comment", text(result, "comment")},
                           {"digest", text(result, "digest")},
                           {"table", text(result, "table_digest")}});
  std::vector<Row> rows{{"KIND", "NAME", "WHERE"}};
  for (const json& object : part(result, "objects")) {
    rows.push_back({text(object, "kind"), text(object, "name"), place_of(object)});
  }
  return out + "\n" + table(rows) + rest_line(result, "objects");
}

std::string render_diff(const json& result) {
  const json& changes = part(result, "changes");
  if (changes.empty()) {
    return fmt::format(
        "revisions {} and {} say the same\n", text(result, "from"), text(result, "to"));
  }
  std::vector<Row> rows{{"CHANGE", "KIND", "NAME", "WHERE"}};
  for (const json& change : changes) {
    rows.push_back(
        {text(change, "change"), text(change, "kind"), text(change, "name"), place_of(change)});
  }
  return table(rows) + rest_line(result, "changes");
}

std::string render_error(const RpcError& error) {
  const std::string lines = diagnostic_lines(part(error.details, "diagnostics"));
  return lines + fmt::format("portcullis: {}\n", error.message);
}

}  // namespace portcullis::control
