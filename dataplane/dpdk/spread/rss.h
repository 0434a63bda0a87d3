// SPDX-License-Identifier: MIT
// Receive side scaling of a device, set up so that both directions of a flow come to one queue, and
// proven by what the device says of itself.
// Thread: the control thread, while nobody polls the device.
// Source: DPDK Programmer's Guide, "Toeplitz Hash Library"; Microsoft's RSS specification.
#pragma once

#include <cstdint>

#include <rte_ethdev.h>

#include "base/result.h"
#include "dataplane/dpdk/spread/crews.h"

namespace portcullis::dataplane {

/// Whether a device offers what it takes: hashes of IPv4 and IPv6 addresses under a key of ours,
/// a table of queues with a multiple of kAffinitySlots entries, and a queue each way for everyone.
bool offers_rss(const rte_eth_dev_info& device, std::size_t crew) noexcept;

/// Asks for it in the configuration of a device. REQUIRES: offers_rss().
void ask_for_rss(const rte_eth_dev_info& device, rte_eth_conf& conf);

/// Gives each queue its slots, then reads key and table back and sends random addresses through
/// both in thought, either way round: each must come to the queue of the worker that owns it.
/// REQUIRES: asked for; the device is started. Errors: what does not hold.
Result<void> set_up_rss(std::uint16_t device, const Crew& crew);

}  // namespace portcullis::dataplane
