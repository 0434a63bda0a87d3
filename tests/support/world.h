// SPDX-License-Identifier: MIT
// Random clusters and policies, made to be awkward, for tests that compare two ways of judging.
// Thread: pure function of the seed.
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include "classifier/key.h"
#include "policy/lower.h"
#include "policy/snapshot.h"

namespace portcullis::test {

/// A cluster, and every place where a verdict may change: the first and last address of each
/// block and endpoint with their neighbours, and likewise for ports.
struct World {
  policy::Snapshot snapshot;
  policy::LowerOptions options;
  std::vector<IpAddress> addresses_v4;
  std::vector<IpAddress> addresses_v6;
  std::vector<std::pair<std::uint8_t, std::uint16_t>> ports;  // (protocol, destination port).
};

/// How large a world may be; each count is drawn from 1..max (policies, nodes: 0..max).
struct WorldSize {
  unsigned namespaces_max = 4;
  unsigned nodes_max = 3;
  unsigned pods_max = 12;
  unsigned policies_max = 6;
};

/// The same seed and size give the same world. No two live pods or nodes share an address.
World random_world(std::uint64_t seed, const WorldSize& size);

}  // namespace portcullis::test
