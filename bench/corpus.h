// SPDX-License-Identifier: MIT
// The policy-shaped world: clusters and policies of a realistic shape as a Snapshot, the RuleSet
// that lower() makes of them, and traces of flow keys. Equal seeds give equal worlds and traces.
// Thread: plain data.
#pragma once

#include <cstddef>
#include <cstdint>
#include <random>
#include <vector>

#include "classifier/key.h"
#include "classifier/rule.h"
#include "classifier/table.h"
#include "policy/lower.h"
#include "policy/provenance.h"
#include "policy/snapshot.h"

namespace portcullis::bench {

struct Shape {
  std::size_t pods = 0;
  std::size_t policies = 0;
  std::uint64_t seed = 1;
};

struct World {
  Shape shape;
  policy::Snapshot snapshot;
  classifier::RuleSet rules;  // Pod i is endpoint i; the nodes follow.
  policy::Provenance provenance;
  std::size_t namespaces = 0;
  std::size_t apps = 0;
};

/// Namespaces, apps of 3 to 50 replicas, pods scattered over node /24s so that an app's addresses
/// do not aggregate, policies that select one app each by its label.
World make_world(const Shape& shape);

/// With what make_world() lowered the snapshot.
policy::LowerOptions lowering_of(const World& world);

enum class TraceKind : std::uint8_t { mixed, allowed, skewed, uniform, denied };
const char* to_string(TraceKind kind);

/// mixed: half allowed flows, 40 % random pod pairs, 10 % random outside addresses.
/// allowed: allowed flows only. skewed: 65,536 flows of the mixed trace drawn by Zipf 1.1.
/// uniform: random pod pairs, each pod as likely. denied: those of them that miss every rule that
/// could let them through.
/// Shapes: 262,144 keys. `table` is asked which flows are allowed.
std::vector<classifier::Key4> make_trace(const World& world,
                                         const classifier::Table& table,
                                         TraceKind kind);

/// `count` flows as the mixed trace has them that begin or end at a pod of this node.
std::vector<classifier::Key4> make_node_trace(const World& world,
                                              const classifier::Table& table,
                                              classifier::EndpointIndex node,
                                              std::size_t count);

}  // namespace portcullis::bench
