// SPDX-License-Identifier: MIT
#include "classifier/updater/live_map.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <cstring>
#include <utility>
#include <vector>

namespace portcullis::classifier {
namespace {

constexpr std::size_t kAddressBytes = sizeof(Host6::address);
constexpr std::size_t kNodeEntries = 256;

/// Loads of the writer, which nobody else writes to.
template <typename Word>
Word read(const std::byte* bytes) {
  Word word{};
  std::memcpy(&word, bytes, sizeof(word));
  return word;
}

template <typename Word>
void publish(std::byte* bytes, Word word) {
  std::atomic_ref<Word>(*reinterpret_cast<Word*>(bytes)).store(word, std::memory_order_release);
}

/// Two words that are read and written as one.
constexpr std::uint64_t pair_of(std::uint32_t first, std::uint32_t second) {
  return std::bit_cast<std::uint64_t>(std::array{first, second});
}

/// One slot in four stays empty, so a search ends.
constexpr bool fits(std::size_t records, std::size_t slots) {
  return records * 4 <= slots * 3;
}

}  // namespace

LiveMap::LiveMap(const Table& table) : header_(table.header()), parts_(table.parts()) {
  for (std::size_t i = 0; i <= header_.owners_v4_mask; ++i) {
    owners_used_ += table.view().owners_v4[i].node != kNoClass ? 1 : 0;
  }
  for (std::size_t i = 0; i <= header_.hosts_v6_mask; ++i) {
    hosts_used_ += table.view().hosts_v6[i].address_class != kNoClass ? 1 : 0;
  }
}

std::byte* LiveMap::at(Part part, std::size_t offset) const {
  return parts_[static_cast<std::size_t>(part)].bytes.get() + offset;
}

/// As kernels read it, but with the child bit where layout.h has it.
std::uint32_t LiveMap::entry4(Part part, std::size_t index) const {
  const std::byte* bytes = at(part, index << header_.entry_shift);
  if (header_.entry_shift == 2) {
    return read<std::uint32_t>(bytes);
  }
  const std::uint32_t entry = read<std::uint16_t>(bytes);
  return (entry & (kNarrowEntries - 1)) | ((entry & kNarrowEntries) << 16U);
}

std::optional<LiveMap::Place> LiveMap::find(const IpAddress& address) const {
  return address.family == Family::v4 ? find_v4(address.v4()) : find_v6(address);
}

std::optional<LiveMap::Place> LiveMap::find_v4(std::uint32_t address) const {
  Place place;
  if (address - header_.window_first < header_.window_size) {
    place.offset = std::size_t{address - header_.window_first} << header_.entry_shift;
  } else {
    std::uint32_t entry = entry4(Part::root_v4, address >> 16U);
    if ((entry & kChild) == 0) {
      return std::nullopt;
    }
    entry = entry4(Part::nodes_v4, ((entry & ~kChild) << 8U) + ((address >> 8U) & 0xffU));
    if ((entry & kChild) == 0) {
      return std::nullopt;
    }
    place.part = Part::nodes_v4;
    place.offset = (std::size_t{entry & ~kChild} * 256 + (address & 0xffU)) << header_.entry_shift;
  }
  std::uint32_t slot = hash_v4(address) & header_.owners_v4_mask;
  const auto owner_at = [&] { return read<Owner4>(at(Part::owners_v4, slot * sizeof(Owner4))); };
  while (owner_at().node != kNoClass && owner_at().address != address) {
    slot = (slot + 1) & header_.owners_v4_mask;
  }
  place.owner = slot * sizeof(Owner4);
  place.node = owner_at().node;
  place.owner_is_new = place.node == kNoClass;
  return place;
}

bool LiveMap::has_room(std::span<const IpAddress> addresses) const {
  std::size_t owners = 0;
  std::size_t hosts = 0;
  for (const IpAddress& address : addresses) {
    const auto place = find(address);
    owners += place && place->owner_is_new ? 1 : 0;
    hosts += place && place->is_new ? 1 : 0;
  }
  return (owners == 0 || fits(owners_used_ + owners, std::size_t{header_.owners_v4_mask} + 1)) &&
         (hosts == 0 || fits(hosts_used_ + hosts, std::size_t{header_.hosts_v6_mask} + 1));
}

std::optional<LiveMap::Place> LiveMap::find_v6(const IpAddress& address) const {
  const auto* bytes = reinterpret_cast<const std::byte*>(address.bytes.data());
  std::uint32_t slot =
      hash_v6(read<std::uint64_t>(bytes), read<std::uint64_t>(bytes + 8)) & header_.hosts_v6_mask;
  const auto host_at = [&] { return read<Host6>(at(Part::hosts_v6, slot * sizeof(Host6))); };
  while (host_at().address_class != kNoClass && host_at().address != address.bytes) {
    slot = (slot + 1) & header_.hosts_v6_mask;
  }
  const bool is_new = host_at().address_class == kNoClass;
  return Place{.part = Part::hosts_v6,
               .offset = slot * sizeof(Host6),
               .is_new = is_new,
               .node = is_new ? kNoClass : host_at().node};
}

void LiveMap::store(const IpAddress& address, const Place& place, const Entry& entry) {
  if (address.family == Family::v4) {
    store_v4(address.v4(), place, entry);
  } else {
    store_v6(address, place, entry);
  }
}

void LiveMap::store_v4(std::uint32_t address, const Place& place, const Entry& entry) {
  const bool is_known = entry.node != kNoClass && (entry.node != kNoNode || !place.owner_is_new);
  if (is_known && entry.node != place.node) {
    owners_used_ += place.owner_is_new ? 1 : 0;
    publish(at(Part::owners_v4, place.owner), pair_of(address, entry.node));
  }
  std::byte* const bytes = at(place.part, place.offset);
  if (header_.entry_shift == 1) {
    publish(bytes, static_cast<std::uint16_t>(entry.address_class));
  } else {
    publish(bytes, entry.address_class);
  }
}

void LiveMap::store_v6(const IpAddress& address, const Place& place, const Entry& entry) {
  std::byte* const bytes = at(Part::hosts_v6, place.offset);
  if (place.is_new) {  // Nobody looks at the address of an empty slot.
    ++hosts_used_;
    const auto* words = reinterpret_cast<const std::byte*>(address.bytes.data());
    publish(bytes, read<std::uint64_t>(words));
    publish(bytes + sizeof(std::uint64_t), read<std::uint64_t>(words + sizeof(std::uint64_t)));
  }
  const std::uint32_t node = entry.node == kNoClass ? place.node : entry.node;
  publish(bytes + kAddressBytes, pair_of(entry.address_class, node));
}

std::size_t LiveMap::unshare(Copies copies) {
  std::vector<Part> names{Part::window_v4, Part::nodes_v4, Part::hosts_v6};
  if (copies.owners) {
    names.push_back(Part::owners_v4);
  }
  if (copies.tries) {
    names.insert(names.end(), {Part::root_v4, Part::nodes_v6});
  }
  for (const Part name : names) {
    part(name) = part(name).clone();
  }
  return names.size();
}

std::uint32_t LiveMap::entry(Part part, std::size_t index) const {
  return part == Part::nodes_v6 ? read<std::uint32_t>(at(part, index * sizeof(std::uint32_t)))
                                : entry4(part, index);
}

void LiveMap::set_entry(Part part, std::size_t index, std::uint32_t entry) {
  if (part == Part::nodes_v6 || header_.entry_shift == 2) {
    std::memcpy(at(part, index * sizeof(entry)), &entry, sizeof(entry));
    return;
  }
  const auto narrow = static_cast<std::uint16_t>((entry & ~kChild) | ((entry & kChild) >> 16U));
  std::memcpy(at(part, index * sizeof(narrow)), &narrow, sizeof(narrow));
}

/// Nodes stay, so that what has an entry of its own keeps it.
void LiveMap::fill(Part part, std::size_t first, std::size_t count, std::uint32_t address_class) {
  const Part nodes = part == Part::nodes_v6 ? part : Part::nodes_v4;
  for (std::size_t i = first; i < first + count; ++i) {
    const std::uint32_t old = part == Part::window_v4 ? 0 : entry(part, i);
    if ((old & kChild) != 0) {
      fill(nodes, std::size_t{old & ~kChild} * kNodeEntries, kNodeEntries, address_class);
    } else {
      set_entry(part, i, address_class);
    }
  }
}

/// Where the node below an entry begins, made if there is none.
std::optional<std::size_t> LiveMap::child(Part part, std::size_t index, Part nodes) {
  const std::uint32_t old = entry(part, index);
  if ((old & kChild) != 0) {
    return std::size_t{old & ~kChild} * kNodeEntries;
  }
  const unsigned shift = nodes == Part::nodes_v6 ? 2 : header_.entry_shift;
  TablePart& grown = this->part(nodes);
  const std::size_t first = grown.size >> shift;
  const std::size_t node = first / kNodeEntries;
  if (shift == 1 && node >= kNarrowEntries) {
    return std::nullopt;
  }
  grown = grown.clone(kNodeEntries << shift);
  for (std::size_t i = 0; i < kNodeEntries; ++i) {
    set_entry(nodes, first + i, old);
  }
  set_entry(part, index, kChild | static_cast<std::uint32_t>(node));
  return first;
}

bool LiveMap::paint(const Prefix& prefix, std::uint32_t address_class) {
  const bool is_v4 = prefix.address.family == Family::v4;
  const auto& bytes = prefix.address.bytes;
  if (is_v4) {
    const std::uint64_t begin = prefix.address.v4();
    const std::uint64_t end = begin + (std::uint64_t{1} << (32U - prefix.length));
    const std::uint64_t window_end = std::uint64_t{header_.window_first} + header_.window_size;
    const std::uint64_t from = std::max<std::uint64_t>(begin, header_.window_first);
    if (const std::uint64_t to = std::min(end, window_end); from < to) {
      fill(Part::window_v4, from - header_.window_first, to - from, address_class);
    }
  }
  const Part nodes = is_v4 ? Part::nodes_v4 : Part::nodes_v6;
  Part level = is_v4 ? Part::root_v4 : Part::nodes_v6;
  unsigned depth = is_v4 ? 16 : 8;
  std::size_t slot = is_v4 ? bytes[0] * std::size_t{256} + bytes[1] : bytes[0];
  for (; prefix.length > depth; depth += 8) {
    const auto below = child(level, slot, nodes);
    if (!below) {
      return false;
    }
    level = nodes;
    slot = *below + bytes[depth / 8];
  }
  fill(level, slot, std::size_t{1} << (depth - prefix.length), address_class);
  return true;
}

bool LiveMap::make_room(std::span<const IpAddress> addresses) {
  for (const IpAddress& address : addresses) {
    if (address.family == Family::v6 || find(address)) {
      continue;
    }
    // A leaf of its own, of the class that the address has so far.
    std::size_t index = address.v4() >> 16U;
    for (const unsigned shift : {8U, 0U}) {
      const auto below = child(shift == 8 ? Part::root_v4 : Part::nodes_v4, index, Part::nodes_v4);
      if (!below) {
        return false;
      }
      index = *below + ((address.v4() >> shift) & 0xffU);
    }
  }
  while (!has_room(addresses)) {
    grow_owners();
    grow_hosts();
  }
  return true;
}

void LiveMap::grow_owners() {
  const TablePart old = part(Part::owners_v4);
  const std::size_t slots = old.size / sizeof(Owner4) * 2;
  TablePart grown = TablePart::copy({}, slots * sizeof(Owner4));
  auto* const owners = reinterpret_cast<Owner4*>(grown.bytes.get());
  std::fill_n(owners, slots, Owner4{});
  for (std::size_t i = 0; i < slots / 2; ++i) {
    const auto owner = read<Owner4>(old.bytes.get() + i * sizeof(Owner4));
    std::size_t slot = hash_v4(owner.address) & (slots - 1);
    while (owner.node != kNoClass && owners[slot].node != kNoClass) {
      slot = (slot + 1) & (slots - 1);
    }
    if (owner.node != kNoClass) {
      owners[slot] = owner;
    }
  }
  header_.owners_v4_mask = static_cast<std::uint32_t>(slots - 1);
  part(Part::owners_v4) = std::move(grown);
}

void LiveMap::grow_hosts() {
  const TablePart old = part(Part::hosts_v6);
  const std::size_t slots = old.size / sizeof(Host6) * 2;
  TablePart grown = TablePart::copy({}, slots * sizeof(Host6));
  auto* const hosts = reinterpret_cast<Host6*>(grown.bytes.get());
  std::fill_n(hosts, slots, Host6{});
  for (std::size_t i = 0; i < slots / 2; ++i) {
    const std::byte* const bytes = old.bytes.get() + i * sizeof(Host6);
    const auto host = read<Host6>(bytes);
    if (host.address_class == kNoClass) {
      continue;
    }
    std::size_t slot =
        hash_v6(read<std::uint64_t>(bytes), read<std::uint64_t>(bytes + 8)) & (slots - 1);
    while (hosts[slot].address_class != kNoClass) {
      slot = (slot + 1) & (slots - 1);
    }
    hosts[slot] = host;
  }
  header_.hosts_v6_mask = static_cast<std::uint32_t>(slots - 1);
  part(Part::hosts_v6) = std::move(grown);
}

}  // namespace portcullis::classifier
