// SPDX-License-Identifier: MIT
// Explanations as text for a person and as JSON for a program.
#include <algorithm>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "observe/explain.h"

namespace portcullis::observe {

using nlohmann::ordered_json;
using policy::RuleOrigin;

namespace {

std::string describe(const End& end) {
  const std::string address = to_string(end.address);
  switch (end.kind) {
    case End::Kind::pod:
    case End::Kind::node:
      return fmt::format("{} ({})", end.name, address);
    case End::Kind::unknown_pod:
      return address + " (in the pod CIDRs, no known pod)";
    case End::Kind::outside:
      return address + " (outside the cluster)";
  }
  return address;
}

const char* kind_word(End::Kind kind) {
  switch (kind) {
    case End::Kind::pod:
      return "pod";
    case End::Kind::node:
      return "node";
    case End::Kind::unknown_pod:
      return "unknown-pod";
    case End::Kind::outside:
      return "outside";
  }
  return "outside";
}

const char* direction_word(const DirectionExplanation& direction) {
  return direction.direction == classifier::Direction::egress ? "egress" : "ingress";
}

std::string line(const std::string& label, const std::string& text) {
  return fmt::format("  {:<20}{}\n", label, text);
}

std::string direction_text(const DirectionExplanation& direction) {
  constexpr std::size_t kShown = 3;
  std::string out = fmt::format("\n{} of {}: {}\n",
                                direction_word(direction),
                                direction.subject.name,
                                direction.allowed ? "allowed" : "denied");
  for (std::size_t i = 0; i < direction.selected_by.size(); ++i) {
    out += line(i == 0 ? "selected by" : "", observe::describe(direction.selected_by[i]));
  }
  for (const Stage& stage : direction.stages) {
    out += line(stage.name,
                (stage.decided ? (direction.allowed ? "ALLOW: " : "DENY: ") : "") + stage.outcome);
  }
  const std::size_t shown = std::min(direction.near_misses.size(), kShown);
  for (std::size_t i = 0; i < shown; ++i) {
    const NearMiss& miss = direction.near_misses[i];
    out += line(i == 0 ? "nearest miss" : "then", observe::describe(miss.origin) + " " + miss.text);
  }
  if (direction.near_misses.size() > shown) {
    out += line("", fmt::format("and {} more", direction.near_misses.size() - shown));
  }
  return out;
}

std::string brief_direction(const DirectionExplanation& direction) {
  std::string out = fmt::format("  {} {}: {}\n",
                                direction_word(direction),
                                direction.allowed ? "allowed" : "denied",
                                direction.reason);
  if (!direction.near_misses.empty()) {
    const NearMiss& miss = direction.near_misses.front();
    out += fmt::format("    nearest miss: {} {}\n", observe::describe(miss.origin), miss.text);
  }
  return out;
}

ordered_json json_of(const RuleOrigin& origin) {
  ordered_json out{{"kind", origin.kind}, {"policy", origin.policy}};
  if (origin.rule != RuleOrigin::kIsolation) {
    out["rule"] = origin.rule;
  }
  out["file"] = origin.where.file;
  out["line"] = origin.where.line;
  return out;
}

ordered_json json_of(const End& end) {
  return {{"kind", kind_word(end.kind)}, {"name", end.name}, {"address", to_string(end.address)}};
}

ordered_json json_of(const DirectionExplanation& direction) {
  ordered_json out{{"verdict", direction.allowed ? "allowed" : "denied"},
                   {"reason", direction.reason},
                   {"rule_id", direction.rule},
                   {"decided_by", nullptr},
                   {"selected_by", ordered_json::array()},
                   {"stages", ordered_json::array()},
                   {"near_misses", ordered_json::array()}};
  if (direction.decider) {
    out["decided_by"] = json_of(*direction.decider);
  }
  for (const RuleOrigin& origin : direction.selected_by) {
    out["selected_by"].push_back(json_of(origin));
  }
  for (const Stage& stage : direction.stages) {
    out["stages"].push_back(
        {{"stage", stage.name}, {"outcome", stage.outcome}, {"decided", stage.decided}});
  }
  for (const NearMiss& miss : direction.near_misses) {
    ordered_json entry = json_of(miss.origin);
    entry["peer_fits"] = miss.peer_fits;
    entry["port_fits"] = miss.port_fits;
    entry["text"] = miss.text;
    out["near_misses"].push_back(std::move(entry));
  }
  return out;
}

}  // namespace

std::string to_text(const Explanation& explanation) {
  const classifier::Flow& flow = explanation.flow;
  return fmt::format("{}: {} -> {}, {}\n",
                     explanation.allowed ? "ALLOWED" : "DENIED",
                     describe(explanation.src),
                     describe(explanation.dst),
                     describe_port(flow.protocol, flow.dst_port)) +
         direction_text(explanation.egress) + direction_text(explanation.ingress);
}

std::string to_brief_text(const Explanation& explanation) {
  std::string out;
  for (const auto* direction : {&explanation.egress, &explanation.ingress}) {
    // A denial needs no word on the direction that would have allowed it.
    if (explanation.allowed || !direction->allowed) {
      out += brief_direction(*direction);
    }
  }
  return out;
}

std::string to_json(const Explanation& explanation) {
  const classifier::Flow& flow = explanation.flow;
  const ordered_json out{{"verdict", explanation.allowed ? "allowed" : "denied"},
                         {"protocol", protocol_name(flow.protocol)},
                         {"port", flow.dst_port},
                         {"source", json_of(explanation.src)},
                         {"destination", json_of(explanation.dst)},
                         {"egress", json_of(explanation.egress)},
                         {"ingress", json_of(explanation.ingress)},
                         {"table", explanation.table}};
  // File names may be any bytes; replace what is no UTF-8 rather than throw.
  return out.dump(2, ' ', false, ordered_json::error_handler_t::replace);
}

}  // namespace portcullis::observe
