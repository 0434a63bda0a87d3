// SPDX-License-Identifier: MIT
#include "observe/replay_report.h"

#include <algorithm>
#include <array>
#include <map>
#include <string_view>
#include <tuple>
#include <unordered_map>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "classifier/verdict.h"

namespace portcullis::observe {

namespace {

using classifier::Builtin;
using classifier::Decision;
using dataplane::Outcome;
using dataplane::ReplayRecord;

class Namer {
 public:
  explicit Namer(const Enforced& enforced) : enforced_(enforced) {
    for (std::size_t i = 0; i < enforced.rules.endpoints.size(); ++i) {
      for (const IpAddress& address : enforced.rules.endpoints[i].addresses) {
        names_.emplace(address, enforced.endpoints[i].text());
      }
    }
  }

  [[nodiscard]] std::string workload(const IpAddress& address) const {
    const auto named = names_.find(address);
    return named != names_.end() ? named->second : to_string(address);
  }

  [[nodiscard]] std::string rule(const Decision& decision) const {
    if (const policy::RuleOrigin* origin = origin_of(enforced_, decision.rule())) {
      return describe(*origin);
    }
    switch (static_cast<Builtin>(decision.rule())) {
      case Builtin::no_subject:
        return "no pod";
      case Builtin::default_allow:
        return "no policy: default allow";
      case Builtin::default_deny:
        return "no policy: default deny";
      case Builtin::self:
        return "the pod itself";
      case Builtin::own_node:
        return "the pod's own node";
      case Builtin::unidentified:
        return "no known pod at an address inside the pod CIDRs";
      case Builtin::transit:
        return "neither end is a pod";
    }
    return "unknown";
  }

  /// Both directions of what is allowed; of a denial only those that deny.
  [[nodiscard]] std::string rules(const ReplayRecord& record) const {
    const classifier::Verdict& verdict = record.verdict;
    if (!record.has_addresses || verdict == classifier::Verdict{}) {
      return "";
    }
    std::string text;
    const auto add = [&](const char* direction, const Decision& decision) {
      if (decision.allowed() == verdict.allowed()) {
        text += fmt::format("{}{}: {}", text.empty() ? "" : "; ", direction, rule(decision));
      }
    };
    add("egress", verdict.egress);
    add("ingress", verdict.ingress);
    return text;
  }

 private:
  const Enforced& enforced_;
  std::unordered_map<IpAddress, std::string> names_;
};

std::string verdict_of(const ReplayRecord& record) {
  switch (record.action) {
    case Outcome::Action::forward:
      return "FORWARDED";
    case Outcome::Action::link:
      return "LINK";
    case Outcome::Action::drop:
    case Outcome::Action::hold:  // Of no record: replay counts a frame when it goes.
      break;
  }
  return "DROPPED";
}

ReplayRow row_of(const ReplayRecord& record, const Namer& namer) {
  ReplayRow row{.source = "-", .destination = "-", .protocol = "-", .port = "-"};
  if (record.has_addresses) {
    row.source = namer.workload(record.src);
    row.destination = namer.workload(record.dst);
    row.protocol = protocol_name(record.protocol);
  }
  if (record.dst_port != 0) {
    row.port = std::to_string(record.dst_port);
  }
  row.verdict = verdict_of(record);
  if (record.action == Outcome::Action::drop) {
    row.reason = to_string(record.reason);
  }
  row.rule = namer.rules(record);
  return row;
}

}  // namespace

ReplayReport report(const dataplane::ReplayResult& result, const Enforced& enforced) {
  const Namer namer(enforced);
  // The port sorts as a number.
  using Key = std::tuple<std::string,
                         std::string,
                         std::string,
                         std::uint16_t,
                         std::string,
                         std::string,
                         std::string>;
  std::map<Key, ReplayRow> rows;
  for (const ReplayRecord& record : result.records) {
    ReplayRow row = row_of(record, namer);
    const auto [at, is_new] = rows.try_emplace({row.source,
                                                row.destination,
                                                row.protocol,
                                                record.dst_port,
                                                row.verdict,
                                                row.reason,
                                                row.rule},
                                               row);
    at->second.packets += record.packets;
    at->second.flows += record.flows;
  }
  ReplayReport made{.packets = result.packets,
                    .forwarded = result.forwarded,
                    .dropped = result.dropped,
                    .link = result.link};
  for (auto& row : rows) {
    made.rows.push_back(std::move(row.second));
  }
  return made;
}

std::string to_text(const ReplayReport& report) {
  using Line = std::array<std::string, 8>;
  std::vector<Line> lines{
      {"SOURCE", "DESTINATION", "PROTOCOL", "PORT", "VERDICT", "PACKETS", "FLOWS", "WHY"}};
  for (const ReplayRow& row : report.rows) {
    const std::string gap = row.reason.empty() || row.rule.empty() ? "" : " ";
    lines.push_back({row.source,
                     row.destination,
                     row.protocol,
                     row.port,
                     row.verdict,
                     std::to_string(row.packets),
                     std::to_string(row.flows),
                     row.reason + gap + row.rule});
  }
  std::array<std::size_t, 7> widths{};
  for (const Line& line : lines) {
    for (std::size_t i = 0; i < widths.size(); ++i) {
      widths[i] = std::max(widths[i], line[i].size());
    }
  }
  std::string text;
  for (const Line& line : lines) {
    std::string joined;
    for (std::size_t i = 0; i < widths.size(); ++i) {
      const bool is_number = i == 5 || i == 6;
      joined += is_number ? fmt::format("{:>{}}  ", line[i], widths[i])
                          : fmt::format("{:<{}}  ", line[i], widths[i]);
    }
    joined += line[7];
    joined.erase(joined.find_last_not_of(' ') + 1);
    text += joined + "\n";
  }
  text += fmt::format("{} packets: {} forwarded, {} dropped, {} link\n",
                      report.packets,
                      report.forwarded,
                      report.dropped,
                      report.link);
  return text;
}

std::string to_json(const ReplayReport& report) {
  nlohmann::ordered_json json;
  json["packets"] = report.packets;
  json["forwarded"] = report.forwarded;
  json["dropped"] = report.dropped;
  json["link"] = report.link;
  json["verdicts"] = nlohmann::ordered_json::array();
  for (const ReplayRow& row : report.rows) {
    nlohmann::ordered_json entry;
    entry["source"] = row.source;
    entry["destination"] = row.destination;
    entry["protocol"] = row.protocol;
    entry["port"] = row.port;
    entry["verdict"] = row.verdict;
    entry["drop_reason_desc"] = row.reason;
    entry["rule"] = row.rule;
    entry["packets"] = row.packets;
    entry["flows"] = row.flows;
    json["verdicts"].push_back(std::move(entry));
  }
  return json.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

}  // namespace portcullis::observe
