// SPDX-License-Identifier: MIT
// Plain data of the cluster as manifests state it: namespaces, pods, nodes, NetworkPolicies.
// Values are validated and defaulted already (policy/manifest/decode). Thread: plain data.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "base/ip.h"
#include "classifier/rule.h"
#include "policy/provenance.h"

namespace portcullis::policy {

/// Sorted by key, keys unique.
using Labels = std::vector<std::pair<std::string, std::string>>;

/// metav1.LabelSelector; no requirement = everything. matchLabels come as `in` with one value.
struct Requirement {
  enum class Operator : std::uint8_t { in, not_in, exists, does_not_exist };
  std::string key;
  Operator op = Operator::in;
  std::vector<std::string> values;
};
struct Selector {
  std::vector<Requirement> requirements;
};

struct Namespace {
  std::string name;
  Labels labels;
  Where where;
};

struct Node {
  std::string name;
  Labels labels;
  std::vector<IpAddress> addresses;  // status.addresses that are IP addresses.
  std::vector<Prefix> pod_cidrs;     // spec.podCIDRs, else spec.podCIDR.
  Where where;
};

struct ContainerPort {
  std::string name;  // May be empty.
  std::uint8_t protocol = 0;
  std::uint16_t number = 0;
};

struct Pod {
  std::string name_space;
  std::string name;
  Labels labels;
  std::string node;  // spec.nodeName; may be empty.
  bool host_network = false;
  bool terminated = false;                // status.phase Succeeded or Failed.
  std::vector<IpAddress> addresses;       // status.podIPs, else status.podIP; primary first.
  std::vector<IpAddress> host_addresses;  // status.hostIPs, else status.hostIP.
  std::vector<ContainerPort> ports;       // Of all containers and restartable init containers.
  Where where;
};

/// One item of `from` or `to`: an address block, or pods by selectors.
struct PodPeer {
  std::optional<Selector> namespaces;  // Absent: the policy's own namespace.
  Selector pods;                       // Absent in the manifest: empty, which is everything.
};
using Peer = std::variant<PodPeer, classifier::Block>;

/// One item of `ports`. Number and name are exclusive; neither = the whole protocol.
struct PolicyPort {
  std::uint8_t protocol = 0;
  std::string name;
  std::optional<std::uint16_t> first;
  std::optional<std::uint16_t> last;  // Set whenever `first` is.
};

/// One item of spec.ingress or spec.egress.
struct PolicyRule {
  std::vector<Peer> peers;        // Empty: every peer.
  std::vector<PolicyPort> ports;  // Empty: every port of every protocol.
  Where where;
};

struct NetworkPolicy {
  std::string name_space;
  std::string name;
  Selector subjects;  // Of pods in name_space.
  bool isolates_ingress = false;
  bool isolates_egress = false;
  std::vector<PolicyRule> ingress;  // As written, also where policyTypes leaves them unused.
  std::vector<PolicyRule> egress;
  Where where;
};

}  // namespace portcullis::policy
