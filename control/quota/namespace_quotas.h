// SPDX-License-Identifier: MIT
// NamespaceQuotas: the namespaces' numbers for the packet path, and how many flows each may have;
// and QuotaMap: the addresses of one content's pods with them, followed from edit to edit.
// Thread: NamespaceQuotas any; QuotaMap one at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "config/config.h"
#include "dataplane/quota/namespace_map.h"
#include "policy/snapshot.h"
#include "policy/world.h"

namespace portcullis::control {

class NamespaceQuotas {
 public:
  /// Null: no namespace has a quota.
  static std::shared_ptr<NamespaceQuotas> of(const config::Conntrack& config);
  explicit NamespaceQuotas(const config::Conntrack& config)
      : flows_max_(config.namespace_flows_max), exceptions_(config.namespace_flows) {}

  /// One that it does not know yet gets a number, which stays its own: flows count against it. When
  /// all are taken, further namespaces are without a quota, and the log says so.
  dataplane::NamespaceQuota quota_of(const std::string& name_space);
  /// REQUIRES: quota_of() has given the number, and it is not 0.
  [[nodiscard]] std::string name_of(std::uint16_t number) const;

 private:
  static constexpr std::size_t kNumbersMax = 65'535;

  [[nodiscard]] std::uint32_t flows_max_of(const std::string& name_space) const;

  const std::uint32_t flows_max_;
  const std::map<std::string, std::uint32_t> exceptions_;

  mutable std::mutex mutex_;  // Contents are compiled on one thread and asked about on another.
  std::unordered_map<std::string, std::uint16_t> numbers_;
  std::vector<std::string> names_;  // names_[n - 1] is of number n.
  bool is_told_ = false;
};

class QuotaMap {
 public:
  /// Of the snapshot's pods; `quotas` may be null, then this is nothing and costs nothing.
  QuotaMap(std::shared_ptr<NamespaceQuotas> quotas, const policy::Snapshot& snapshot);

  /// What pods own from now on, at the cost of these pods. Workers that have map() see it at once,
  /// but where it had no more room: then map() is another.
  void follow(std::span<const policy::Replaced<policy::Pod>> pods);

  /// Null: there are no quotas.
  [[nodiscard]] std::shared_ptr<const dataplane::NamespaceMap> map() const { return map_; }

 private:
  std::shared_ptr<NamespaceQuotas> quotas_;
  std::shared_ptr<dataplane::NamespaceMap> map_;
};

}  // namespace portcullis::control
