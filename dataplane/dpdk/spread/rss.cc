// SPDX-License-Identifier: MIT
#include "dataplane/dpdk/spread/rss.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <vector>

#include <rte_errno.h>
#include <rte_ethdev.h>
#include <rte_thash.h>

#include <fmt/format.h>

#include "dataplane/keyed_hash.h"

namespace portcullis::dataplane {
namespace {

/// Bytes of key that hashes of two IPv6 addresses use: 256 bits and the width of the result.
constexpr std::size_t kKeyBytesMin = 36;
constexpr std::size_t kKeyBytesMax = 64;
/// Of a device that names no size.
constexpr std::size_t kKeyBytesUsual = 40;
constexpr std::uint64_t kHashes =
    RTE_ETH_RSS_IPV4 | RTE_ETH_RSS_FRAG_IPV4 | RTE_ETH_RSS_IPV6 | RTE_ETH_RSS_FRAG_IPV6;
constexpr unsigned kTrials = 1'000;

using Key = std::array<std::uint8_t, kKeyBytesMax>;
using Redirection = std::vector<rte_eth_rss_reta_entry64>;

constexpr Key make_key() {
  Key key{};
  for (std::size_t i = 0; i < key.size(); ++i) {
    key.at(i) = static_cast<std::uint8_t>(i % 2 == 0 ? kAffinityKey >> 8U : kAffinityKey & 0xffU);
  }
  return key;
}

std::size_t key_bytes(const rte_eth_dev_info& device) {
  return device.hash_key_size == 0 ? kKeyBytesUsual : device.hash_key_size;
}

rte_eth_rss_conf wanted_of(const rte_eth_dev_info& device) {
  static Key key = make_key();  // DPDK wants one that it could write, and copies it.
  return {.rss_key = key.data(),
          .rss_key_len = static_cast<std::uint8_t>(key_bytes(device)),
          .rss_hf = kHashes & device.flow_type_rss_offloads};
}

std::uint16_t& entry(Redirection& table, std::size_t index) {
  return table[index / RTE_ETH_RETA_GROUP_SIZE].reta[index % RTE_ETH_RETA_GROUP_SIZE];
}

Redirection whole_table(std::size_t entries) {
  Redirection table(entries / RTE_ETH_RETA_GROUP_SIZE);
  for (rte_eth_rss_reta_entry64& group : table) {
    group.mask = UINT64_MAX;
  }
  return table;
}

Failure failed(const char* what, int error) {
  return fail(fmt::format("{}: {}", what, rte_strerror(error < 0 ? -error : error)));
}

/// What a device with this key and table does with a packet between two addresses.
std::uint16_t queue_of(std::array<std::uint32_t, 8>& words,
                       std::size_t count,
                       const Key& key,
                       Redirection& table) {
  const std::uint32_t hash =
      rte_softrss(words.data(), static_cast<std::uint32_t>(count), key.data());
  return entry(table, hash % (table.size() * RTE_ETH_RETA_GROUP_SIZE));
}

/// Random addresses of `words` words each.
bool holds_for_random(std::size_t words, const Crew& crew, const Key& key, Redirection& table) {
  const SlotOwners owners = owners_of(crew);
  std::uint64_t seed = words;
  for (unsigned trial = 0; trial < kTrials; ++trial) {
    std::array<std::uint32_t, 8> there{};
    std::array<std::uint8_t, 32> bytes{};
    for (std::size_t i = 0; i < 2 * words; ++i) {
      there.at(i) = static_cast<std::uint32_t>(next_seed(seed));
      const std::uint32_t in_network_order = rte_cpu_to_be_32(there.at(i));
      std::memcpy(
          bytes.data() + i * sizeof in_network_order, &in_network_order, sizeof in_network_order);
    }
    std::array<std::uint32_t, 8> back = there;
    std::rotate(back.begin(),
                back.begin() + static_cast<std::ptrdiff_t>(words),
                back.begin() + static_cast<std::ptrdiff_t>(2 * words));
    const std::uint16_t queue = queue_of(there, 2 * words, key, table);
    const std::uint16_t slot =
        affinity_of_addresses(bytes.data(), 2 * words * sizeof(std::uint32_t)) % kAffinitySlots;
    if (queue >= crew.size() || crew[queue] != owners.at(slot) ||
        queue_of(back, 2 * words, key, table) != queue) {
      return false;
    }
  }
  return true;
}

Result<void> prove(std::uint16_t device, const rte_eth_dev_info& about, const Crew& crew) {
  Key key{};
  rte_eth_rss_conf now{};
  now.rss_key = key.data();
  now.rss_key_len = static_cast<std::uint8_t>(key_bytes(about));
  if (const int error = rte_eth_dev_rss_hash_conf_get(device, &now); error != 0) {
    return failed("its key cannot be read", error);
  }
  if ((now.rss_hf & RTE_ETH_RSS_IPV4) == 0 || (now.rss_hf & RTE_ETH_RSS_IPV6) == 0) {
    return fail("it hashes less than was asked of it");
  }
  Redirection table = whole_table(about.reta_size);
  if (const int error = rte_eth_dev_rss_reta_query(device, table.data(), about.reta_size);
      error != 0) {
    return failed("its table of queues cannot be read", error);
  }
  if (!holds_for_random(1, crew, key, table) || !holds_for_random(4, crew, key, table)) {
    return fail("it would part the two directions of a flow");
  }
  return {};
}

}  // namespace

bool offers_rss(const rte_eth_dev_info& device, std::size_t crew) noexcept {
  constexpr std::uint64_t kNeeded = RTE_ETH_RSS_IPV4 | RTE_ETH_RSS_IPV6;
  return (device.flow_type_rss_offloads & kNeeded) == kNeeded && device.reta_size > 0 &&
         device.reta_size % kAffinitySlots == 0 && key_bytes(device) >= kKeyBytesMin &&
         key_bytes(device) <= kKeyBytesMax && device.max_rx_queues >= crew &&
         device.max_tx_queues >= crew;
}

void ask_for_rss(const rte_eth_dev_info& device, rte_eth_conf& conf) {
  conf.rxmode.mq_mode = RTE_ETH_MQ_RX_RSS;
  conf.rx_adv_conf.rss_conf = wanted_of(device);
}

Result<void> set_up_rss(std::uint16_t device, const Crew& crew) {
  rte_eth_dev_info about{};
  if (const int error = rte_eth_dev_info_get(device, &about); error != 0) {
    return failed("it says nothing of itself", error);
  }
  if (about.reta_size == 0 || about.reta_size % kAffinitySlots != 0) {
    return fail(fmt::format("its table of queues has {} entries", about.reta_size));
  }
  // Some drivers take it at this time only; others had it with their configuration.
  rte_eth_rss_conf wanted = wanted_of(about);
  if (const int error = rte_eth_dev_rss_hash_update(device, &wanted);
      error != 0 && error != -ENOTSUP) {
    return failed("its key cannot be set", error);
  }
  Redirection table = whole_table(about.reta_size);
  const SlotOwners places = places_of(crew.size());
  for (std::size_t i = 0; i < about.reta_size; ++i) {
    entry(table, i) = places.at(i % kAffinitySlots);
  }
  if (const int error = rte_eth_dev_rss_reta_update(device, table.data(), about.reta_size);
      error != 0) {
    return failed("its table of queues cannot be set", error);
  }
  return prove(device, about, crew);
}

}  // namespace portcullis::dataplane
