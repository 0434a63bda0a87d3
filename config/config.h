// SPDX-License-Identifier: MIT
// The daemon's configuration as typed plain data, with its defaults. Every key is explained in
// config/example.toml. Units are the last word of a name.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/ip.h"

namespace portcullis::config {

/// [eal]: how DPDK starts. The defaults suit a laptop: no hugepages, no PCI, small memory.
struct Eal {
  std::string file_prefix = "portcullis";
  bool hugepages = false;
  bool pci = false;
  std::uint32_t memory_mb = 192;
  std::uint32_t control_cpu = 0;
  std::vector<std::uint32_t> worker_cpus{1};  // One worker lcore each; may repeat control_cpu.
  std::vector<std::uint32_t> compile_cpus;    // No worker's. Empty: control_cpu.
  std::uint32_t mbufs = 16384;
  enum class Idle : std::uint8_t { poll, sleep } idle = Idle::sleep;
  bool telemetry = true;

  friend bool operator==(const Eal&, const Eal&) = default;
};

/// [ports.NAME]: one Ethernet port. Exactly one of `vdev` and `pci` is set.
struct Port {
  std::string name;
  std::string vdev;  // "net_af_packet0,iface=eth0".
  std::string pci;   // "0000:3b:00.0".
  enum class Role : std::uint8_t { wire, pod, uplink, mirror } role = Role::wire;
  std::vector<IpAddress> addresses;  // Role pod: the pod's addresses; uplink: the node's own.
  std::uint16_t mtu = 1500;

  friend bool operator==(const Port&, const Port&) = default;
};

/// [mode]: what the ports are to each other.
struct Mode {
  enum class Kind : std::uint8_t { wire, node, mirror } kind = Kind::wire;
  std::vector<std::pair<std::string, std::string>> pairs;  // wire: names of ports, both ways.
  bool carry_link = true;               // wire: a port without a link takes its partner's down.
  std::vector<IpAddress> gateways;      // node: next hops on the uplink, at most one a family.
  std::vector<Prefix> uplink_networks;  // node: on-link prefixes of the uplink.

  friend bool operator==(const Mode&, const Mode&) = default;
};

/// [policy]: what to enforce before the first commit.
struct Policy {
  enum class Default : std::uint8_t { kubernetes, deny } default_mode = Default::deny;
  std::vector<std::string> manifests;  // Files or directories, compiled before ports start.
  std::vector<Prefix> pod_cidrs;
  /// What the sender of a denied packet hears.
  enum class Reject : std::uint8_t { drop, reset } reject = Reject::drop;

  friend bool operator==(const Policy&, const Policy&) = default;
};

/// How much is believed of the sequence numbers of TCP.
enum class TcpWindow : std::uint8_t { strict, off };

/// [conntrack]: the per-worker flow table.
struct Conntrack {
  std::uint32_t flows_max = 65'536;       // Per worker.
  std::uint32_t namespace_flows_max = 0;  // Likewise, of each namespace; 0: no quota.
  /// Of namespaces by their names, in place of namespace_flows_max.
  std::map<std::string, std::uint32_t> namespace_flows;
  /// Of known connections that a change denies, unless it says so itself.
  enum class Established : std::uint8_t { revalidate, keep } established = Established::revalidate;
  std::uint32_t tcp_syn_timeout_s = 30;
  std::uint32_t tcp_established_timeout_s = 7'200;
  std::uint32_t tcp_closing_timeout_s = 30;
  std::uint32_t udp_timeout_s = 60;
  std::uint32_t sctp_timeout_s = 600;
  std::uint32_t icmp_timeout_s = 30;
  // Where these two are left out, the mode chooses: false and strict, of a mirror true and off.
  std::optional<bool> tcp_loose;  // Pick up TCP flows in mid-stream.
  std::optional<TcpWindow> tcp_window;

  friend bool operator==(const Conntrack&, const Conntrack&) = default;
};

enum class TunnelKind : std::uint8_t { vxlan, geneve, gre, ipip };

/// [tunnels]: encapsulations whose inner packets are judged in place of the outer ones.
struct Tunnels {
  std::vector<TunnelKind> kinds;  // None: every packet is judged by its own header.
  std::vector<std::uint16_t> vxlan_ports{4789};
  std::vector<std::uint16_t> geneve_ports{6081};
  std::vector<Prefix> endpoints;  // Outer source and destination must be in one of these.

  friend bool operator==(const Tunnels&, const Tunnels&) = default;
};

/// First and last of the numbers meant.
using NumberRange = std::pair<std::uint16_t, std::uint16_t>;

/// Stands for spanning tree (802.3 with LLC) where EtherTypes are listed; it is none itself.
inline constexpr std::uint16_t kNonIpStp = 0x0042;

/// [non_ip]: frames that are not IP.
struct NonIp {
  std::vector<NumberRange> allow{{0x0806, 0x0806}};  // EtherTypes; the default is ARP.

  friend bool operator==(const NonIp&, const NonIp&) = default;
};

/// [control]: the Unix socket.
struct Control {
  std::string socket = "/run/portcullis/control.sock";
  std::uint32_t clients_max = 64;
  std::uint32_t message_mb_max = 64;
  std::uint32_t changes_max = 32;       // Received and not answered yet, of all clients together.
  std::uint32_t client_timeout_s = 30;  // A client that neither reads nor writes is dropped.
  // Names or numbers of groups whose members have a role. None in any: all may do everything.
  std::vector<std::string> observe_groups;
  std::vector<std::string> operate_groups;
  std::vector<std::string> admin_groups;
  std::string audit_log;  // A file; empty: none.
  std::string state;      // A folder for what was committed; empty: it ends with the process.

  friend bool operator==(const Control&, const Control&) = default;
};

/// [observe]
struct Observe {
  std::string log_level = "info";

  friend bool operator==(const Observe&, const Observe&) = default;
};

/// [limits]
struct Limits {
  std::uint32_t table_mb_max = 1024;
  std::uint32_t history_max = 16;

  friend bool operator==(const Limits&, const Limits&) = default;
};

/// Value and mask: (flags & mask) == value.
using MaskedFlags = std::pair<std::uint8_t, std::uint8_t>;

/// [[static_rules]]: one rule over a packet's own fields, ahead of all policies, in their order.
struct StaticRule {
  std::string name;
  enum class Action : std::uint8_t { allow, deny, pass } action = Action::deny;
  std::optional<Prefix> source;  // Absent: any. The same below.
  std::optional<Prefix> destination;
  std::optional<std::uint8_t> protocol;
  NumberRange source_ports{0, 65'535};
  NumberRange destination_ports{0, 65'535};
  MaskedFlags tcp_flags{0, 0};
  std::optional<std::uint8_t> icmp_type;
  std::optional<std::uint8_t> icmp_code;
  std::uint32_t line = 0;  // Of the file.

  friend bool operator==(const StaticRule&, const StaticRule&) = default;
};

struct Config {
  std::string file;  // Where it was read from.
  Eal eal;
  std::vector<Port> ports;
  Mode mode;
  Policy policy;
  std::vector<StaticRule> static_rules;
  Conntrack conntrack;
  Tunnels tunnels;
  NonIp non_ip;
  Control control;
  Observe observe;
  Limits limits;

  friend bool operator==(const Config&, const Config&) = default;
};

}  // namespace portcullis::config
