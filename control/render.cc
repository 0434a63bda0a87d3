// SPDX-License-Identifier: MIT
#include "control/render.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <string_view>
#include <vector>

#include <fmt/format.h>

#include "base/time_text.h"
#include "control/status/standing.h"

namespace portcullis::control {
namespace {

using nlohmann::json;

constexpr std::size_t kDigestShown = 12;

/// A member as text; empty where there is none.
std::string text(const json& object, const char* name) {
  const auto found = object.is_object() ? object.find(name) : object.end();
  if (!object.is_object() || found == object.end() || found->is_null()) {
    return "";
  }
  if (found->is_string()) {
    return found->get<std::string>();
  }
  return found->dump(-1, ' ', false, json::error_handler_t::replace);
}

double number(const json& object, const char* name) {
  const auto found = object.is_object() ? object.find(name) : object.end();
  return object.is_object() && found != object.end() && found->is_number() ? found->get<double>()
                                                                           : 0;
}

const json& part(const json& object, const char* name) {
  static const json kNothing;
  const auto found = object.is_object() ? object.find(name) : object.end();
  return object.is_object() && found != object.end() ? *found : kNothing;
}

std::string short_digest(const json& object, const char* name) {
  const std::string digest = text(object, name).substr(0, kDigestShown);
  return digest.empty() ? "-" : digest;
}

std::string span_of(const json& object, const char* name) {
  return span_text(std::chrono::seconds(static_cast<std::int64_t>(number(object, name))));
}

std::string bytes_text(double bytes) {
  constexpr std::array<const char*, 4> kUnits{"B", "KiB", "MiB", "GiB"};
  std::size_t unit = 0;
  for (; bytes >= 1024 && unit + 1 < kUnits.size(); ++unit) {
    bytes /= 1024;
  }
  return fmt::format("{:.{}f} {}", bytes, unit == 0 ? 0 : 1, kUnits.at(unit));
}

using Row = std::vector<std::string>;

/// Columns as wide as their widest cell, two blanks apart; the last one is ragged.
std::string table(const std::vector<Row>& rows) {
  std::vector<std::size_t> widths;
  for (const Row& row : rows) {
    widths.resize(std::max(widths.size(), row.size()));
    for (std::size_t i = 0; i < row.size(); ++i) {
      widths[i] = std::max(widths[i], row[i].size());
    }
  }
  std::string out;
  for (const Row& row : rows) {
    std::string line;
    for (std::size_t i = 0; i < row.size(); ++i) {
      line += fmt::format("{:<{}}  ", row[i], widths[i]);
    }
    line.erase(line.find_last_not_of(' ') + 1);
    out += line + "\n";
  }
  return out;
}

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

std::string counts_text(const json& counts) {
  return fmt::format("{} namespaces, {} pods, {} nodes, {} policies, {} rules",
                     text(counts, "namespaces"),
                     text(counts, "pods"),
                     text(counts, "nodes"),
                     text(counts, "policies"),
                     text(counts, "rules"));
}

std::string rule_name(const json& rule) {
  if (rule.contains("builtin")) {
    return "built in: " + text(rule, "builtin");
  }
  const std::string number_text = text(rule, "rule");
  const std::string which = number_text == "0" ? "isolation" : fmt::format("rule {}", number_text);
  return fmt::format("{} {} {} ({}:{})",
                     text(rule, "policy"),
                     text(rule, "direction"),
                     which,
                     text(rule, "file"),
                     text(rule, "line"));
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

/// "10.0.0.1:80", "[fd00::1]:80"; the address alone where there are no ports.
std::string end_text(const json& flow, const char* address_name, const char* port_name) {
  std::string address = text(flow, address_name);
  const std::string port = text(flow, port_name);
  if (port.empty()) {
    return address;
  }
  const bool v6 = address.find(':') != std::string::npos;
  return v6 ? fmt::format("[{}]:{}", address, port) : fmt::format("{}:{}", address, port);
}

std::string flow_text(const json& flow) {
  const std::string id = text(flow, "icmp_id");
  return fmt::format("{} -> {}{}",
                     end_text(flow, "source", "source_port"),
                     end_text(flow, "destination", "destination_port"),
                     id.empty() ? "" : fmt::format(" id {}", id));
}

std::string verdict_text(const json& flow, const char* direction) {
  const json& rule = part(flow, direction);
  return rule.is_object() ? rule_name(rule) : "-";
}

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

/// "4 in 9m12s, unless ...; guards ...", or "nothing".
std::string trial_text(const json& trial) {
  if (!trial.is_object()) {
    return "nothing";
  }
  std::string out = fmt::format("revision {} by {}; {} comes back in {}, unless it is confirmed",
                                text(trial, "revision"),
                                text(trial, "who"),
                                text(trial, "base"),
                                span_of(trial, "left_s"));
  for (const json& guard : part(trial, "guards")) {
    out += fmt::format("; guard {}", guard.is_string() ? guard.get<std::string>() : "");
  }
  if (!text(trial, "denied_per_second").empty()) {
    out += fmt::format("; denied {:.1f}/s, {:.1f}/s before",
                       number(trial, "denied_per_second"),
                       number(trial, "denied_per_second_before"));
  }
  return out;
}

std::string flow_table(const json& flows) {
  std::vector<Row> rows{{"PROTOCOL", "FLOW", "STATE", "TIMEOUT", "CPU", "EGRESS BY", "INGRESS BY"}};
  for (const json& flow : flows) {
    rows.push_back({text(flow, "protocol"),
                    flow_text(flow),
                    text(flow, "state"),
                    text(flow, "timeout_s") + "s",
                    text(flow, "cpu"),
                    verdict_text(flow, "egress"),
                    verdict_text(flow, "ingress")});
  }
  return table(rows);
}

Row top_header(const json& group) {
  Row header{"FLOWS", "SHARE"};
  for (const auto& [member, title] : {std::pair("namespace", "NAMESPACE"),
                                      std::pair("source", "SOURCE"),
                                      std::pair("destination", "DESTINATION"),
                                      std::pair("protocol", "TO PORT")}) {
    if (group.contains(member)) {
      header.emplace_back(title);
    }
  }
  return header;
}

/// "shop/web (10.0.0.1)", or the address of what is no pod's.
std::string owner_text(const json& group, const char* address, const char* pod) {
  const std::string name = text(group, pod);
  return name.empty() ? text(group, address) : fmt::format("{} ({})", name, text(group, address));
}

Row top_row(const json& group, double matched) {
  const std::string flows = text(group, "flows");
  const std::string least = text(group, "at_least");
  Row row{flows == least ? flows : fmt::format("{} to {}", least, flows),
          fmt::format("{:.1f}%", matched > 0 ? 100 * number(group, "flows") / matched : 0)};
  if (group.contains("namespace")) {
    const std::string name = text(group, "namespace");
    row.push_back(name.empty() ? "(no pod's)" : name);
  }
  if (group.contains("source")) {
    row.push_back(owner_text(group, "source", "source_pod"));
  }
  if (group.contains("destination")) {
    row.push_back(owner_text(group, "destination", "destination_pod"));
  }
  if (group.contains("protocol")) {
    const std::string port = text(group, "destination_port");
    row.push_back(text(group, "protocol") + (port.empty() ? "" : " " + port));
  }
  return row;
}

Row stats_row(const std::string& name, const json& stats) {
  return {name,
          fmt::format("{} of {}", text(stats, "flows"), text(stats, "flows_max")),
          text(stats, "created"),
          text(stats, "expired"),
          text(stats, "evicted"),
          text(stats, "revalidated"),
          text(stats, "revoked")};
}

/// "FILE:LINE:COLUMN", as much of it as is known.
std::string place_of(const json& found) {
  std::string place = text(found, "file");
  for (const char* name : {"line", "column"}) {
    const std::string at = text(found, name);
    place += at.empty() || place.empty() ? "" : ":" + at;
  }
  return place;
}

/// How many of a list are not in the answer; empty where all are.
std::string rest_line(const json& result, const char* list) {
  const double total = number(result, (std::string(list) + "_total").c_str());
  const auto shown = static_cast<double>(part(result, list).size());
  return total > shown ? fmt::format("and {:.0f} more\n", total - shown) : "";
}

std::string diagnostic_line(const json& found) {
  const std::string place = place_of(found);
  std::string line = place.empty() ? "" : place + ": ";
  line += text(found, "severity") + ": ";
  for (const char* name : {"object", "field"}) {
    const std::string what = text(found, name);
    line += what.empty() ? "" : what + ": ";
  }
  return line + text(found, "message") + "\n";
}

std::string diagnostic_lines(const json& list) {
  std::string out;
  if (list.is_array()) {
    for (const json& found : list) {
      out += diagnostic_line(found);
    }
  }
  return out;
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
  if (number(flows, "denied") > 0 || number(flows, "ended") > 0) {
    out += fmt::format("flows: it denied {} of those tracked; {} ended\n",
                       text(flows, "denied"),
                       text(flows, "ended"));
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
  out += fmt::format("flows: it would deny {} of those tracked\n", denied);
  const json& examples = part(flows, "examples");
  return examples.empty() ? out : out + "\n" + flow_table(examples);
}

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
  rows.push_back({"on trial", trial_text(part(result, "trial"))});
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
  std::vector<Row> rows{{"REVISION", "TIME", "WHO", "POLICIES", "PODS", "CONTENT", "COMMENT"}};
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

std::string render_flows(const json& result) {
  const json& flows = part(result, "flows");
  const std::string matched = text(result, "matched");
  if (flows.empty()) {
    return "no flow matches\n";
  }
  std::string out = flow_table(flows);
  if (matched != std::to_string(flows.size())) {
    out += fmt::format(
        "{} of {} flows shown; raise --limit, or ask for fewer\n", flows.size(), matched);
  }
  return out;
}

std::string render_flow_top(const json& result) {
  const json& groups = part(result, "groups");
  if (groups.empty()) {
    return "no flow matches\n";
  }
  const double matched = number(result, "matched");
  std::vector<Row> rows{top_header(groups.front())};
  for (const json& group : groups) {
    rows.push_back(top_row(group, matched));
  }
  std::string out = table(rows) + fmt::format("of {} flows\n", text(result, "matched"));
  if (const std::string missed = text(result, "missed_max"); missed != "0") {
    out += fmt::format(
        "there were too many groups to count them all; one that is not shown has {} flows at "
        "most\n",
        missed);
  }
  return out;
}

std::string render_flow_stats(const json& result) {
  std::vector<Row> rows{
      {"WORKER CPU", "FLOWS", "CREATED", "EXPIRED", "EVICTED", "REVALIDATED", "REVOKED"}};
  for (const json& worker : part(result, "workers")) {
    rows.push_back(stats_row(text(worker, "cpu"), worker));
  }
  const json& total = part(result, "total");
  rows.push_back(stats_row("total", total));
  std::vector<Row> states{{"PROTOCOL", "OPENING", "ACCEPTED", "ESTABLISHED", "CLOSING"}};
  for (const auto& [protocol, counts] : part(total, "protocols").items()) {
    states.push_back({protocol,
                      text(counts, "opening"),
                      text(counts, "accepted"),
                      text(counts, "established"),
                      text(counts, "closing")});
  }
  return table(rows) + "\n" + table(states);
}

std::string render_flush(const json& result) {
  const std::string ended = text(result, "ended");
  return fmt::format("{} {} ended\n", ended, ended == "1" ? "flow" : "flows");
}

std::string render_error(const RpcError& error) {
  const std::string lines = diagnostic_lines(part(error.details, "diagnostics"));
  return lines + fmt::format("portcullis: {}\n", error.message);
}

}  // namespace portcullis::control
