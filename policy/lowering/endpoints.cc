// SPDX-License-Identifier: MIT
#include "policy/lowering/endpoints.h"

#include <algorithm>
#include <map>
#include <string_view>
#include <tuple>
#include <unordered_map>
#include <utility>

#include <fmt/format.h>

namespace portcullis::policy {

namespace {

using classifier::Endpoint;
using classifier::EndpointIndex;

/// Who has an address: a pod, or the node of this name.
struct Claim {
  const Pod* pod = nullptr;  // Null: a node.
  std::string_view node;     // Of a pod's claim: empty.
  const Where* where = nullptr;

  [[nodiscard]] bool same_owner(const Claim& other) const {
    return pod == other.pod && node == other.node;
  }
  [[nodiscard]] std::string owner() const {
    return pod != nullptr ? fmt::format("pod {}/{}", pod->name_space, pod->name)
                          : fmt::format("node {}", node);
  }
};

/// Builds a Population; members are filled in the order of run().
class Census {
 public:
  Census(const Snapshot& snapshot, const LowerOptions& options)
      : snapshot_(snapshot), options_(options) {}

  Result<Population> run() {
    PORTCULLIS_TRY_VOID(add_workloads());
    PORTCULLIS_TRY_VOID(add_declared_nodes());
    PORTCULLIS_TRY_VOID(add_nodes_of_pods());
    append_nodes();
    add_pod_cidrs();
    return std::move(population_);
  }

 private:
  Result<void> add_workloads();
  Result<void> add_declared_nodes();
  Result<void> add_nodes_of_pods();
  Result<void> add_host_addresses(const Pod& pod, const std::vector<IpAddress>& addresses);
  void append_nodes();
  void add_pod_cidrs();
  /// Takes an address. Errors: another owner has it already.
  Result<void> claim(const IpAddress& address, const Claim& claim);

  const Snapshot& snapshot_;
  const LowerOptions& options_;
  Population population_;
  std::unordered_map<IpAddress, Claim> claims_;
  std::map<std::string_view, std::vector<IpAddress>> nodes_;
};

Result<void> Census::claim(const IpAddress& address, const Claim& claim) {
  const auto [held, fresh] = claims_.try_emplace(address, claim);
  if (fresh || held->second.same_owner(claim)) {
    return {};
  }
  return fail(fmt::format("address {} is claimed by {} ({}) and by {} ({}); an address has one "
                          "owner: correct or remove one of them (an ended pod has status.phase "
                          "Succeeded or Failed)",
                          to_string(address),
                          held->second.owner(),
                          to_string(*held->second.where),
                          claim.owner(),
                          to_string(*claim.where)),
              to_string(*claim.where));
}

void add_unique(std::vector<IpAddress>& addresses, const IpAddress& address) {
  if (std::find(addresses.begin(), addresses.end(), address) == addresses.end()) {
    addresses.push_back(address);
  }
}

Result<void> Census::add_workloads() {
  for (const Pod& pod : snapshot_.pods) {
    if (!pod.terminated && !pod.host_network) {
      population_.workloads.push_back(&pod);
    }
  }
  const auto before = [](const Pod* a, const Pod* b) {
    return std::tie(a->name_space, a->name) < std::tie(b->name_space, b->name);
  };
  // A snapshot that was loaded is in order.
  if (!std::is_sorted(population_.workloads.begin(), population_.workloads.end(), before)) {
    std::sort(population_.workloads.begin(), population_.workloads.end(), before);
  }
  population_.endpoints.reserve(population_.workloads.size() + snapshot_.nodes.size());
  population_.names.reserve(population_.workloads.size() + snapshot_.nodes.size());
  claims_.reserve(population_.workloads.size() + snapshot_.nodes.size());
  for (const Pod* pod : population_.workloads) {
    Endpoint endpoint;
    endpoint.addresses.reserve(pod->addresses.size());
    for (const IpAddress& address : pod->addresses) {
      PORTCULLIS_TRY_VOID(claim(address, {.pod = pod, .where = &pod->where}));
      add_unique(endpoint.addresses, address);
    }
    population_.endpoints.push_back(std::move(endpoint));
    population_.names.push_back({pod->name_space, pod->name});
  }
  return {};
}

Result<void> Census::add_declared_nodes() {
  for (const Node& node : snapshot_.nodes) {
    std::vector<IpAddress>& held = nodes_[node.name];
    for (const IpAddress& address : node.addresses) {
      PORTCULLIS_TRY_VOID(claim(address, {.node = node.name, .where = &node.where}));
      add_unique(held, address);
    }
  }
  return {};
}

Result<void> Census::add_nodes_of_pods() {
  for (const Pod& pod : snapshot_.pods) {
    if (pod.terminated || pod.node.empty()) {
      continue;
    }
    PORTCULLIS_TRY_VOID(add_host_addresses(pod, pod.host_addresses));
    if (pod.host_network) {
      PORTCULLIS_TRY_VOID(add_host_addresses(pod, pod.addresses));
    }
  }
  return {};
}

Result<void> Census::add_host_addresses(const Pod& pod, const std::vector<IpAddress>& addresses) {
  const Claim own{.node = pod.node, .where = &pod.where};
  for (const IpAddress& address : addresses) {
    const auto held = claims_.find(address);
    if (held != claims_.end() && held->second.pod == nullptr && !held->second.same_owner(own)) {
      // Two nodes cannot share the exemption for a pod's own node: the first keeps it.
      population_.warnings.push_back(
          fmt::format("pod {}/{} ({}) gives node {} the address {}, which belongs to {}; ignored",
                      pod.name_space,
                      pod.name,
                      to_string(pod.where),
                      pod.node,
                      to_string(address),
                      held->second.owner()));
      continue;
    }
    PORTCULLIS_TRY_VOID(claim(address, own));
    add_unique(nodes_[pod.node], address);
  }
  return {};
}

void Census::append_nodes() {
  std::unordered_map<std::string_view, EndpointIndex> index_of;
  for (auto& [name, addresses] : nodes_) {
    if (addresses.empty()) {
      continue;
    }
    index_of.emplace(name, static_cast<EndpointIndex>(population_.endpoints.size()));
    population_.endpoints.push_back(
        {.kind = Endpoint::Kind::node, .addresses = std::move(addresses)});
    population_.names.push_back({"", std::string(name)});
  }
  for (std::size_t i = 0; i < population_.workloads.size(); ++i) {
    if (const auto node = index_of.find(population_.workloads[i]->node); node != index_of.end()) {
      population_.endpoints[i].node = node->second;
    }
  }
}

/// Adds what is left of `prefix` without `hole`: one block for each bit between them.
void append_without(const Prefix& prefix, const IpAddress& hole, std::vector<Prefix>& out) {
  for (unsigned length = prefix.length + 1U; length <= hole.width(); ++length) {
    IpAddress sibling = hole;
    const unsigned bit = length - 1;
    sibling.bytes[bit / 8] =
        static_cast<std::uint8_t>(sibling.bytes[bit / 8] ^ (0x80U >> (bit % 8)));
    out.push_back(prefix_of(sibling, length));
  }
}

/// A node's address inside a pod CIDR (flat networks) is known, so it must not count as an
/// unidentified pod.
void Census::add_pod_cidrs() {
  std::vector<Prefix>& cidrs = population_.pod_cidrs;
  cidrs = options_.pod_cidrs;
  for (const Node& node : snapshot_.nodes) {
    cidrs.insert(cidrs.end(), node.pod_cidrs.begin(), node.pod_cidrs.end());
  }
  for (std::size_t i = population_.workloads.size(); i < population_.endpoints.size(); ++i) {
    for (const IpAddress& address : population_.endpoints[i].addresses) {
      const auto holds = [&](const Prefix& cidr) { return cidr.contains(address); };
      if (std::none_of(cidrs.begin(), cidrs.end(), holds)) {
        continue;
      }
      std::vector<Prefix> left;
      for (const Prefix& cidr : cidrs) {
        if (holds(cidr)) {
          append_without(cidr, address, left);
        } else {
          left.push_back(cidr);
        }
      }
      cidrs = std::move(left);
    }
  }
  std::sort(cidrs.begin(), cidrs.end());
  cidrs.erase(std::unique(cidrs.begin(), cidrs.end()), cidrs.end());
}

}  // namespace

Result<Population> populate(const Snapshot& snapshot, const LowerOptions& options) {
  return Census(snapshot, options).run();
}

std::string EndpointName::text() const {
  return name_space.empty() ? "node/" + name : name_space + "/" + name;
}

}  // namespace portcullis::policy
