// SPDX-License-Identifier: MIT
// A dataplane that only remembers, and a small cluster to publish.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "control/port/ports.h"
#include "control/reconcile.h"
#include "dataplane/conntrack.h"
#include "dataplane/flows/query.h"

namespace portcullis::control {

class FakePublisher : public Publisher, public PortDriver {
 public:
  Result<Publication> publish(dataplane::Enforced next, dataplane::Kept kept) override {
    if (broken) {
      return fail("the port is on fire");
    }
    running = std::move(next.table);
    namespaces = std::move(next.namespaces);
    ids = next.rule_ids;
    if (kept != dataplane::Kept::same) {
      kept_before = kept == dataplane::Kept::all ? published + 1 : 0;
    }
    return Publication{.epoch = ++published, .retired = std::exchange(hits, {})};
  }
  Result<std::vector<dataplane::RuleHits>> end_kept() override {
    if (broken) {
      return fail("the port is on fire");
    }
    kept_before = 0;
    return std::exchange(hits, {});
  }
  [[nodiscard]] std::vector<dataplane::RuleHits> rule_hits() const override { return hits; }
  [[nodiscard]] dataplane::DataplaneStatus status() const override {
    return {.epoch = published,
            .kept_before = kept_before,
            .ports = {port},
            .workers = {{.cpu = 1,
                         .packets = 10,
                         .dropped = 4,
                         .flows = 3,
                         .flows_created = 9,
                         .resets = resets,
                         .drops = {0, denied}}}};
  }

  /// As a worker would, with `flow_table` for its own; none: there is no worker.
  [[nodiscard]] Result<std::vector<dataplane::FlowAnswer>> flows(
      const dataplane::FlowRequest& request) const override {
    if (broken || mute) {
      return fail("worker 0 does not answer");
    }
    std::vector<dataplane::FlowAnswer> answers;
    if (flow_table) {
      dataplane::FlowQuery query(request);
      while (!query.step(*flow_table, kNowNs)) {
      }
      answers.push_back(query.take());
      answers.back().cpu = 1;
    }
    return answers;
  }

  Result<void> add_port(const config::Port& options) override {
    if (broken) {
      return fail(fmt::format("ports.{}: cannot create device", options.name));
    }
    port_calls.push_back(fmt::format("+{} {} {}", options.name, options.vdev, options.mtu));
    return {};
  }
  Result<void> remove_port(const std::string& name) override {
    if (broken) {
      return fail("it stays");
    }
    port_calls.push_back("-" + name);
    return {};
  }

  dataplane::PortStatus port{.name = "inside", .link_up = true, .rx_packets = 10};
  static constexpr std::uint64_t kNowNs = 1'000'000'000'000;
  std::unique_ptr<dataplane::Conntrack> flow_table;
  std::shared_ptr<const classifier::Table> running;
  std::shared_ptr<const dataplane::NamespaceMap> namespaces;
  std::size_t ids = 0;
  std::uint64_t published = 0;
  std::uint64_t kept_before = 0;
  std::vector<dataplane::RuleHits> hits;
  std::vector<std::string> port_calls;
  bool broken = false;
  bool mute = false;         // Only its workers do not answer.
  std::uint64_t denied = 4;  // Packets, by policy.
  std::uint64_t resets = 0;
};

/// Two pods of namespace shop: web at 10.0.0.1, db at 10.0.0.2.
inline std::string two_pods() {
  std::string text = "apiVersion: v1\nkind: Namespace\nmetadata: {name: shop}\n";
  for (const auto& [name, address] : {std::pair("web", "10.0.0.1"), std::pair("db", "10.0.0.2")}) {
    text += fmt::format(
        "---\napiVersion: v1\nkind: Pod\nmetadata: {{name: {0}, namespace: shop, "
        "labels: {{app: {0}}}}}\nspec: {{nodeName: n1}}\nstatus: {{podIP: {1}, "
        "podIPs: [{{ip: {1}}}]}}\n",
        name,
        address);
  }
  return text;
}

/// A policy of namespace shop that lets web into db on these TCP ports, a rule a port.
inline std::string policy_text(const std::vector<int>& ports, const std::string& name = "db") {
  std::string text = fmt::format(
      "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {{name: {}, namespace: "
      "shop}}\nspec:\n  podSelector: {{matchLabels: {{app: db}}}}\n  ingress:\n",
      name);
  for (const int port : ports) {
    text += fmt::format(
        "  - from: [{{podSelector: {{matchLabels: {{app: web}}}}}}]\n"
        "    ports: [{{port: {}}}]\n",
        port);
  }
  return text;
}

inline std::vector<policy::Manifest> shop(const std::vector<int>& ports) {
  return {{"pods.yaml", two_pods()}, {"policy.yaml", policy_text(ports)}};
}

inline ReconcileOptions open_by_default() {
  return {.lowering = {.default_mode = classifier::DefaultMode::kubernetes}};
}

}  // namespace portcullis::control
