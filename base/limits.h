// SPDX-License-Identifier: MIT
// Every fixed capacity of the product in one place. A limit that a user may change is a default in
// config/config.h; these are the walls behind it.
#pragma once

#include <cstddef>
#include <cstdint>

namespace portcullis::limits {

/// Packets (or keys) a burst holds at most; a power of two.
inline constexpr std::size_t kBurstMax = 64;
/// Ethernet ports and worker lcores a daemon drives at most.
inline constexpr std::size_t kPortsMax = 256;
inline constexpr std::size_t kWorkersMax = 64;
/// Addresses of all ports of a router, which it knows for as long as the ports are there.
inline constexpr std::size_t kPodAddressesMax = 1024;
/// Packets on their way from one worker to another; a power of two, as of a ring's slots, which has
/// room for one less. A worker that another program displaces for a while finds them waiting.
inline constexpr unsigned kHandoverSlots = 2048;
/// Hosts on the uplink's networks that a router knows at one time, beside pods and gateways.
inline constexpr std::size_t kNeighboursMax = 1024;
/// Packets that wait until their next hop's MAC is known: for one neighbour, and for all.
inline constexpr std::size_t kHeldPerNeighbourMax = 16;
inline constexpr std::size_t kHeldMax = 512;
/// IPv6 extension headers walked before a packet counts as malformed.
inline constexpr unsigned kIpv6ExtensionsMax = 8;
/// VLAN tags (802.1Q, 802.1ad) walked before a packet counts as malformed.
inline constexpr unsigned kVlanTagsMax = 2;
/// Blocks of addresses between which tunnels are looked into.
inline constexpr std::size_t kTunnelEndpointsMax = 64;
/// Protocols beside IP that may pass.
inline constexpr std::size_t kNonIpMax = 64;
/// Datagrams in fragments that a worker follows; stretches of one with gaps between them; and later
/// fragments that wait for their first one.
inline constexpr std::size_t kDatagramsMax = 1024;
inline constexpr std::size_t kDatagramStretchesMax = 32;
inline constexpr std::size_t kFragmentsHeldMax = 256;

/// A manifest file, a scalar in it, its nesting, the values that all aliases of a document may
/// expand to, and the anchors they may refer to.
inline constexpr std::size_t kManifestBytesMax = 256U << 20U;
inline constexpr std::size_t kScalarBytesMax = 1U << 20U;
inline constexpr std::size_t kNestingMax = 100;
inline constexpr std::size_t kAliasExpansionMax = 100'000;
inline constexpr std::size_t kAnchorsMax = 10'000;
/// Values (keys, scalars, lists, maps) a manifest may hold whatever its size, and bytes of text it
/// must have for each value beyond that: real objects have more, "[1,1,1,1" has less.
inline constexpr std::size_t kManifestValuesFree = 4'000'000;
inline constexpr std::size_t kManifestBytesPerValue = 6;
/// Diagnostics kept of one load; the rest is counted.
inline constexpr std::size_t kDiagnosticsMax = 1000;

/// Revisions kept for rollback.
inline constexpr std::size_t kHistoryMax = 32;

}  // namespace portcullis::limits
