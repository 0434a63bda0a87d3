// SPDX-License-Identifier: MIT
// Crews: which workers serve a port together, and who of them has which packets.
// Thread: pure functions.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "config/config.h"
#include "dataplane/packet/affinity.h"

namespace portcullis::dataplane {

/// Numbers of workers, ascending. The n-th has queue n of a device that spreads packets itself.
using Crew = std::vector<std::uint16_t>;

/// The crew of each port. Conntrack is per worker, so ports between which packets go have one crew:
/// the two of a pair; all ports of a node. Of pairs, and of a mirror's ports: where there are as
/// many as workers, each belongs to one worker; else they share the workers out.
/// Shapes: result[port], none empty. REQUIRES: config was validated; workers > 0.
std::vector<Crew> crews_of(const config::Config& config, std::size_t workers);

/// Which of a crew has the packets of each affinity slot (affinity() % kAffinitySlots): its place
/// in the crew, and its number. Each has as many slots as any other, or one more or less.
SlotOwners places_of(std::size_t crew);
SlotOwners owners_of(const Crew& crew);

}  // namespace portcullis::dataplane
