// SPDX-License-Identifier: MIT
#include "dataplane/dpdk/fragmenter.h"

#include <algorithm>
#include <cerrno>

// DPDK 22.11 calls the fragmenting copy experimental.
#define ALLOW_EXPERIMENTAL_API
#include <rte_ip_frag.h>
#include <rte_mbuf.h>

#include "dataplane/packet/checksum.h"
#include "dataplane/packet/headers.h"
#include "dataplane/respond.h"

namespace portcullis::dataplane {
namespace {

using EthernetHeader = std::array<std::uint8_t, wire::kEthernetBytes>;

/// Makes a frame of the bare packet that DPDK leaves.
void finish(rte_mbuf* fragment, const EthernetHeader& ethernet) {
  auto* const ip = rte_pktmbuf_mtod(fragment, std::uint8_t*);
  // DPDK leaves the sum to a device that can; ours are not asked to.
  const std::span<const std::uint8_t> header(ip, (ip[0] & 0x0fU) * std::size_t{4});
  wire::store16(ip + wire::kIpv4Checksum, checksum_finish(checksum_add(0, header)));
  // A fresh buffer's headroom has place for the one, its unused end for the other.
  rte_pktmbuf_prepend(fragment, wire::kEthernetBytes);
  std::copy(ethernet.begin(), ethernet.end(), rte_pktmbuf_mtod(fragment, std::uint8_t*));
  if (fragment->data_len < kFrameBytesMin) {
    const auto padding = static_cast<std::uint16_t>(kFrameBytesMin - fragment->data_len);
    std::fill_n(rte_pktmbuf_append(fragment, padding), padding, char{0});
  }
}

}  // namespace

bool may_be_fragmented(std::span<const std::uint8_t> frame, std::size_t l3_offset) noexcept {
  const std::uint8_t* ip = frame.data() + l3_offset;
  return ip[0] >> 4U == 4 &&
         (wire::load16(ip + wire::kIpv4Fragment) & wire::kIpv4DontFragment) == 0;
}

FragmentBurst fragment_ipv4(rte_mbuf* packet, std::uint16_t mtu, rte_mempool* pool) noexcept {
  auto* const frame = rte_pktmbuf_mtod(packet, std::uint8_t*);
  EthernetHeader ethernet{};
  std::copy_n(frame, ethernet.size(), ethernet.begin());
  // DPDK takes all that is there for payload: it is to see the packet, and neither the Ethernet
  // header nor what a link has put behind the packet.
  const std::uint16_t total = wire::load16(frame + wire::kEthernetBytes + wire::kIpv4Total);
  const auto trailer = static_cast<std::uint16_t>(packet->data_len - wire::kEthernetBytes - total);
  rte_pktmbuf_adj(packet, wire::kEthernetBytes);
  rte_pktmbuf_trim(packet, trailer);
  // Its copying form: fragments that share the packet's buffer have two segments each, which not
  // every device can send. It keeps identifier, and the place and "more fragments" of a fragment;
  // the later ones of a first get the options that are to be copied, and shorter headers. A packet
  // that fits once its trailer is gone leaves in one fragment, which is the packet, or in two.
  FragmentBurst burst;
  const std::int32_t made = rte_ipv4_fragment_copy_nonseg_packet(
      packet, burst.packets.data(), burst.packets.size(), mtu, pool);
  rte_pktmbuf_prepend(packet, wire::kEthernetBytes);
  rte_pktmbuf_append(packet, trailer);
  if (made <= 0) {
    burst.reason = made == -ENOMEM ? DropReason::no_memory : DropReason::packet_too_big;
    return burst;
  }
  burst.count = static_cast<std::size_t>(made);
  for (std::size_t i = 0; i < burst.count; ++i) {
    finish(burst.packets[i], ethernet);
  }
  return burst;
}

}  // namespace portcullis::dataplane
