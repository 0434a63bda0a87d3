// SPDX-License-Identifier: MIT
#include "control/status/coverage.h"

#include <algorithm>
#include <string_view>
#include <unordered_set>
#include <utility>

namespace portcullis::control {
namespace {

using nlohmann::json;

std::string name_of(const policy::Pod& pod) {
  return pod.name_space + "/" + pod.name;
}

}  // namespace

Coverage::Coverage(const policy::Snapshot& snapshot,
                   const policy::Lowered& lowered,
                   std::span<const IpAddress> node_addresses) {
  find_unselected(snapshot, lowered);
  find_node(snapshot, node_addresses);
  sort_pods(snapshot);
}

void Coverage::count(Tally& tally, const policy::Pod& pod) {
  if (++tally.total <= kNamesMax) {
    tally.first.push_back(name_of(pod));
  }
}

/// The last rule of a policy isolates all that it selects.
void Coverage::find_unselected(const policy::Snapshot& snapshot, const policy::Lowered& lowered) {
  std::unordered_set<std::string_view> selecting;
  for (const classifier::Rule& rule : lowered.rules.rules) {
    const policy::RuleOrigin& origin = lowered.provenance[rule.provenance];
    if (origin.rule == policy::RuleOrigin::kIsolation &&
        !lowered.rules.sets[rule.subjects].endpoints.empty()) {
      selecting.insert(origin.policy);
    }
  }
  for (const policy::NetworkPolicy& policy : snapshot.policies) {
    const bool isolates = policy.isolates_ingress || policy.isolates_egress;
    std::string name = policy.name_space + "/" + policy.name;
    if (isolates && !selecting.contains(name)) {
      unselected_.emplace(std::move(name), policy.where);
    }
  }
}

Coverage Coverage::with(std::span<const policy::Replaced<policy::NetworkPolicy>> policies,
                        std::span<const policy::ObjectKey> idle) const {
  Coverage changed = *this;
  for (const auto& policy : policies) {
    std::string name = policy.key.first + "/" + policy.key.second;
    changed.unselected_.erase(name);
    if (std::ranges::find(idle, policy.key) != idle.end()) {
      changed.unselected_.emplace(std::move(name), policy.after->where);
    }
  }
  return changed;
}

void Coverage::find_node(const policy::Snapshot& snapshot,
                         std::span<const IpAddress> node_addresses) {
  for (const policy::Node& node : snapshot.nodes) {
    const bool is_this = std::ranges::any_of(node.addresses, [&](const IpAddress& address) {
      return std::ranges::find(node_addresses, address) != node_addresses.end();
    });
    if (is_this) {
      node_ = node.name;
      return;
    }
  }
}

void Coverage::sort_pods(const policy::Snapshot& snapshot) {
  for (const policy::Pod& pod : snapshot.pods) {
    if (pod.terminated) {
      continue;
    }
    if (pod.host_network) {
      count(on_host_, pod);
    } else if (pod.addresses.empty()) {
      count(without_address_, pod);
    } else if (!node_.empty() && pod.node == node_) {
      for (const IpAddress& address : pod.addresses) {
        local_of_.emplace(address, static_cast<std::uint32_t>(local_.size()));
      }
      local_.push_back(name_of(pod));
    }
  }
}

Coverage::Tally Coverage::without_port(std::span<const dataplane::PortStatus> ports) const {
  std::unordered_set<std::uint32_t> served;
  for (const dataplane::PortStatus& port : ports) {
    for (const IpAddress& address : port.addresses) {
      if (const auto found = local_of_.find(address); found != local_of_.end()) {
        served.insert(found->second);
      }
    }
  }
  Tally tally{.total = local_.size() - served.size()};
  const std::size_t wanted = std::min(tally.total, kNamesMax);
  for (std::uint32_t i = 0; tally.first.size() < wanted; ++i) {
    if (!served.contains(i)) {
      tally.first.push_back(local_[i]);
    }
  }
  return tally;
}

json Coverage::unselected() const {
  json first = json::array();
  for (const auto& [name, where] : unselected_) {
    if (first.size() == kNamesMax) {
      break;
    }
    first.push_back({{"policy", name}, {"file", where.file}, {"line", where.line}});
  }
  return {{"total", unselected_.size()}, {"policies", std::move(first)}};
}

json Coverage::unmanaged(std::span<const dataplane::PortStatus> ports) const {
  const Tally without = without_port(ports);
  json listed = json::array();
  json counts = json::object();
  std::size_t total = 0;
  // What is most likely a mistake comes first, in case not all have room.
  for (const auto& [reason, tally] : {std::pair("no_port", &without),
                                      std::pair("no_address", &without_address_),
                                      std::pair("host_network", &on_host_)}) {
    counts[reason] = tally->total;
    total += tally->total;
    for (const std::string& pod : tally->first) {
      if (listed.size() < kNamesMax) {
        listed.push_back({{"pod", pod}, {"reason", reason}});
      }
    }
  }
  return {{"total", total},
          {"node", node_.empty() ? json() : json(node_)},
          {"reasons", std::move(counts)},
          {"pods", std::move(listed)}};
}

}  // namespace portcullis::control
