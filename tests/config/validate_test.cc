// SPDX-License-Identifier: MIT
#include "config/validate.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "base/limits.h"

namespace portcullis::config {
namespace {

IpAddress ip(const char* text) {
  return parse_ip(text).value();
}

Config good_wire() {
  Config config;
  config.ports = {{.name = "a", .vdev = "net_null0"}, {.name = "b", .vdev = "net_null1"}};
  config.mode.pairs = {{"a", "b"}};
  return config;
}

Config good_node() {
  Config config;
  config.ports = {
      {.name = "web", .vdev = "net_null0", .role = Port::Role::pod, .addresses = {ip("10.0.0.7")}},
      {.name = "up",
       .vdev = "net_null1",
       .role = Port::Role::uplink,
       .addresses = {ip("192.0.2.2")}}};
  config.mode.kind = Mode::Kind::node;
  config.mode.gateways = {ip("192.0.2.1")};
  config.mode.uplink_networks = {parse_prefix("192.0.2.0/24").value()};
  return config;
}

Config good_mirror() {
  Config config;
  config.ports = {{.name = "a", .vdev = "net_null0", .role = Port::Role::mirror},
                  {.name = "b", .vdev = "net_null1", .role = Port::Role::mirror}};
  config.mode.kind = Mode::Kind::mirror;
  return config;
}

/// "field: message" of each contradiction, a line each.
std::string said(const Config& config) {
  std::string out;
  for (const Contradiction& found : validate(config)) {
    out += fmt::format("{}: {}\n", found.field, found.message);
  }
  return out;
}

void expect_said(const Config& config, const std::string& field, const std::string& part) {
  const std::string all = said(config);
  EXPECT_EQ(all.find(field + ": "), 0U) << all;
  EXPECT_NE(all.find(part), all.npos) << all;
  EXPECT_EQ(all.find('\n'), all.size() - 1) << "one complaint is enough:\n" << all;
}

TEST(Validate, WantsAGatewayToBeNoPod) {
  Config config = good_node();
  config.ports[0].addresses = {ip("192.0.2.1")};
  expect_said(config, "ports.web.addresses", "192.0.2.1 is a gateway");
}

TEST(Validate, BoundsTheAddressesOfARouter) {
  Config config = good_node();
  for (std::uint32_t i = 0; i < limits::kPodAddressesMax; ++i) {
    config.ports[0].addresses.push_back(IpAddress::from_v4(0x0b00'0000U + i));
  }
  expect_said(config, "ports", "addresses of ports are more than the 1024");
}

TEST(Validate, AcceptsEveryMode) {
  EXPECT_EQ(said(good_wire()), "");
  EXPECT_EQ(said(good_node()), "");
  EXPECT_EQ(said(good_mirror()), "");
}

Tunnels good_tunnels() {
  return {.kinds = {TunnelKind::vxlan, TunnelKind::geneve},
          .endpoints = {parse_prefix("192.0.2.0/24").value()}};
}

TEST(Validate, AcceptsTunnelsWherePacketsPassBetweenNodes) {
  for (Config config : {good_wire(), good_mirror()}) {
    config.tunnels = good_tunnels();
    EXPECT_EQ(said(config), "");
    config.tunnels.vxlan_ports = {4789, 8472};
    EXPECT_EQ(said(config), "");
  }
}

TEST(Validate, SaysWhyARouterOpensNoTunnels) {
  Config config = good_node();
  config.tunnels = good_tunnels();
  expect_said(config, "tunnels", "pods' packets come bare");
}

TEST(Validate, WantsTunnelsToBeTold) {
  Config config = good_wire();
  config.tunnels.endpoints = good_tunnels().endpoints;
  expect_said(config, "tunnels.kinds", "names no encapsulation");
  config.tunnels = good_tunnels();
  config.tunnels.endpoints.clear();
  expect_said(config, "tunnels.endpoints", "nothing would be looked into");
  config.tunnels = good_tunnels();
  config.tunnels.vxlan_ports.clear();
  expect_said(config, "tunnels.vxlan_ports", "names no port");
  config.tunnels = good_tunnels();
  config.tunnels.geneve_ports.clear();
  expect_said(config, "tunnels.geneve_ports", "names no port");
  config.tunnels.geneve_ports = {6081, 4789};
  expect_said(config, "tunnels.geneve_ports", "port 4789 is VXLAN's already");
  config.tunnels = good_tunnels();
  config.tunnels.endpoints.resize(65, config.tunnels.endpoints[0]);
  expect_said(config, "tunnels.endpoints", "65 blocks are more than the 64");
}

TEST(Validate, KeepsPodsApartFromTheEndsOfTunnels) {
  Config config = good_wire();
  config.tunnels = good_tunnels();
  for (const char* pods : {"192.0.2.128/25", "192.0.0.0/16"}) {
    config.policy.pod_cidrs = {parse_prefix(pods).value()};
    expect_said(config, "tunnels.endpoints", "a pod could pass for a node");
  }
  config.policy.pod_cidrs = {parse_prefix("10.244.0.0/16").value()};
  EXPECT_EQ(said(config), "");
}

TEST(Validate, AcceptsAWorkerOnTheControlCpu) {
  Config config = good_wire();
  config.eal.worker_cpus = {0};
  EXPECT_EQ(said(config), "");
}

TEST(Validate, WantsDistinctWorkers) {
  Config config = good_wire();
  config.eal.compile_cpus = {0, 1};
  expect_said(config, "eal.compile_cpus", "processor 1 is a worker's");
  config.eal.compile_cpus.clear();
  config.eal.worker_cpus = {};
  expect_said(config, "eal.worker_cpus", "at least one");
  config.eal.worker_cpus = {3, 1, 3};
  expect_said(config, "eal.worker_cpus", "processor 3 is listed twice");
  config.eal.worker_cpus.clear();
  for (std::uint32_t cpu = 0; cpu < 65; ++cpu) {
    config.eal.worker_cpus.push_back(cpu);
  }
  expect_said(config, "eal.worker_cpus", "65 workers are more than the 64");
}

TEST(Validate, WantsOneDeviceAPort) {
  Config config = good_wire();
  config.ports[0].vdev.clear();
  expect_said(config, "ports.a", "names no device");
  config.ports[0].vdev = "net_null0";
  config.ports[0].pci = "0000:3b:00.0";
  expect_said(config, "ports.a", "names two devices");
  config.ports[0].vdev.clear();
  expect_said(config, "ports.a.pci", "needs eal.pci");
  config.eal.pci = true;
  EXPECT_EQ(said(config), "");
  config.ports[0].pci = "3b:00.0";
  expect_said(config, "ports.a.pci", "is no PCI address");
}

TEST(Validate, WantsKnownDevicesOncePerPort) {
  Config config = good_wire();
  config.ports[1].vdev = "net_null0,size=64";
  expect_said(config, "ports.b.vdev", "already serves port 'a'");
  config.ports[1].vdev = "eth0";
  expect_said(config, "ports.b.vdev", "begin with \"net_\"");
}

TEST(Validate, WantsEveryWirePortInOnePair) {
  Config config = good_wire();
  config.mode.pairs = {{"a", "c"}, {"b", "a"}};
  EXPECT_EQ(said(config),
            "mode.pairs: there is no [ports.c]\nmode.pairs: port 'a' is paired twice\n");
  config.mode.pairs = {{"a", "a"}};
  EXPECT_EQ(said(config),
            "mode.pairs: port 'a' is paired twice\n"
            "mode.pairs: port 'b' is in no pair, so its packets would go nowhere\n");
}

TEST(Validate, KeepsNodeKeysOutOfWire) {
  Config config = good_wire();
  config.mode.gateways = {ip("192.0.2.1")};
  expect_said(config, "mode.gateways", "mode.kind is \"node\"");
  config.mode.gateways.clear();
  config.ports[0].addresses = {ip("10.0.0.1")};
  expect_said(config, "ports.a.addresses", "no addresses");
  config.ports[0].addresses.clear();
  config.ports[0].role = Port::Role::pod;
  expect_said(config, "ports.a.role", "must be \"wire\"");
}

TEST(Validate, WantsAMirrorOnlyToListen) {
  Config config = good_mirror();
  config.ports[1].role = Port::Role::wire;
  expect_said(config, "ports.b.role", "must be \"mirror\"");
  config = good_mirror();
  config.ports[0].addresses = {ip("10.0.0.1")};
  expect_said(config, "ports.a.addresses", "no addresses");
  config = good_mirror();
  config.mode.pairs = {{"a", "b"}};
  expect_said(config, "mode.pairs", "mode.kind is \"wire\"");
  config = good_mirror();
  config.mode.uplink_networks = {parse_prefix("192.0.2.0/24").value()};
  expect_said(config, "mode.uplink_networks", "mode.kind is \"node\"");
  config = good_mirror();
  config.policy.reject = Policy::Reject::reset;
  expect_said(config, "policy.reject", "answers nobody");
  config = good_wire();
  config.ports[0].role = Port::Role::mirror;
  expect_said(config, "ports.a.role", "must be \"wire\"");
  config = good_node();
  config.ports[0].role = Port::Role::mirror;
  expect_said(config, "ports.web.role", "\"pod\" or \"uplink\"");
}

TEST(Validate, WantsExactlyOneUplink) {
  Config config = good_node();
  config.ports[0].role = Port::Role::uplink;
  expect_said(config, "ports.up.role", "port 'web' is the uplink already");
  config = good_node();
  config.ports.pop_back();
  expect_said(config, "mode.kind", "needs a port with role = \"uplink\"");
}

TEST(Validate, WantsAddressesInNodeMode) {
  Config config = good_node();
  config.ports[0].addresses.clear();
  expect_said(config, "ports.web.addresses", "the pod's addresses");
  config = good_node();
  config.ports[1].addresses.push_back(ip("10.0.0.7"));
  expect_said(config, "ports.up.addresses", "10.0.0.7 is already an address of port 'web'");
  config = good_node();
  config.ports[0].role = Port::Role::wire;
  expect_said(config, "ports.web.role", "\"pod\" or \"uplink\"");
  config = good_node();
  config.mode.pairs = {{"web", "up"}};
  expect_said(config, "mode.pairs", "mode.kind is \"wire\"");
}

TEST(Validate, LetsSeveralWorkersServeANode) {
  Config config = good_node();
  config.eal.worker_cpus = {1, 2};
  EXPECT_TRUE(validate(config).empty());
}

TEST(Validate, WantsGatewaysThatCanBeReached) {
  Config config = good_node();
  config.mode.gateways = {ip("198.51.100.1")};
  expect_said(config, "mode.gateways", "198.51.100.1 is in none of mode.uplink_networks");
  config.mode.gateways = {ip("192.0.2.1"), ip("192.0.2.9")};
  expect_said(config, "mode.gateways", "two IPv4 gateways");
}

TEST(Validate, BoundsNamesAndPaths) {
  Config config = good_wire();
  config.eal.file_prefix = "a/b";
  expect_said(config, "eal.file_prefix", "letters, digits");
  config = good_wire();
  config.control.socket = std::string(108, 's');
  expect_said(config, "control.socket", "1 to 107 bytes");
  config = good_wire();
  config.ports[0].name = config.mode.pairs[0].first = "a b";
  expect_said(config, "ports.a b", "a port's name");
  config = Config{};
  expect_said(config, "ports", "there is no port");
}

TEST(Validate, LeavesLinksToTheModeThatCarriesThem) {
  Config config = good_wire();
  config.mode.carry_link = false;
  EXPECT_EQ(said(config), "");
  for (Config other : {good_node(), good_mirror()}) {
    other.mode.carry_link = false;
    expect_said(other, "mode.carry_link", "only where mode.kind is \"wire\"");
  }
}

TEST(Validate, LeavesOtherProtocolsToTheModesThatPassThem) {
  Config config = good_node();
  config.non_ip.allow = {};
  expect_said(config, "non_ip", "where mode.kind is \"node\"");
  config = good_mirror();
  config.non_ip.allow = {{0x88cc, 0x88cc}};
  EXPECT_EQ(said(config), "");
}

TEST(Validate, BoundsTheListOfOtherProtocols) {
  Config config = good_wire();
  config.non_ip.allow.clear();
  for (std::uint16_t type = 0x8900; config.non_ip.allow.size() < limits::kNonIpMax; ++type) {
    config.non_ip.allow.emplace_back(type, type);
  }
  EXPECT_EQ(said(config), "");
  config.non_ip.allow.emplace_back(0x88cc, 0x88cc);
  expect_said(config, "non_ip.allow", "more than the 64");
}

}  // namespace
}  // namespace portcullis::config
