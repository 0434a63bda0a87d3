// SPDX-License-Identifier: MIT
#include "dataplane/dpdk/spread/crews.h"

#include <algorithm>
#include <numeric>
#include <utility>

#include "dataplane/keyed_hash.h"

namespace portcullis::dataplane {
namespace {

/// Of sixty that were tried, it divides the pairs of hosts in two /24s best for two to eight
/// workers.
constexpr std::uint64_t kShuffle = 29;

/// The crew of one of `parts` that have nothing to do with each other.
Crew crew_of_part(std::size_t part, std::size_t parts, std::size_t workers) {
  if (parts >= workers) {
    return {static_cast<std::uint16_t>(part % workers)};
  }
  Crew crew;
  for (std::size_t worker = part; worker < workers; worker += parts) {
    crew.push_back(static_cast<std::uint16_t>(worker));
  }
  return crew;
}

std::vector<Crew> crews_of_pairs(const config::Config& config, std::size_t workers) {
  std::vector<Crew> crews(config.ports.size());
  for (std::size_t pair = 0; pair < config.mode.pairs.size(); ++pair) {
    const auto& [a, b] = config.mode.pairs[pair];
    for (std::size_t port = 0; port < config.ports.size(); ++port) {
      if (config.ports[port].name == a || config.ports[port].name == b) {
        crews[port] = crew_of_part(pair, config.mode.pairs.size(), workers);
      }
    }
  }
  return crews;
}

}  // namespace

std::vector<Crew> crews_of(const config::Config& config, std::size_t workers) {
  if (config.mode.kind == config::Mode::Kind::wire) {
    return crews_of_pairs(config, workers);
  }
  const bool mirror = config.mode.kind == config::Mode::Kind::mirror;
  std::vector<Crew> crews;
  for (std::size_t port = 0; port < config.ports.size(); ++port) {
    crews.push_back(mirror ? crew_of_part(port, config.ports.size(), workers)
                           : crew_of_part(0, 1, workers));
  }
  return crews;
}

SlotOwners places_of(std::size_t crew) {
  // The hash is linear, and some differences between the addresses of a subnet reach but a few of
  // its bits. Dealt out in turn, slots would leave a worker of three or five nearly idle; so they
  // are shuffled first.
  SlotOwners slots{};
  std::iota(slots.begin(), slots.end(), std::uint16_t{0});
  std::uint64_t seed = kShuffle;
  for (std::size_t i = slots.size() - 1; i > 0; --i) {
    std::swap(slots.at(i), slots.at(next_seed(seed) % (i + 1)));
  }
  std::ranges::for_each(
      slots, [crew](std::uint16_t& slot) { slot = static_cast<std::uint16_t>(slot % crew); });
  return slots;
}

SlotOwners owners_of(const Crew& crew) {
  SlotOwners owners = places_of(crew.size());
  std::ranges::for_each(owners, [&crew](std::uint16_t& owner) { owner = crew[owner]; });
  return owners;
}

}  // namespace portcullis::dataplane
