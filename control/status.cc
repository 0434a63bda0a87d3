// SPDX-License-Identifier: MIT
#include "control/status.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include <unistd.h>

#include "base/limits.h"
#include "base/time_text.h"
#include "dataplane/drop_reason.h"

namespace portcullis::control {
namespace {

using nlohmann::json;
using policy::Diagnostic;

/// Diagnostics in one answer at most: enough for any person, and a bound on the answer.
constexpr std::size_t kDiagnosticsMax = 1000;
constexpr std::size_t kTopRules = 10;

double age_s(Instant time) {
  const std::chrono::duration<double> age = std::chrono::system_clock::now() - time;
  return std::max(0.0, age.count());
}

std::string_view name_of(config::Mode::Kind kind) {
  switch (kind) {
    case config::Mode::Kind::wire:
      return "wire";
    case config::Mode::Kind::node:
      return "node";
    case config::Mode::Kind::mirror:
      return "mirror";
  }
  return "";
}

std::string_view name_of(dataplane::PortStatus::Spread spread) {
  switch (spread) {
    case dataplane::PortStatus::Spread::none:
      return "none";
    case dataplane::PortStatus::Spread::rss:
      return "rss";
    case dataplane::PortStatus::Spread::software:
      return "software";
  }
  return "";
}

json port_json(const dataplane::PortStatus& port) {
  json addresses = json::array();
  for (const IpAddress& address : port.addresses) {
    addresses.push_back(to_string(address));
  }
  json body = {{"name", port.name},
               {"device", port.device},
               {"addresses", std::move(addresses)},
               {"link", port.link_up ? "up" : "down"},
               {"spread", name_of(port.spread)},
               {"rx_packets", port.rx_packets},
               {"rx_bytes", port.rx_bytes},
               {"rx_missed", port.rx_missed},
               {"tx_packets", port.tx_packets},
               {"tx_bytes", port.tx_bytes}};
  if (!port.partner_down.empty()) {
    body[port.taken_down ? "down_as" : "cannot_follow"] = port.partner_down;
  }
  return body;
}

/// Counts by the names of the reasons, those without any left out.
json drops_json(std::span<const std::uint64_t> drops) {
  json named = json::object();
  for (std::size_t i = 1; i < drops.size(); ++i) {
    if (drops[i] > 0) {
      named[std::string(dataplane::to_string(static_cast<dataplane::DropReason>(i)))] = drops[i];
    }
  }
  return named;
}

json worker_json(const dataplane::WorkerStatus& worker) {
  return {{"cpu", worker.cpu},
          {"packets", worker.packets},
          {"forwarded", worker.forwarded},
          {"dropped", worker.dropped},
          {"held", worker.held},
          {"flows", worker.flows},
          {"revalidated", worker.revalidated},
          {"handed_to_judge", worker.handed_to_judge},
          {"handed_to_send", worker.handed_to_send},
          {"checksums_finished", worker.checksums_finished},
          {"super_packets", worker.super_packets},
          {"busy", worker.busy},
          {"drops", drops_json(worker.drops)}};
}

json total_json(const RuleTotal& total) {
  json rule = to_json(total.name);
  rule["packets"] = total.packets;
  return rule;
}

json table_json(const classifier::TableSizes& sizes) {
  return {{"bytes", sizes.total},
          {"address_map_v4_bytes", sizes.address_map_v4},
          {"address_map_v6_bytes", sizes.address_map_v6},
          {"port_map_bytes", sizes.port_map},
          {"matrices_bytes", sizes.matrices},
          {"profiles_bytes", sizes.profiles},
          {"permits_bytes", sizes.permits},
          {"classes", sizes.classes},
          {"port_classes", sizes.port_classes},
          {"profiles", sizes.profile_count}};
}

json conntrack_json(const config::Conntrack& limits, const dataplane::DataplaneStatus& plane) {
  std::uint64_t flows = 0;
  for (const dataplane::WorkerStatus& worker : plane.workers) {
    flows += worker.flows;
  }
  return {{"flows", flows}, {"flows_max", limits.flows_max * plane.workers.size()}};
}

json used_of(std::size_t used, std::size_t limit) {
  return {{"used", used}, {"limit", limit}};
}

/// What has a limit, and how much of it is taken.
json limits_json(const config::Conntrack& conntrack,
                 const Reconcile& reconcile,
                 const OpenChanges& open,
                 const dataplane::DataplaneStatus& plane) {
  const std::deque<Revision>& history = reconcile.history();
  std::size_t addresses = 0;
  for (const dataplane::PortStatus& port : plane.ports) {
    addresses += port.addresses.size();
  }
  const json flows = conntrack_json(conntrack, plane);
  return {{"table_bytes",
           used_of(history.empty() ? 0 : history.back().table.total,
                   reconcile.options().compiling.table_bytes_max)},
          {"flows", {{"used", flows["flows"]}, {"limit", flows["flows_max"]}}},
          {"ports", used_of(plane.ports.size(), limits::kPortsMax)},
          {"port_addresses", used_of(addresses, limits::kPodAddressesMax)},
          {"revisions", used_of(history.size(), reconcile.options().history_max)},
          {"changes", used_of(open.used(), open.limit())}};
}

json total_drops_json(const dataplane::DataplaneStatus& plane) {
  std::array<std::uint64_t, dataplane::kDropReasons> drops{};
  for (const dataplane::WorkerStatus& worker : plane.workers) {
    for (std::size_t i = 0; i < std::min(drops.size(), worker.drops.size()); ++i) {
      drops.at(i) += worker.drops[i];
    }
  }
  return drops_json(drops);
}

template <typename Items, typename Convert>
json list_of(const Items& items, Convert convert) {
  json list = json::array();
  for (const auto& item : items) {
    list.push_back(convert(item));
  }
  return list;
}

}  // namespace

json to_json(const Diagnostic& diagnostic) {
  const bool error = diagnostic.severity == Diagnostic::Severity::error;
  json body = {{"severity", error ? "error" : "warning"}, {"message", diagnostic.message}};
  if (!diagnostic.where.file.empty()) {
    body["file"] = diagnostic.where.file;
  }
  if (diagnostic.where.line > 0) {
    body["line"] = diagnostic.where.line;
  }
  if (diagnostic.where.column > 0) {
    body["column"] = diagnostic.where.column;
  }
  if (!diagnostic.object.empty()) {
    body["object"] = diagnostic.object;
  }
  if (!diagnostic.field.empty()) {
    body["field"] = diagnostic.field;
  }
  return body;
}

json to_json(std::span<const Diagnostic> diagnostics) {
  std::vector<const Diagnostic*> order;
  for (const Diagnostic& diagnostic : diagnostics) {
    order.push_back(&diagnostic);
  }
  if (order.size() > kDiagnosticsMax) {
    std::stable_sort(order.begin(), order.end(), [](const Diagnostic* a, const Diagnostic* b) {
      return a->severity < b->severity;
    });
    order.resize(kDiagnosticsMax);
  }
  return list_of(order, [](const Diagnostic* diagnostic) { return to_json(*diagnostic); });
}

json to_json(const Revision& revision) {
  const std::chrono::duration<double, std::milli> duration = revision.duration;
  json body = {
      {"revision", revision.number},
      {"time", time_text(revision.time)},
      {"age_s", age_s(revision.time)},
      {"who", revision.intent.who},
      {"comment", revision.intent.comment},
      {"digest", revision.digest},
      {"table_digest", revision.table_digest.empty() ? json() : json(revision.table_digest)},
      {"duration_ms", duration.count()},
      {"counts",
       {{"namespaces", revision.counts.namespaces},
        {"pods", revision.counts.pods},
        {"nodes", revision.counts.nodes},
        {"policies", revision.counts.policies},
        {"rules", revision.counts.rules},
        {"skipped", revision.counts.skipped}}},
      {"table", table_json(revision.table)}};
  if (revision.intent.rollback_to) {
    body["rollback_to"] = *revision.intent.rollback_to;
  }
  if (revision.batches != 0) {
    body["batches"] = revision.batches;
  }
  return body;
}

json to_json(const RuleName& name) {
  if (!name.origin) {
    return {{"builtin", name.builtin}};
  }
  const policy::RuleOrigin& origin = *name.origin;
  const bool egress = origin.direction == classifier::Direction::egress;
  return {{"kind", origin.kind},
          {"policy", origin.policy},
          {"direction", egress ? "egress" : "ingress"},
          {"rule", origin.rule},  // 0: isolated, and no rule matched.
          {"file", origin.where.file},
          {"line", origin.where.line}};
}

json history_json(const Reconcile& reconcile) {
  json revisions = json::array();
  const auto& history = reconcile.history();
  for (auto revision = history.rbegin(); revision != history.rend(); ++revision) {
    revisions.push_back(to_json(*revision));
  }
  return {{"revisions", std::move(revisions)}};
}

namespace {

json figure_json(const Guard& guard, const std::optional<Rates>& now, const Rates& before) {
  const GuardFigure figure = figure_of(guard, now.value_or(Rates{}), before);
  const bool is_nowhere = figure.name_space.empty();
  return {{"guard", guard.text},
          {"namespace", is_nowhere ? json() : json(figure.name_space)},
          {"per_second", now ? json(figure.now) : json()},
          {"before", figure.before},
          {"limit", figure.limit}};
}

json drain_json(const std::optional<Drain>& drain) {
  if (!drain) {
    return {};
  }
  const std::chrono::seconds left = drain->left(Drain::Clock::now());
  return {{"revision", drain->revision},
          {"deadline", time_text(std::chrono::system_clock::now() + left)},
          {"left_s", left.count()},
          {"flows", drain->flows ? json(*drain->flows) : json()}};
}

}  // namespace

json trial_json(const Trial& trial) {
  if (!trial.pending()) {
    return {};
  }
  const std::chrono::seconds left = trial.left(Trial::Clock::now());
  const std::optional<Rates> now = trial.rates();
  const Rates& before = trial.rates_before();
  constexpr auto kDenied = static_cast<std::size_t>(Measure::denied);
  return {{"revision", trial.tried().number},
          {"base", trial.base().number},
          {"who", trial.tried().intent.who},
          {"deadline", time_text(std::chrono::system_clock::now() + left)},
          {"left_s", left.count()},
          {"guards", list_of(trial.terms().guards, [](const Guard& guard) { return guard.text; })},
          {"figures",
           list_of(trial.terms().guards,
                   [&](const Guard& guard) { return figure_json(guard, now, before); })},
          {"denied_per_second", now ? json(now->all.at(kDenied)) : json()},
          {"denied_per_second_before", before.all.at(kDenied)}};
}

json status_json(const Daemon& daemon, const Reconcile& reconcile, const Pending& pending) {
  const dataplane::DataplaneStatus plane = reconcile.dataplane();
  const std::chrono::duration<double> uptime = std::chrono::steady_clock::now() - daemon.started;
  std::vector<RuleTotal> rules = reconcile.rule_totals();
  rules.resize(std::min(rules.size(), kTopRules));
  const bool runs = !reconcile.history().empty();
  const bool denies = reconcile.options().lowering.default_mode == classifier::DefaultMode::deny;
  json body = {{"version", PORTCULLIS_VERSION},
               {"pid", ::getpid()},
               {"uptime_s", uptime.count()},
               {"mode", name_of(daemon.config.mode.kind)},
               {"default_mode", denies ? "deny" : "kubernetes"},
               {"epoch", plane.epoch},
               {"running", runs ? to_json(reconcile.history().back()) : json()},
               {"revisions_kept", reconcile.history().size()},
               {"ports", list_of(plane.ports, port_json)},
               {"workers", list_of(plane.workers, worker_json)},
               {"drops", total_drops_json(plane)},
               {"conntrack", conntrack_json(daemon.config.conntrack, plane)},
               {"limits", limits_json(daemon.config.conntrack, reconcile, pending.open, plane)},
               {"unselected", runs ? reconcile.coverage().unselected() : json()},
               {"unmanaged", runs ? reconcile.coverage().unmanaged(plane.ports) : json()},
               {"rules", list_of(rules, total_json)},
               {"trial", trial_json(pending.trial)},
               {"drain", drain_json(pending.drain)},
               {"last_undone", nullptr},
               {"last_refused", nullptr}};
  if (const auto& undone = pending.last_undone) {
    body["last_undone"] = {{"time", time_text(undone->time)},
                           {"age_s", age_s(undone->time)},
                           {"revision", undone->revision},
                           {"base", undone->base},
                           {"reason", undone->reason}};
  }
  if (const auto& refused = reconcile.last_refused()) {
    body["last_refused"] = {{"time", time_text(refused->time)},
                            {"age_s", age_s(refused->time)},
                            {"who", refused->who},
                            {"message", refused->message}};
  }
  return body;
}

}  // namespace portcullis::control
