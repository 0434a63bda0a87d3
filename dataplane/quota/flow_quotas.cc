// SPDX-License-Identifier: MIT
#include "dataplane/quota/flow_quotas.h"

#include <algorithm>

namespace portcullis::dataplane {

bool has_quotas(const config::Conntrack& config) {
  return config.namespace_flows_max > 0 ||
         std::any_of(config.namespace_flows.begin(),
                     config.namespace_flows.end(),
                     [](const auto& one) { return one.second > 0; });
}

void FlowQuotas::charge(std::uint32_t index, NamespaceQuota quota) noexcept {
  if (quota.name_space == 0) {
    return;
  }
  Line& line = lines_[quota.name_space];
  Link& link = links_[index];
  if (line.flows.get() == 0) {
    line.head = index;
    link.next = link.before = index;
  } else {
    Link& first = links_[line.head];
    link.next = line.head;
    link.before = first.before;
    links_[first.before].next = index;
    first.before = index;
  }
  link.name_space = quota.name_space;
  line.flows.add();
  line.flows_max.set(quota.flows_max);
}

void FlowQuotas::release(std::uint32_t index) noexcept {
  Link& link = links_[index];
  if (link.name_space == 0) {
    return;
  }
  Line& line = lines_[link.name_space];
  links_[link.before].next = link.next;
  links_[link.next].before = link.before;
  if (line.head == index) {
    line.head = link.next;
  }
  link.name_space = 0;
  line.flows.set(line.flows.get() - 1);
}

std::vector<NamespaceFlows> FlowQuotas::counts() const {
  std::vector<NamespaceFlows> all;
  for (std::size_t number = 1; number < kNumbers; ++number) {
    const Line& line = lines_[number];
    if (line.flows_max.get() != 0) {
      all.push_back({.name_space = static_cast<std::uint16_t>(number),
                     .flows = line.flows.get(),
                     .flows_max = line.flows_max.get(),
                     .refused = line.refused.get()});
    }
  }
  return all;
}

}  // namespace portcullis::dataplane
