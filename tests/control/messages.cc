// SPDX-License-Identifier: MIT
// Talks to a live control plane in every method and prints what was said, for schemas_test.py: one
// object a line, {request, answer}, as they went over the socket.
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <future>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "base/log.h"
#include "tests/control/edit_words.h"
#include "tests/control/live_commands.h"
#include "tests/support/tuple.h"

namespace portcullis::control {
namespace {

using nlohmann::json;

/// Asks, prints both, and returns the answer.
json say(LivePlane& plane, const std::string& method, const json& params = json::object()) {
  Client client = plane.server_.connect();
  const std::string request = request_line(1, method, params);
  PORTCULLIS_CHECK(client.send(request));
  const auto line = client.receive();
  PORTCULLIS_CHECK(line.has_value());
  json answer = json::parse(*line);
  std::puts(json{{"request", json::parse(request)}, {"answer", answer}}.dump().c_str());
  return answer;
}

json manifests(const std::vector<policy::Manifest>& list) {
  json made = json::array();
  for (const policy::Manifest& one : list) {
    made.push_back({{"name", one.name}, {"text", one.text}});
  }
  return made;
}

void say_edits(LivePlane& plane) {
  const json add = writing("pod.add", pod_text("web-7", "web", "10.0.0.9"));
  say(plane, "edit", steps({add}));
  say(plane, "edit", steps({add}));
  say(plane, "edit", steps({writing("pod.set", pod_text("web-7", "web", "10.0.0.9"))}));
  say(plane, "status");
  say(plane, "edit", {{"steps", {removing("pod.remove", "shop/web-7")}}});
  say(plane, "edit", steps({{{"do", "pod.grow"}}}));
}

void say_changes(LivePlane& plane) {
  const json open = manifests(shop({80}));
  say(plane, "status");
  say(plane, "history");
  say(plane, "hello", {{"protocol", 1}});
  say(plane, "hello", {{"protocol", {1, 2}}, {"client", "a test"}});
  say(plane, "hello", {{"protocol", 7}});
  say(plane, "dance");
  say(plane, "plan", {{"manifests", open}});
  say(plane, "commit", {{"manifests", open}, {"comment", "first"}});
  say(plane, "commit", {{"manifests", open}});
  say(plane, "commit", {{"manifests", manifests(shop({70'000}))}});
  say(plane, "commit", {{"manifests", open}, {"all", true}});
  say(plane, "confirm");
  say(plane, "commit", {{"manifests", manifests(shop({81}))}});
  say(plane, "diff");
  say(plane, "diff", {{"from", 1}, {"to", 1}});
  say(plane, "show", {{"revision", nullptr}});
  say(plane, "show", {{"revision", 77}});
  say(plane, "rollback", {{"revision", 1}, {"comment", "back"}});
  say_edits(plane);
  say(plane, "history");
}

void say_trial(LivePlane& plane) {
  plane.server_.run([&] {
    plane.publisher_.hits = {{.rule = rule_id(classifier::Builtin::default_allow), .packets = 3},
                             {.rule = classifier::rule_id(std::size_t{0}), .packets = 5}};
  });
  const json guards =
      json::array({"denied_per_second < 1000x", "resets_per_second{namespace=*} < 1000x"});
  const json params = {
      {"manifests", manifests(shop({82}))}, {"confirm_s", 600}, {"guards", guards}};
  say(plane, "commit", params);
  say(plane, "status");
  say(plane, "commit", {{"manifests", manifests(shop({83}))}});
  say(plane,
      "confirm",
      {{"revision", say(plane, "history")["result"]["revisions"][0]["revision"]}});
  say(plane, "rollback");
  say(plane, "commit", params);
  // Its time runs out.
  plane.server_.run(
      [&] { plane.changes_->tick(Trial::Clock::now() + std::chrono::seconds(1000)); });
  while (say(plane, "status")["result"]["last_undone"].is_null()) {
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
}

config::Conntrack quotas() {
  return {.flows_max = 64, .namespace_flows_max = 10};
}

ReconcileOptions with_quotas() {
  ReconcileOptions options = open_by_default();
  options.quotas = NamespaceQuotas::of(quotas());
  return options;
}

/// As a worker that knows a connection of the running table, one of an earlier, and a ping.
void give_flows(LivePlane& plane) {
  using classifier::Decision;
  auto table = std::make_unique<dataplane::Conntrack>(quotas(), 7);
  dataplane::FlowTuple ping = test::tuple("10.0.0.2", 77, "10.0.0.1", 8 << 8);
  ping.protocol = classifier::kProtocolIcmp;
  const classifier::Verdict verdict{
      .egress = Decision::allow(rule_id(classifier::Builtin::default_allow)),
      .ingress = Decision::allow(classifier::rule_id(std::size_t{0}))};
  std::uint64_t epoch = plane.publisher_.published;
  for (const dataplane::FlowTuple& flow : {test::tuple("10.0.0.1", 40'000, "10.0.0.2", 80),
                                           test::tuple("fd00::1", 40'000, "fd00::2", 443),
                                           ping}) {
    const dataplane::NamespaceQuota quota = plane.publisher_.namespaces->payer_of(flow);
    table->insert({flow, dataplane::Packet::Event::begin, verdict, epoch, quota},
                  table->hash(flow),
                  FakePublisher::kNowNs);
    epoch = plane.publisher_.published - (epoch == plane.publisher_.published ? 1 : 0);
  }
  plane.publisher_.flow_table = std::move(table);
}

void say_questions(LivePlane& plane) {
  say(plane, "explain", {{"from", "shop/web"}, {"to", "shop/db"}, {"port", 80}});
  say(plane, "explain", {{"from", "10.0.0.1"}, {"to", "192.0.2.9"}, {"protocol", "ICMP"}});
  say(plane, "explain", {{"from", "shop/web"}});
  plane.server_.run([&] { give_flows(plane); });
  say(plane, "plan", {{"manifests", manifests(shop({84}))}});
  say(plane,
      "commit",
      {{"manifests", manifests(shop({84}))}, {"established", "drain"}, {"drain_s", 600}});
  say(plane, "status");
  say(plane, "rollback", {{"established", "keep"}});
  say(plane, "rollback", {{"drain_s", 5}});
  say(plane, "conntrack.list");
  say(plane, "conntrack.list", {{"from", "shop/web"}, {"port", 80}, {"limit", 5}});
  for (const char* by : {"source", "destination", "pair", "port", "namespace"}) {
    say(plane, "conntrack.top", {{"by", by}});
  }
  say(plane, "conntrack.stats");
  say(plane, "conntrack.flush");
  say(plane, "conntrack.flush", {{"protocol", "UDP"}});
  say(plane, "conntrack.flush", {{"all", true}});
}

void say_ports(LivePlane& plane) {
  const json port = {
      {"name", "db"}, {"vdev", "net_af_packet7,iface=veth7"}, {"addresses", {"10.0.0.2"}}};
  say(plane, "port.add", port);
  say(plane, "port.add", port);
  say(plane, "port.remove", {{"name", "db"}});
  say(plane, "port.remove", {{"name", "up"}});
}

/// While another one waits for the lane.
void say_one_change_too_many(LivePlane& plane) {
  std::promise<void> go_on;
  plane.server_.run([&] {
    plane.server_.lane().run([held = go_on.get_future().share()] { held.wait(); }, [] {});
  });
  Client waiting = plane.server_.connect();
  PORTCULLIS_CHECK(waiting.submit("rollback", json::object()));
  while (say(plane, "status")["result"]["limits"]["changes"]["used"] == 0) {
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
  say(plane, "rollback");
  go_on.set_value();
  PORTCULLIS_CHECK(waiting.take().value().has_value());
}

void say_troubles(LivePlane& plane) {
  say_one_change_too_many(plane);
  plane.server_.run([&] { plane.publisher_.broken = true; });
  say(plane, "commit", {{"manifests", manifests(shop({99}))}});
  say(plane, "conntrack.list");
  say(plane, "status");
  plane.server_.run([&] { plane.caller_ = {.uid = 54'321, .groups = {70'002}, .pid = 7}; });
  say(plane, "commit", {{"manifests", manifests(shop({80}))}});
}

/// A node with an uplink, so that ports may come and go.
config::Config node() {
  config::Config config;
  config.ports = {{.name = "up",
                   .vdev = "net_af_packet1,iface=up0",
                   .role = config::Port::Role::uplink,
                   .addresses = {*parse_ip("192.0.2.2")}}};
  config.mode.kind = config::Mode::Kind::node;
  config.mode.gateways = {*parse_ip("192.0.2.1")};
  config.mode.uplink_networks = {*parse_prefix("192.0.2.0/24")};
  return config;
}

void say_everything() {
  LivePlane plane(with_quotas());
  plane.config_ = node();
  plane.config_.control.changes_max = 1;
  plane.roles_ = *Roles::of({.operate_groups = {"70002"}});
  say_changes(plane);
  say_trial(plane);
  say_questions(plane);
  say_ports(plane);
  say_troubles(plane);
}

}  // namespace
}  // namespace portcullis::control

int main() {
  PORTCULLIS_CHECK(portcullis::log::start("error"));  // Which writes to standard error.
  portcullis::control::say_everything();
  return 0;
}
