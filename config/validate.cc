// SPDX-License-Identifier: MIT
#include "config/validate.h"

#include <algorithm>
#include <cctype>
#include <map>
#include <span>
#include <string_view>
#include <utility>

#include <fmt/format.h>

#include "base/limits.h"
#include "config/non_ip_words.h"

namespace portcullis::config {
namespace {

using Found = std::vector<Contradiction>;

/// sockaddr_un holds 108 bytes with the closing zero.
constexpr std::size_t kSocketPathMax = 107;
constexpr std::size_t kDnsLabelBytesMax = 63;

bool is_word(std::string_view text, std::string_view also) {
  return !text.empty() && text.size() <= kNameBytesMax &&
         std::all_of(text.begin(), text.end(), [also](unsigned char c) {
           return std::isalnum(c) != 0 || also.find(static_cast<char>(c)) != also.npos;
         });
}

/// "0000:3b:00.0".
bool is_pci_address(std::string_view text) {
  constexpr std::string_view kForm = "xxxx:xx:xx.x";
  return text.size() == kForm.size() &&
         std::equal(text.begin(), text.end(), kForm.begin(), [](unsigned char c, char form) {
           return form == 'x' ? std::isxdigit(c) != 0 : static_cast<char>(c) == form;
         });
}

void check_eal(const Eal& eal, Found& found) {
  if (!is_word(eal.file_prefix, "-_.")) {
    found.push_back({"eal.file_prefix",
                     "must be 1 to 32 letters, digits, '-', '_' or '.': it names DPDK's files"});
  }
  if (eal.worker_cpus.empty()) {
    found.push_back({"eal.worker_cpus", "name at least one processor; packets need a worker"});
  }
  if (eal.worker_cpus.size() > limits::kWorkersMax) {
    found.push_back({"eal.worker_cpus",
                     fmt::format("{} workers are more than the {} there may be",
                                 eal.worker_cpus.size(),
                                 limits::kWorkersMax)});
  }
  std::vector<std::uint32_t> sorted = eal.worker_cpus;
  std::sort(sorted.begin(), sorted.end());
  for (const std::uint32_t cpu : eal.compile_cpus) {
    if (std::binary_search(sorted.begin(), sorted.end(), cpu)) {
      found.push_back({"eal.compile_cpus",
                       fmt::format("processor {} is a worker's, which would lose packets while "
                                   "policies compile",
                                   cpu)});
    }
  }
  const auto twice = std::adjacent_find(sorted.begin(), sorted.end());
  if (twice != sorted.end()) {
    found.push_back({"eal.worker_cpus",
                     fmt::format("processor {} is listed twice; a worker needs its own", *twice)});
  }
}

void check_device(const Port& port, const Eal& eal, Found& found) {
  const std::string field = "ports." + port.name;
  if (port.vdev.empty() == port.pci.empty()) {
    found.push_back({field,
                     port.vdev.empty()
                         ? "names no device; set vdev (\"net_af_packet0,iface=eth0\") or pci"
                         : "names two devices; keep either vdev or pci"});
    return;
  }
  if (!port.vdev.empty() && !port.vdev.starts_with("net_")) {
    found.push_back({field + ".vdev",
                     fmt::format("'{}' is no DPDK network device; they begin with \"net_\", as "
                                 "\"net_af_packet0,iface=eth0\"",
                                 port.vdev)});
  }
  if (!port.pci.empty() && !is_pci_address(port.pci)) {
    found.push_back(
        {field + ".pci", fmt::format("'{}' is no PCI address (e.g. 0000:3b:00.0)", port.pci)});
  }
  if (!port.pci.empty() && !eal.pci) {
    found.push_back({field + ".pci", "needs eal.pci = true"});
  }
}

/// Each device and each address may serve one port.
void check_unique(const std::vector<Port>& ports, Found& found) {
  std::map<std::string, std::string> port_of_device;
  std::map<IpAddress, std::string> port_of_address;
  for (const Port& port : ports) {
    const std::string field = "ports." + port.name;
    const std::string device =
        port.vdev.empty() ? port.pci : port.vdev.substr(0, port.vdev.find(','));
    const auto [other, first] = port_of_device.emplace(device, port.name);
    if (!first && !device.empty()) {
      found.push_back({field + (port.vdev.empty() ? ".pci" : ".vdev"),
                       fmt::format("device {} already serves port '{}'", device, other->second)});
    }
    for (const IpAddress& address : port.addresses) {
      const auto [owner, fresh] = port_of_address.emplace(address, port.name);
      if (!fresh) {
        found.push_back(
            {field + ".addresses",
             fmt::format(
                 "{} is already an address of port '{}'", to_string(address), owner->second)});
      }
    }
  }
}

void check_ports(const Config& config, Found& found) {
  if (config.ports.empty()) {
    found.push_back({"ports", "there is no port; add a table [ports.NAME] for each"});
  }
  if (config.ports.size() > limits::kPortsMax) {
    found.push_back({"ports",
                     fmt::format("{} ports are more than the {} there may be",
                                 config.ports.size(),
                                 limits::kPortsMax)});
  }
  for (const Port& port : config.ports) {
    if (!is_word(port.name, "-_.")) {
      found.push_back(
          {"ports." + port.name, "a port's name must be 1 to 32 letters, digits, '-', '_' or '.'"});
    }
    check_device(port, config.eal, found);
  }
  check_unique(config.ports, found);
}

void check_pairs(const Config& config, Found& found) {
  std::map<std::string, bool> paired;
  for (const Port& port : config.ports) {
    paired.emplace(port.name, false);
  }
  for (const auto& [a, b] : config.mode.pairs) {
    for (const std::string& name : {a, b}) {
      const auto port = paired.find(name);
      if (port == paired.end()) {
        found.push_back({"mode.pairs", fmt::format("there is no [ports.{}]", name)});
      } else if (std::exchange(port->second, true)) {
        found.push_back({"mode.pairs", fmt::format("port '{}' is paired twice", name)});
      }
    }
  }
  for (const auto& [name, is_paired] : paired) {
    if (!is_paired) {
      found.push_back(
          {"mode.pairs",
           fmt::format("port '{}' is in no pair, so its packets would go nowhere", name)});
    }
  }
}

void refuse_pairs(const Mode& mode, Found& found) {
  if (!mode.pairs.empty()) {
    found.push_back({"mode.pairs", "has a meaning only where mode.kind is \"wire\""});
  }
  if (mode.carry_link != Mode{}.carry_link) {
    found.push_back({"mode.carry_link", "has a meaning only where mode.kind is \"wire\""});
  }
}

void refuse_routes(const Mode& mode, Found& found) {
  if (!mode.gateways.empty()) {
    found.push_back({"mode.gateways", "has a meaning only where mode.kind is \"node\""});
  }
  if (!mode.uplink_networks.empty()) {
    found.push_back({"mode.uplink_networks", "has a meaning only where mode.kind is \"node\""});
  }
}

void check_wire(const Config& config, Found& found) {
  for (const Port& port : config.ports) {
    const std::string field = "ports." + port.name;
    if (port.role != Port::Role::wire) {
      found.push_back({field + ".role", "must be \"wire\" where mode.kind is \"wire\""});
    }
    if (!port.addresses.empty()) {
      found.push_back({field + ".addresses",
                       "a wire port has no addresses; remove them or set mode.kind = \"node\""});
    }
  }
  check_pairs(config, found);
  refuse_routes(config.mode, found);
}

/// A mirror has no other side and no addressee: its ports only listen.
void check_mirror(const Config& config, Found& found) {
  for (const Port& port : config.ports) {
    const std::string field = "ports." + port.name;
    if (port.role != Port::Role::mirror) {
      found.push_back({field + ".role", "must be \"mirror\" where mode.kind is \"mirror\""});
    }
    if (!port.addresses.empty()) {
      found.push_back({field + ".addresses",
                       "a mirror port has no addresses; remove them or set mode.kind = \"node\""});
    }
  }
  refuse_pairs(config.mode, found);
  refuse_routes(config.mode, found);
  if (config.policy.reject != Policy::Reject::drop) {
    found.push_back(
        {"policy.reject", "must be \"drop\" where mode.kind is \"mirror\", which answers nobody"});
  }
}

void check_gateways(const Mode& mode, Found& found) {
  for (const Family family : {Family::v4, Family::v6}) {
    const auto of_family = [family](const IpAddress& a) { return a.family == family; };
    if (std::count_if(mode.gateways.begin(), mode.gateways.end(), of_family) > 1) {
      found.push_back({"mode.gateways",
                       fmt::format("holds two {} gateways; keep one a family",
                                   family == Family::v4 ? "IPv4" : "IPv6")});
    }
  }
  for (const IpAddress& gateway : mode.gateways) {
    const auto& networks = mode.uplink_networks;
    const bool on_link = std::any_of(networks.begin(), networks.end(), [&](const Prefix& network) {
      return network.contains(gateway);
    });
    if (!on_link) {
      found.push_back({"mode.gateways",
                       fmt::format("{} is in none of mode.uplink_networks, so it cannot be reached",
                                   to_string(gateway))});
    }
  }
}

/// A router knows its neighbours for good, and a gateway is not a pod.
void check_neighbours(const Config& config, Found& found) {
  std::size_t count = 0;
  for (const Port& port : config.ports) {
    count += port.addresses.size();
    for (const IpAddress& gateway : config.mode.gateways) {
      if (std::find(port.addresses.begin(), port.addresses.end(), gateway) !=
          port.addresses.end()) {
        found.push_back({"ports." + port.name + ".addresses",
                         fmt::format("{} is a gateway of mode.gateways, which is behind the uplink",
                                     to_string(gateway))});
      }
    }
  }
  if (count > limits::kPodAddressesMax) {
    found.push_back({"ports",
                     fmt::format("{} addresses of ports are more than the {} there may be",
                                 count,
                                 limits::kPodAddressesMax)});
  }
}

void check_node(const Config& config, Found& found) {
  std::string uplink;
  for (const Port& port : config.ports) {
    const std::string field = "ports." + port.name;
    if (port.role != Port::Role::pod && port.role != Port::Role::uplink) {
      found.push_back(
          {field + ".role", "must be \"pod\" or \"uplink\" where mode.kind is \"node\""});
    } else if (port.addresses.empty()) {
      found.push_back({field + ".addresses",
                       port.role == Port::Role::pod ? "list the pod's addresses"
                                                    : "list the node's own addresses"});
    }
    if (port.role == Port::Role::uplink && !uplink.empty()) {
      found.push_back({field + ".role", fmt::format("port '{}' is the uplink already", uplink)});
    } else if (port.role == Port::Role::uplink) {
      uplink = port.name;
    }
  }
  if (uplink.empty()) {
    found.push_back({"mode.kind", "\"node\" needs a port with role = \"uplink\""});
  }
  refuse_pairs(config.mode, found);
  check_gateways(config.mode, found);
  check_neighbours(config, found);
}

void check_non_ip(const Config& config, Found& found) {
  const std::vector<NumberRange>& allow = config.non_ip.allow;
  if (config.mode.kind == Mode::Kind::node && config.non_ip != NonIp{}) {
    found.push_back(
        {"non_ip",
         "has no meaning where mode.kind is \"node\": a router answers ARP and sends on "
         "nothing but IP; remove the section"});
    return;
  }
  if (allow.size() > limits::kNonIpMax) {
    found.push_back(
        {"non_ip.allow",
         fmt::format(
             "{} protocols are more than the {} there may be", allow.size(), limits::kNonIpMax)});
  }
  for (std::size_t i = 0; i < allow.size(); ++i) {
    const auto before = std::span(allow).first(i);
    const bool twice = std::any_of(before.begin(), before.end(), [&](const NumberRange& one) {
      return one.first <= allow[i].second && allow[i].first <= one.second;
    });
    if (twice) {
      found.push_back({fmt::format("non_ip.allow[{}]", i),
                       fmt::format("{} is named twice", non_ip_name(allow[i]))});
    }
  }
}

/// RFC 1123, as Kubernetes has it for namespaces.
bool is_dns_label(std::string_view text) {
  const auto is_word = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); };
  return !text.empty() && text.size() <= kDnsLabelBytesMax && text.front() != '-' &&
         text.back() != '-' &&
         std::all_of(text.begin(), text.end(), [&](char c) { return c == '-' || is_word(c); });
}

void check_quotas(const Conntrack& conntrack, Found& found) {
  const auto check_room = [&](const std::string& field, std::uint32_t flows) {
    if (flows > conntrack.flows_max) {
      found.push_back({field,
                       fmt::format("{} flows are more than the {} of conntrack.flows_max, which "
                                   "all namespaces share",
                                   flows,
                                   conntrack.flows_max)});
    }
  };
  check_room("conntrack.namespace_flows_max", conntrack.namespace_flows_max);
  for (const auto& [name, flows] : conntrack.namespace_flows) {
    const std::string field = "conntrack.namespace_flows." + name;
    if (!is_dns_label(name)) {
      found.push_back({field,
                       fmt::format("'{}' is no namespace's name, which has 1 to {} small letters, "
                                   "digits and '-', and begins and ends with no '-'",
                                   name,
                                   kDnsLabelBytesMax)});
    }
    check_room(field, flows);
  }
}

bool has_kind(const Tunnels& tunnels, TunnelKind kind) {
  return std::find(tunnels.kinds.begin(), tunnels.kinds.end(), kind) != tunnels.kinds.end();
}

void check_tunnel_ports(const Tunnels& tunnels, Found& found) {
  const auto& vxlan = tunnels.vxlan_ports;
  const auto& geneve = tunnels.geneve_ports;
  const bool has_vxlan = has_kind(tunnels, TunnelKind::vxlan);
  const bool has_geneve = has_kind(tunnels, TunnelKind::geneve);
  if (has_vxlan && vxlan.empty()) {
    found.push_back(
        {"tunnels.vxlan_ports", "names no port; VXLAN has 4789, Linux' old one is 8472"});
  }
  if (has_geneve && geneve.empty()) {
    found.push_back({"tunnels.geneve_ports", "names no port; Geneve has 6081"});
  }
  for (const std::uint16_t port : geneve) {
    if (has_vxlan && has_geneve && std::find(vxlan.begin(), vxlan.end(), port) != vxlan.end()) {
      found.push_back({"tunnels.geneve_ports",
                       fmt::format("port {} is VXLAN's already; a packet can be only one", port)});
    }
  }
}

/// A pod among the endpoints could put any inner source it likes into a packet of its own.
void check_endpoints(const Config& config, Found& found) {
  const std::vector<Prefix>& endpoints = config.tunnels.endpoints;
  if (endpoints.empty()) {
    found.push_back({"tunnels.endpoints",
                     "is empty, so nothing would be looked into; list the nodes' networks"});
  }
  if (endpoints.size() > limits::kTunnelEndpointsMax) {
    found.push_back(
        {"tunnels.endpoints",
         fmt::format("{} blocks are more than the {} there may be; join neighbouring ones",
                     endpoints.size(),
                     limits::kTunnelEndpointsMax)});
  }
  for (const Prefix& endpoint : endpoints) {
    for (const Prefix& pods : config.policy.pod_cidrs) {
      if (endpoint.contains(pods) || pods.contains(endpoint)) {
        found.push_back(
            {"tunnels.endpoints",
             fmt::format("{} overlaps {} of policy.pod_cidrs, so a pod could pass for a "
                         "node; list the nodes' addresses only",
                         to_string(endpoint),
                         to_string(pods))});
      }
    }
  }
}

void check_tunnels(const Config& config, Found& found) {
  const Tunnels& tunnels = config.tunnels;
  if (tunnels == Tunnels{}) {
    return;
  }
  if (config.mode.kind == Mode::Kind::node) {
    found.push_back({"tunnels",
                     "has no meaning where mode.kind is \"node\": pods' packets come bare, and a "
                     "packet that is routed is judged by the address it is routed to; remove the "
                     "section, or set mode.kind = \"wire\" between the nodes"});
    return;
  }
  if (tunnels.kinds.empty()) {
    found.push_back({"tunnels.kinds",
                     "names no encapsulation, so nothing would be looked into; name some of "
                     "vxlan, geneve, gre, ipip, or remove the section"});
    return;
  }
  check_tunnel_ports(tunnels, found);
  check_endpoints(config, found);
}

void check_static_rule(const StaticRule& rule, const std::string& field, Found& found) {
  constexpr std::uint8_t kIcmp = 1;
  constexpr std::uint8_t kTcp = 6;
  constexpr std::uint8_t kUdp = 17;
  constexpr std::uint8_t kIcmpv6 = 58;
  constexpr std::uint8_t kSctp = 132;
  const bool is_icmp = rule.protocol == kIcmp || rule.protocol == kIcmpv6;
  const auto say = [&](std::string_view what) { found.push_back({field, std::string(what)}); };
  if (rule.source && rule.destination &&
      rule.source->address.family != rule.destination->address.family) {
    say("source and destination are of different families, so no packet would match");
  }
  const StaticRule any;
  const bool has_ports =
      rule.source_ports != any.source_ports || rule.destination_ports != any.destination_ports;
  if (has_ports && rule.protocol != kTcp && rule.protocol != kUdp && rule.protocol != kSctp) {
    say("names ports; set protocol to \"tcp\", \"udp\" or \"sctp\", which have them");
  }
  if (rule.tcp_flags != any.tcp_flags && rule.protocol != kTcp) {
    say("names TCP flags; set protocol = \"tcp\"");
  }
  if ((rule.icmp_type || rule.icmp_code) && !is_icmp) {
    say("names an ICMP type; set protocol to \"icmp\" or \"icmpv6\"");
  }
  if (rule.icmp_code && !rule.icmp_type) {
    say("names an ICMP code without its type; add icmp_type");
  }
}

void check_static_rules(const Config& config, Found& found) {
  for (std::size_t i = 0; i < config.static_rules.size(); ++i) {
    check_static_rule(config.static_rules[i], fmt::format("static_rules[{}]", i), found);
  }
}

}  // namespace

std::vector<Contradiction> validate(const Config& config) {
  Found found;
  check_eal(config.eal, found);
  check_ports(config, found);
  switch (config.mode.kind) {
    case Mode::Kind::wire:
      check_wire(config, found);
      break;
    case Mode::Kind::node:
      check_node(config, found);
      break;
    case Mode::Kind::mirror:
      check_mirror(config, found);
      break;
  }
  check_tunnels(config, found);
  check_non_ip(config, found);
  check_quotas(config.conntrack, found);
  check_static_rules(config, found);
  const std::string& socket = config.control.socket;
  if (socket.empty() || socket.size() > kSocketPathMax) {
    found.push_back(
        {"control.socket", fmt::format("must be a path of 1 to {} bytes", kSocketPathMax)});
  }
  return found;
}

}  // namespace portcullis::config
