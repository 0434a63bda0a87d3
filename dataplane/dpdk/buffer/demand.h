// SPDX-License-Identifier: MIT
// How many packet buffers a configuration needs: where too few are left to receive into, a port
// goes deaf while nothing seems wrong. Thread: any; pure functions. Units: buffers of eal.mbufs.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/result.h"
#include "config/config.h"

namespace portcullis::dataplane {

/// Descriptors of a queue; a device with other limits adjusts them.
inline constexpr std::uint16_t kRxDescriptors = 1024;
inline constexpr std::uint16_t kTxDescriptors = 1024;

/// Who takes buffers.
struct BufferUse {
  std::uint64_t ports = 0;  // Sum of buffers_of_port().
  std::size_t workers = 1;
  bool routes = false;  // Packets wait for their next hop's address.
};

/// What the queues of a port keep at most, and what its workers have just taken from them. A device
/// that copies keeps none; one that nobody knows counts as a network card, with a queue each way
/// for each of its `crew`.
std::uint64_t buffers_of_port(const config::Port& port, std::size_t crew);

/// What each thread keeps at hand of a pool of so many. Small pools get small caches: else those of
/// many workers would have it all.
std::uint32_t cache_buffers(std::uint64_t buffers);
/// Fragments that one of `workers` may hold back of so many: an eighth is theirs.
std::size_t held_fragments_max(std::uint64_t buffers, std::size_t workers);

/// The least eal.mbufs that leaves a worker something to receive into, whatever the others keep:
/// queues, caches, fragments and packets that wait. What is on the roads between workers is not
/// counted: a road fills only when a worker cannot keep up.
std::uint64_t buffers_needed(const BufferUse& use);

/// Errors: there are fewer; the message says how many it takes.
Result<void> check_buffers(std::uint64_t buffers, const BufferUse& use);

}  // namespace portcullis::dataplane
