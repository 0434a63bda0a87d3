// SPDX-License-Identifier: MIT
#include "policy/lowering/set_pool.h"

#include <algorithm>
#include <cstdint>
#include <functional>
#include <string_view>
#include <utility>
#include <vector>

namespace portcullis::policy {

namespace {

using classifier::AddressSet;
using classifier::PortRange;
using classifier::PortSet;

std::size_t hash_of(const AddressSet& set) {
  const std::string_view endpoints(reinterpret_cast<const char*>(set.endpoints.data()),
                                   set.endpoints.size() * sizeof(classifier::EndpointIndex));
  std::size_t hash = std::hash<std::string_view>{}(endpoints) + (set.everything ? 1U : 0U);
  for (const classifier::Block& block : set.blocks) {
    constexpr std::size_t kFactor = 0x9e37'79b9'7f4a'7c15U;
    hash = (hash ^ std::hash<IpAddress>{}(block.cidr.address) ^ block.cidr.length) * kFactor;
    hash += block.except.size();
  }
  return hash;
}

}  // namespace

void normalise(PortSet& ports) {
  if (ports.everything) {
    ports.ranges.clear();
    return;
  }
  std::sort(ports.ranges.begin(), ports.ranges.end());
  std::vector<PortRange> merged;
  for (const PortRange& range : ports.ranges) {
    if (!merged.empty() && merged.back().protocol == range.protocol &&
        range.first <= std::uint32_t{merged.back().last} + 1) {
      merged.back().last = std::max(merged.back().last, range.last);
    } else {
      merged.push_back(range);
    }
  }
  ports.ranges = std::move(merged);
}

classifier::SetIndex SetPool::intern(AddressSet set) {
  if (set.everything) {
    set.endpoints.clear();
    set.blocks.clear();
  }
  for (classifier::Block& block : set.blocks) {
    std::sort(block.except.begin(), block.except.end());
    block.except.erase(std::unique(block.except.begin(), block.except.end()), block.except.end());
  }
  std::sort(set.blocks.begin(), set.blocks.end());
  set.blocks.erase(std::unique(set.blocks.begin(), set.blocks.end()), set.blocks.end());

  const std::size_t hash = hash_of(set);
  const auto [first, last] = sets_.equal_range(hash);
  for (auto held = first; held != last; ++held) {
    if (rules_.sets[held->second] == set) {
      return held->second;
    }
  }
  const auto index = static_cast<classifier::SetIndex>(rules_.sets.size());
  rules_.sets.push_back(std::move(set));
  sets_.emplace(hash, index);
  return index;
}

classifier::PortsIndex SetPool::intern(PortSet ports) {
  normalise(ports);
  const auto [held, fresh] =
      ports_.try_emplace(ports, static_cast<classifier::PortsIndex>(rules_.port_sets.size()));
  if (fresh) {
    rules_.port_sets.push_back(std::move(ports));
  }
  return held->second;
}

}  // namespace portcullis::policy
