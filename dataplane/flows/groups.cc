// SPDX-License-Identifier: MIT
#include "dataplane/flows/groups.h"

#include <algorithm>
#include <bit>
#include <iterator>
#include <span>
#include <tuple>
#include <unordered_map>

#include "dataplane/keyed_hash.h"

namespace portcullis::dataplane {
namespace {

FlowTuple key_of(GroupedBy by, const FlowTuple& flow) noexcept {
  FlowTuple key;
  key.family = flow.family;
  if (by != GroupedBy::destination) {
    key.src = flow.src;
  }
  if (by == GroupedBy::destination || by == GroupedBy::pair || by == GroupedBy::call) {
    key.dst = flow.dst;
  }
  if (by == GroupedBy::call) {
    key.protocol = flow.protocol;
    key.dst_port = flow.dst_port;
  }
  if (by == GroupedBy::port) {
    key.protocol = flow.protocol;
    key.dst_port = is_icmp(flow.protocol) ? std::uint16_t{0} : flow.dst_port;
  }
  return key;
}

std::uint64_t hash_of(const FlowTuple& key, std::uint64_t seed) noexcept {
  const std::uint64_t rest = std::uint64_t{key.dst_port} << 16U |
                             std::uint64_t{key.protocol} << 8U |
                             static_cast<std::uint64_t>(key.family);
  std::uint64_t state = seed;
  std::uint64_t hash =
      mix(load64(key.src.data()) ^ next_seed(state), load64(key.src.data() + 8) ^ next_seed(state));
  hash ^=
      mix(load64(key.dst.data()) ^ next_seed(state), load64(key.dst.data() + 8) ^ next_seed(state));
  return mix(hash ^ next_seed(state), rest ^ next_seed(state));
}

}  // namespace

FlowGroups::FlowGroups(GroupedBy by, std::size_t groups, std::uint64_t seed)
    : by_(by),
      seed_(seed),
      buckets_(std::bit_ceil((std::max<std::size_t>(groups, 1) + kWays - 1) / kWays)),
      slots_(buckets_ * kWays) {}

void FlowGroups::count(const FlowTuple& flow) noexcept {
  const FlowTuple key = key_of(by_, flow);
  const std::size_t bucket = hash_of(key, seed_) & (buckets_ - 1);
  const std::span<FlowGroup> ways = std::span(slots_).subspan(bucket * kWays, kWays);
  FlowGroup* least = ways.data();
  for (FlowGroup& group : ways) {
    if (group.flows != 0 && group.key == key) {
      ++group.flows;
      return;
    }
    // A free one has less than any other.
    if (group.flows < least->flows) {
      least = &group;
    }
  }
  *least = {.key = key, .flows = least->flows + 1, .error = least->flows};
}

std::uint64_t FlowGroups::missed_max() const noexcept {
  std::uint64_t missed = 0;
  for (std::size_t bucket = 0; bucket < buckets_; ++bucket) {
    const std::span<const FlowGroup> ways = std::span(slots_).subspan(bucket * kWays, kWays);
    // Where nobody ever made room, nobody is missed.
    if (std::ranges::any_of(ways, [](const FlowGroup& group) { return group.error != 0; })) {
      missed = std::max(missed, std::ranges::min(ways, {}, &FlowGroup::flows).flows);
    }
  }
  return missed;
}

std::vector<FlowGroup> FlowGroups::groups() const {
  std::vector<FlowGroup> found;
  std::ranges::copy_if(
      slots_, std::back_inserter(found), [](const FlowGroup& group) { return group.flows != 0; });
  return found;
}

std::vector<FlowGroup> merge(const std::vector<std::vector<FlowGroup>>& counted) {
  const auto hash = [](const FlowTuple& key) { return static_cast<std::size_t>(hash_of(key, 0)); };
  std::unordered_map<FlowTuple, FlowGroup, decltype(hash)> by_key(0, hash);
  for (const std::vector<FlowGroup>& groups : counted) {
    for (const FlowGroup& group : groups) {
      FlowGroup& sum = by_key[group.key];
      sum.key = group.key;
      sum.flows += group.flows;
      sum.error += group.error;
    }
  }
  std::vector<FlowGroup> merged;
  merged.reserve(by_key.size());
  for (const auto& [key, group] : by_key) {
    merged.push_back(group);
  }
  std::ranges::sort(merged, [](const FlowGroup& a, const FlowGroup& b) {
    return a.flows != b.flows ? a.flows > b.flows
                              : std::tie(a.key.src, a.key.dst, a.key.protocol, a.key.dst_port) <
                                    std::tie(b.key.src, b.key.dst, b.key.protocol, b.key.dst_port);
  });
  return merged;
}

}  // namespace portcullis::dataplane
