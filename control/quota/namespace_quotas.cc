// SPDX-License-Identifier: MIT
#include "control/quota/namespace_quotas.h"

#include <utility>

#include "base/log.h"
#include "dataplane/quota/flow_quotas.h"

namespace portcullis::control {
namespace {

/// An ended pod owns nothing any more; a hostNetwork pod shares its node's addresses.
std::span<const IpAddress> owned_by(const policy::Pod& pod) {
  if (pod.terminated || pod.host_network) {
    return {};
  }
  return pod.addresses;
}

std::size_t addresses_of(const policy::Snapshot& snapshot) {
  std::size_t addresses = 0;
  for (const policy::Pod& pod : snapshot.pods) {
    addresses += owned_by(pod).size();
  }
  return addresses;
}

}  // namespace

std::shared_ptr<NamespaceQuotas> NamespaceQuotas::of(const config::Conntrack& config) {
  return dataplane::has_quotas(config) ? std::make_shared<NamespaceQuotas>(config) : nullptr;
}

std::uint32_t NamespaceQuotas::flows_max_of(const std::string& name_space) const {
  const auto exception = exceptions_.find(name_space);
  return exception == exceptions_.end() ? flows_max_ : exception->second;
}

dataplane::NamespaceQuota NamespaceQuotas::quota_of(const std::string& name_space) {
  const std::uint32_t flows_max = flows_max_of(name_space);
  if (flows_max == 0) {
    return {};
  }
  const std::lock_guard lock(mutex_);
  const auto known = numbers_.find(name_space);
  if (known != numbers_.end()) {
    return {.name_space = known->second, .flows_max = flows_max};
  }
  if (names_.size() == kNumbersMax) {
    if (!std::exchange(is_told_, true)) {
      log::warn("conntrack: {} namespaces have had a quota of flows; {} and further ones have none",
                kNumbersMax,
                name_space);
    }
    return {};
  }
  names_.push_back(name_space);
  const auto number = static_cast<std::uint16_t>(names_.size());
  numbers_.emplace(name_space, number);
  return {.name_space = number, .flows_max = flows_max};
}

std::string NamespaceQuotas::name_of(std::uint16_t number) const {
  const std::lock_guard lock(mutex_);
  return names_.at(number - std::size_t{1});
}

QuotaMap::QuotaMap(std::shared_ptr<NamespaceQuotas> quotas, const policy::Snapshot& snapshot)
    : quotas_(std::move(quotas)) {
  if (quotas_ == nullptr) {
    return;
  }
  map_ = std::make_shared<dataplane::NamespaceMap>(addresses_of(snapshot));
  for (const policy::Pod& pod : snapshot.pods) {
    for (const IpAddress& address : owned_by(pod)) {
      map_->set(address, quotas_->quota_of(pod.name_space));
    }
  }
}

void QuotaMap::follow(std::span<const policy::Replaced<policy::Pod>> pods) {
  if (quotas_ == nullptr) {
    return;
  }
  // Each address once, as it is in the end: one that goes from pod to pod is never nobody's.
  std::unordered_map<IpAddress, dataplane::NamespaceMap::Owner> owners;
  for (const auto& pod : pods) {
    if (pod.before != nullptr) {
      for (const IpAddress& address : owned_by(*pod.before)) {
        owners.try_emplace(address);
      }
    }
  }
  for (const auto& pod : pods) {
    if (pod.after != nullptr) {
      for (const IpAddress& address : owned_by(*pod.after)) {
        owners.insert_or_assign(address, quotas_->quota_of(pod.after->name_space));
      }
    }
  }
  if (!map_->has_room(owners.size())) {
    map_ = map_->remade(owners.size());
  }
  for (const auto& [address, owner] : owners) {
    map_->set(address, owner);
  }
}

}  // namespace portcullis::control
