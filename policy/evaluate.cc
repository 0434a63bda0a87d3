// SPDX-License-Identifier: MIT
#include "policy/evaluate.h"

#include <algorithm>
#include <variant>

#include "policy/selector.h"

namespace portcullis::policy {

namespace {

using classifier::DefaultMode;
using classifier::Direction;
using classifier::Flow;

bool contains(const std::vector<IpAddress>& addresses, const IpAddress& address) {
  return std::find(addresses.begin(), addresses.end(), address) != addresses.end();
}

/// The world as one flow sees it. Every question is answered from the snapshot itself.
class Judge {
 public:
  Judge(const Snapshot& snapshot, const LowerOptions& options, const Flow& flow)
      : snapshot_(snapshot), options_(options), flow_(flow), destination_(pod_at(flow.dst)) {}

  [[nodiscard]] bool allows(Direction direction) const;

 private:
  [[nodiscard]] const Pod* pod_at(const IpAddress& address) const;
  [[nodiscard]] bool node_has(const std::string& node, const IpAddress& address) const;
  [[nodiscard]] bool any_node_has(const IpAddress& address) const;
  [[nodiscard]] bool in_pod_cidrs(const IpAddress& address) const;
  [[nodiscard]] const Labels& namespace_labels(const std::string& name) const;
  [[nodiscard]] bool allows_no_pod(const IpAddress& subject, const Pod* peer) const;
  [[nodiscard]] bool rule_matches(const NetworkPolicy& policy,
                                  const PolicyRule& rule,
                                  const IpAddress& peer) const;
  [[nodiscard]] bool peer_matches(const NetworkPolicy& policy,
                                  const Peer& peer,
                                  const IpAddress& address) const;
  [[nodiscard]] bool port_matches(const PolicyPort& port) const;

  const Snapshot& snapshot_;
  const LowerOptions& options_;
  const Flow& flow_;
  const Pod* destination_;  // Null: no pod.
};

bool Judge::allows(Direction direction) const {
  const bool egress = direction == Direction::egress;
  const IpAddress& subject = egress ? flow_.src : flow_.dst;
  const IpAddress& peer = egress ? flow_.dst : flow_.src;
  const Pod* pod = pod_at(subject);
  if (pod == nullptr) {
    return allows_no_pod(subject, pod_at(peer));
  }
  if (subject == peer) {
    return true;  // A pod cannot block access to itself.
  }
  if (!pod->node.empty() && node_has(pod->node, peer)) {
    return true;  // Traffic from and to the pod's own node.
  }
  bool isolated = false;
  for (const NetworkPolicy& policy : snapshot_.policies) {
    const bool applies = egress ? policy.isolates_egress : policy.isolates_ingress;
    if (!applies || policy.name_space != pod->name_space ||
        !matches(policy.subjects, pod->labels)) {
      continue;
    }
    isolated = true;
    for (const PolicyRule& rule : egress ? policy.egress : policy.ingress) {
      if (rule_matches(policy, rule, peer)) {
        return true;
      }
    }
  }
  return !isolated && options_.default_mode == DefaultMode::kubernetes;
}

/// No policy speaks of an end that is no pod. The deny mode trusts neither an address among the
/// pods' that nobody is known to hold, nor traffic that has no pod at either end.
bool Judge::allows_no_pod(const IpAddress& subject, const Pod* peer) const {
  if (options_.default_mode == DefaultMode::kubernetes) {
    return true;
  }
  if (in_pod_cidrs(subject) && !any_node_has(subject)) {
    return false;
  }
  return peer != nullptr;
}

bool Judge::rule_matches(const NetworkPolicy& policy,
                         const PolicyRule& rule,
                         const IpAddress& peer) const {
  const bool peer_fits = rule.peers.empty() ||
                         std::any_of(rule.peers.begin(), rule.peers.end(), [&](const Peer& item) {
                           return peer_matches(policy, item, peer);
                         });
  const bool port_fits =
      rule.ports.empty() || std::any_of(rule.ports.begin(),
                                        rule.ports.end(),
                                        [&](const PolicyPort& port) { return port_matches(port); });
  return peer_fits && port_fits;
}

bool Judge::peer_matches(const NetworkPolicy& policy,
                         const Peer& peer,
                         const IpAddress& address) const {
  if (const auto* block = std::get_if<classifier::Block>(&peer)) {
    return block->cidr.contains(address) &&
           std::none_of(block->except.begin(), block->except.end(), [&](const Prefix& hole) {
             return hole.contains(address);
           });
  }
  const auto& selectors = std::get<PodPeer>(peer);
  const Pod* pod = pod_at(address);
  if (pod == nullptr || !matches(selectors.pods, pod->labels)) {
    return false;
  }
  return selectors.namespaces ? matches(*selectors.namespaces, namespace_labels(pod->name_space))
                              : pod->name_space == policy.name_space;
}

bool Judge::port_matches(const PolicyPort& port) const {
  if (port.protocol != flow_.protocol) {
    return false;
  }
  if (!port.name.empty()) {
    return destination_ != nullptr && std::any_of(destination_->ports.begin(),
                                                  destination_->ports.end(),
                                                  [&](const ContainerPort& open) {
                                                    return open.name == port.name &&
                                                           open.protocol == port.protocol &&
                                                           open.number == flow_.dst_port;
                                                  });
  }
  return !port.first || (*port.first <= flow_.dst_port && flow_.dst_port <= *port.last);
}

const Pod* Judge::pod_at(const IpAddress& address) const {
  for (const Pod& pod : snapshot_.pods) {
    if (!pod.terminated && !pod.host_network && contains(pod.addresses, address)) {
      return &pod;
    }
  }
  return nullptr;
}

bool Judge::node_has(const std::string& node, const IpAddress& address) const {
  for (const Node& known : snapshot_.nodes) {
    if (known.name == node && contains(known.addresses, address)) {
      return true;
    }
  }
  return std::any_of(snapshot_.pods.begin(), snapshot_.pods.end(), [&](const Pod& pod) {
    return pod.node == node && !pod.terminated &&
           (contains(pod.host_addresses, address) ||
            (pod.host_network && contains(pod.addresses, address)));
  });
}

bool Judge::any_node_has(const IpAddress& address) const {
  return std::any_of(snapshot_.nodes.begin(),
                     snapshot_.nodes.end(),
                     [&](const Node& node) { return node_has(node.name, address); }) ||
         std::any_of(snapshot_.pods.begin(), snapshot_.pods.end(), [&](const Pod& pod) {
           return !pod.node.empty() && node_has(pod.node, address);
         });
}

bool Judge::in_pod_cidrs(const IpAddress& address) const {
  const auto holds = [&](const Prefix& cidr) { return cidr.contains(address); };
  return std::any_of(options_.pod_cidrs.begin(), options_.pod_cidrs.end(), holds) ||
         std::any_of(snapshot_.nodes.begin(), snapshot_.nodes.end(), [&](const Node& node) {
           return std::any_of(node.pod_cidrs.begin(), node.pod_cidrs.end(), holds);
         });
}

const Labels& Judge::namespace_labels(const std::string& name) const {
  static const Labels kNone;
  const auto found = std::find_if(snapshot_.namespaces.begin(),
                                  snapshot_.namespaces.end(),
                                  [&](const Namespace& known) { return known.name == name; });
  return found == snapshot_.namespaces.end() ? kNone : found->labels;
}

}  // namespace

Evaluation evaluate(const Snapshot& snapshot, const LowerOptions& options, const Flow& flow) {
  const Judge judge(snapshot, options, flow);
  return {judge.allows(Direction::egress), judge.allows(Direction::ingress)};
}

}  // namespace portcullis::policy
