// SPDX-License-Identifier: MIT
#include "control/words/flows.h"

#include <utility>
#include <vector>

#include <fmt/format.h>

#include "control/words/cells.h"

namespace portcullis::control {
namespace {

using nlohmann::json;

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

/// Nothing where no namespace with a quota has flows.
std::string quota_text(const json& stats) {
  const json& namespaces = part(stats, "namespaces");
  if (namespaces.empty()) {
    return {};
  }
  std::vector<Row> rows{{"NAMESPACE", "FLOWS", "FULLEST", "REFUSED"}};
  for (const json& one : namespaces) {
    rows.push_back({text(one, "namespace"),
                    fmt::format("{} of {}", text(one, "flows"), text(one, "flows_max")),
                    fmt::format("{:.1f}%", 100 * number(one, "fullest")),
                    text(one, "refused")});
  }
  std::string out = "\n" + table(rows);
  if (const std::string total = text(stats, "namespaces_total");
      total != std::to_string(namespaces.size())) {
    out += fmt::format("{} of {} namespaces shown\n", namespaces.size(), total);
  }
  return out;
}

}  // namespace

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
  return table(rows) + "\n" + table(states) + quota_text(result);
}

std::string render_flush(const json& result) {
  const std::string ended = text(result, "ended");
  return fmt::format("{} {} ended\n", ended, ended == "1" ? "flow" : "flows");
}

}  // namespace portcullis::control
