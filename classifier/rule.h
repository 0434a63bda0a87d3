// SPDX-License-Identifier: MIT
// RuleSet: the intermediate representation between policies and the table. Ordered rules over sets
// of endpoints and address blocks; nothing of Kubernetes but its tiers.
// Thread: plain data.
//
// Meaning, for one flow and one direction (egress: subject = source, peer = destination; ingress:
// the reverse). A flow is allowed iff both directions allow it. The first of these that applies
// decides:
//   0. The first static rule that matches the flow allows or denies it, in both directions alike;
//      pass, or no match: go on.
//   1. The subject's address is no workload's:
//      default_deny mode: it lies in pod_cidrs           -> deny  (Builtin::unidentified);
//                         neither end is a workload's    -> deny  (Builtin::transit);
//      else                                              -> allow (Builtin::no_subject).
//   2. Subject and peer have the same address            -> allow (Builtin::self).
//   3. Tier::admin: the first rule of this direction and tier that matches: allow, deny, or pass
//      (go on with the next tier). No match: the next tier.
//   4. The peer is a node endpoint and is endpoint.node of the subject -> allow
//      (Builtin::own_node).
//   5. Tier::network_policy, then Tier::baseline, as 3. (Isolation by NetworkPolicies is written
//      as deny rules after the allow rules of that tier.)
//   6. Default mode: allow (Builtin::default_allow) or deny (Builtin::default_deny).
// A rule matches when its subjects hold the subject address, its peers hold the peer address and
// its ports hold (protocol, destination port). Ports always mean the destination's, in both
// directions.
#pragma once

#include <cstdint>
#include <limits>
#include <optional>
#include <vector>

#include "base/ip.h"

namespace portcullis::classifier {

enum class Direction : std::uint8_t { egress, ingress };
enum class Tier : std::uint8_t { admin, network_policy, baseline };
/// `none` is a free slot of RuleSet::rules: it matches nothing and its indices mean nothing.
enum class Action : std::uint8_t { allow, deny, pass, none };

using EndpointIndex = std::uint32_t;
using SetIndex = std::uint32_t;
using PortsIndex = std::uint32_t;
inline constexpr EndpointIndex kNoEndpoint = std::numeric_limits<EndpointIndex>::max();

/// Something with addresses of its own: a pod (workload) or a node.
/// An address belongs to at most one endpoint of a RuleSet; compile() refuses anything else.
struct Endpoint {
  enum class Kind : std::uint8_t { workload, node };
  Kind kind = Kind::workload;
  EndpointIndex node = kNoEndpoint;  // Workloads: the node endpoint it runs on, if known.
  std::vector<IpAddress> addresses;

  friend bool operator==(const Endpoint&, const Endpoint&) = default;
};

/// The addresses of `cidr` less those of `except`.
struct Block {
  Prefix cidr;
  std::vector<Prefix> except;

  friend auto operator<=>(const Block&, const Block&) = default;
};

/// A set of addresses: everything, or the union of endpoints' addresses and blocks.
/// `endpoints` is sorted and unique.
struct AddressSet {
  bool everything = false;
  std::vector<EndpointIndex> endpoints;
  std::vector<Block> blocks;

  friend auto operator<=>(const AddressSet&, const AddressSet&) = default;
};

/// Destination ports first..last of one protocol. Protocols without ports use 0..0.
struct PortRange {
  std::uint8_t protocol = 0;
  std::uint16_t first = 0;
  std::uint16_t last = 0;

  friend auto operator<=>(const PortRange&, const PortRange&) = default;
};

/// `everything`: every port of every protocol, ICMP and unknown ones included; else the union.
/// A whole protocol is 0..65535. Empty and not everything: nothing.
struct PortSet {
  bool everything = false;
  std::vector<PortRange> ranges;

  friend auto operator<=>(const PortSet&, const PortSet&) = default;
};

/// Among rules of equal direction and tier, a lower `order` comes first; then the place in
/// RuleSet::rules. A rule that an update takes away leaves a free slot, so that ids stay.
struct Rule {
  Direction direction = Direction::ingress;
  Tier tier = Tier::network_policy;
  Action action = Action::allow;
  SetIndex subjects = 0;
  SetIndex peers = 0;
  PortsIndex ports = 0;
  std::uint32_t provenance =
      0;  // Meaningless here; policy/provenance.h gives it a name and a line.
  std::uint32_t order = 0;

  friend bool operator==(const Rule&, const Rule&) = default;
};

/// Numbers first..last of a 16-bit field.
struct Interval {
  std::uint16_t first = 0;
  std::uint16_t last = 0xffff;

  friend auto operator<=>(const Interval&, const Interval&) = default;
};

/// A rule over a packet's own fields, ahead of all tiers: what an operator says of hosts and of
/// transit traffic. Priority is the order in RuleSet::static_rules.
struct StaticRule {
  std::optional<Prefix> src;  // Absent: every address; with `dst` absent too, of both families.
  std::optional<Prefix> dst;
  std::optional<std::uint8_t> protocol;  // Absent: every protocol.
  Interval src_ports;                    // A protocol without ports has 0 and 0.
  Interval dst_ports;
  Interval icmp;                    // type << 8 | code; needs protocol ICMP or ICMPv6.
  std::uint8_t tcp_flags = 0;       // (flags & mask) == tcp_flags; a mask needs protocol TCP.
  std::uint8_t tcp_flags_mask = 0;  // 0: any flags.
  Action action = Action::deny;
  std::uint32_t provenance = 0;  // As Rule's.

  friend bool operator==(const StaticRule&, const StaticRule&) = default;
};

enum class DefaultMode : std::uint8_t { kubernetes, deny };

struct RuleSet {
  DefaultMode default_mode = DefaultMode::deny;
  std::vector<Prefix> pod_cidrs;
  std::vector<Endpoint> endpoints;
  std::vector<AddressSet> sets;
  std::vector<PortSet> port_sets;
  std::vector<Rule> rules;
  std::vector<StaticRule> static_rules;
};

}  // namespace portcullis::classifier
