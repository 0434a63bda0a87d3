// SPDX-License-Identifier: MIT
#include "classifier/compiler/address_map.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <span>

#include <fmt/format.h>

#include "classifier/address_order.h"
#include "classifier/compiler/trie.h"

namespace portcullis::classifier {
namespace {

constexpr std::size_t kWindowEntriesPerAddress = 16;
constexpr std::size_t kWindowEntriesMin = 65536;
constexpr std::size_t kWindowEntriesMax = std::size_t{1} << 23U;

std::uint64_t read_word(const std::uint8_t* bytes) {
  std::uint64_t word = 0;
  std::memcpy(&word, bytes, sizeof(word));
  return word;
}

/// Slots for so many records at no more than half full.
std::size_t slots_for(std::size_t count) {
  return std::bit_ceil(std::max<std::size_t>(1, count) * 2);
}

/// The node an endpoint stands for or runs on, or kNoEndpoint.
std::uint32_t node_of(const RuleSet& rules, EndpointIndex index) {
  const Endpoint& endpoint = rules.endpoints[index];
  return endpoint.kind == Endpoint::Kind::node ? index : endpoint.node;
}

/// The window over ascending addresses: the length that their number pays for, where most of them
/// lie, less what is empty at its ends.
WindowV4 place_window(const std::vector<std::uint32_t>& addresses) {
  if (addresses.empty()) {
    return {};
  }
  const std::size_t length =
      std::clamp(addresses.size() * kWindowEntriesPerAddress, kWindowEntriesMin, kWindowEntriesMax);
  std::size_t best_first = 0;
  std::size_t best_count = 0;
  std::size_t first = 0;
  for (std::size_t last = 0; last < addresses.size(); ++last) {
    while (addresses[last] - addresses[first] >= length) {
      ++first;
    }
    if (last - first + 1 > best_count) {
      best_count = last - first + 1;
      best_first = first;
    }
  }
  const std::uint32_t begin = addresses[best_first];
  return {.first = begin,
          .classes = std::vector<std::uint32_t>(
              std::size_t{addresses[best_first + best_count - 1]} - begin + 1)};
}

class MapBuilder {
 public:
  MapBuilder(const RuleSet& rules, const Classes& classes, std::size_t bytes_max, const Crew& crew)
      : rules_(rules), classes_(classes), bytes_max_(bytes_max), crew_(crew) {
    maps_.entry_shift = classes.classes.size() <= kNarrowEntries ? 1 : 2;
    maps_.root_v4.resize(Trie::kRootEntries);
    maps_.nodes_v6.resize(Trie::kNodeEntries);
  }

  Result<AddressMaps> build() {
    sort_addresses();
    if (crew_.stopped()) {
      return std::move(maps_);
    }
    make_hashes();
    make_window();
    if (maps_.bytes() > bytes_max_ || !paint_regions() || !add_addresses()) {
      return fail(
          fmt::format("the address maps of {} addresses and {} blocks outgrow the table's limit of "
                      "{} bytes; raise the limit",
                      classes_.addresses.size(),
                      classes_.regions.all().size(),
                      bytes_max_));
    }
    if (maps_.nodes_v4.size() / Trie::kNodeEntries > kNarrowEntries) {
      maps_.entry_shift = 2;
    }
    return std::move(maps_);
  }

 private:
  /// Neighbours in the address space become neighbours in memory.
  void sort_addresses() {
    for (std::uint32_t i = 0; i < classes_.addresses.size() && !crew_.stopped(); ++i) {
      const IpAddress& address = classes_.addresses[i].address;
      if (address.family == Family::v4) {
        v4_order_.push_back(by_address(address.v4(), i));
      } else {
        v6_order_.push_back(i);
      }
    }
    sort_by_address(v4_order_);
    std::ranges::sort(
        v6_order_, {}, [&](std::uint32_t i) { return classes_.addresses[i].address; });
  }

  void make_hashes() {
    const auto owned_v4 = std::ranges::count_if(v4_order_, [&](std::uint64_t word) {
      return node_of(rules_, classes_.addresses[item_of(word)].endpoint) != kNoEndpoint;
    });
    maps_.hosts_v6.resize(slots_for(v6_order_.size()));
    maps_.owners_v4.resize(slots_for(static_cast<std::size_t>(owned_v4)));
  }

  void make_window() {
    std::vector<std::uint32_t> addresses;
    addresses.reserve(v4_order_.size());
    for (const std::uint64_t word : v4_order_) {
      addresses.push_back(address_of(word));
    }
    maps_.window_v4 = place_window(addresses);
  }

  void paint_window(const Prefix& prefix, std::uint32_t address_class) {
    WindowV4& window = maps_.window_v4;
    const std::uint64_t begin = prefix.address.v4();
    const std::uint64_t end = begin + (std::uint64_t{1} << (32U - prefix.length));
    const std::uint64_t window_end = window.first + window.classes.size();
    const std::uint64_t from = std::max<std::uint64_t>(begin, window.first);
    const std::uint64_t to = std::min(end, window_end);
    for (std::uint64_t i = from; i < to; ++i) {
      window.classes[i - window.first] = address_class;
    }
  }

  bool paint_regions() {
    const auto regions = classes_.regions.all();
    for (std::size_t i = 0; i < regions.size(); ++i) {
      const Prefix& prefix = regions[i].prefix;
      const bool is_v4 = prefix.address.family == Family::v4;
      if (is_v4) {
        paint_window(prefix, classes_.region_classes[i]);
      }
      (is_v4 ? v4_ : v6_).paint(prefix.address, prefix.length, classes_.region_classes[i]);
      if (maps_.bytes() > bytes_max_ || crew_.stopped()) {
        return false;
      }
    }
    return true;
  }

  bool add_addresses() {
    for (const std::uint64_t word : v4_order_) {
      const KnownAddress& known = classes_.addresses[item_of(word)];
      add_class_v4(known);
      add_owner_v4(known);
      if (maps_.bytes() > bytes_max_ || crew_.stopped()) {
        return false;
      }
    }
    for (const std::uint32_t i : v6_order_) {
      add_host_v6(classes_.addresses[i]);
      if (crew_.stopped()) {
        return false;
      }
    }
    return true;
  }

  void add_class_v4(const KnownAddress& known) {
    const std::uint32_t address = known.address.v4();
    if (maps_.window_v4.covers(address)) {
      maps_.window_v4.classes[address - maps_.window_v4.first] = known.address_class;
    } else {
      v4_.paint(known.address, known.address.width(), known.address_class);
    }
  }

  void add_owner_v4(const KnownAddress& known) {
    const std::uint32_t node = node_of(rules_, known.endpoint);
    if (node == kNoEndpoint) {
      return;
    }
    const std::size_t mask = maps_.owners_v4.size() - 1;
    std::size_t slot = hash_v4(known.address.v4()) & mask;
    while (maps_.owners_v4[slot].node != kNoClass) {
      slot = (slot + 1) & mask;
    }
    maps_.owners_v4[slot] = {.address = known.address.v4(), .node = node};
  }

  void add_host_v6(const KnownAddress& known) {
    const auto& bytes = known.address.bytes;
    const std::size_t mask = maps_.hosts_v6.size() - 1;
    std::size_t slot = hash_v6(read_word(bytes.data()), read_word(bytes.data() + 8)) & mask;
    while (maps_.hosts_v6[slot].address_class != kNoClass) {
      slot = (slot + 1) & mask;
    }
    maps_.hosts_v6[slot] = {.address = bytes,
                            .address_class = known.address_class,
                            .node = node_of(rules_, known.endpoint)};
  }

  const RuleSet& rules_;
  const Classes& classes_;
  std::size_t bytes_max_;
  const Crew& crew_;
  std::vector<std::uint64_t> v4_order_;  // Into classes_.addresses, by address.
  std::vector<std::uint32_t> v6_order_;
  AddressMaps maps_;
  Trie v4_{maps_.root_v4, maps_.nodes_v4, 16};
  Trie v6_{maps_.nodes_v6, maps_.nodes_v6, 8};
};

}  // namespace

std::vector<std::byte> AddressMaps::entry_bytes(const std::vector<std::uint32_t>& entries) const {
  const auto whole = std::as_bytes(std::span(entries));
  if (entry_shift == 2) {
    return {whole.begin(), whole.end()};
  }
  std::vector<std::byte> bytes(entries.size() * sizeof(std::uint16_t));
  for (std::size_t i = 0; i < entries.size(); ++i) {
    const std::uint32_t entry = entries[i];
    const auto narrow = static_cast<std::uint16_t>((entry & ~kChild) | ((entry & kChild) >> 16U));
    std::memcpy(bytes.data() + i * sizeof(narrow), &narrow, sizeof(narrow));
  }
  return bytes;
}

std::size_t AddressMaps::bytes() const {
  return ((window_v4.classes.size() + root_v4.size() + nodes_v4.size()) << entry_shift) +
         nodes_v6.size() * sizeof(std::uint32_t) + hosts_v6.size() * sizeof(Host6) +
         owners_v4.size() * sizeof(Owner4);
}

Result<AddressMaps> map_addresses(const RuleSet& rules,
                                  const Classes& classes,
                                  std::size_t bytes_max,
                                  const Crew& crew) {
  return MapBuilder(rules, classes, bytes_max, crew).build();
}

}  // namespace portcullis::classifier
