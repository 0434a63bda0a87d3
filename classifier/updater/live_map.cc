// SPDX-License-Identifier: MIT
#include "classifier/updater/live_map.h"

#include <array>
#include <atomic>
#include <bit>
#include <cstring>

namespace portcullis::classifier {
namespace {

constexpr std::size_t kAddressBytes = sizeof(Host6::address);

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
std::uint32_t LiveMap::entry4(Part part, std::uint32_t index) const {
  const std::byte* bytes = at(part, std::size_t{index} << header_.entry_shift);
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

std::size_t LiveMap::unshare() {
  constexpr std::array kParts{Part::window_v4, Part::nodes_v4, Part::hosts_v6, Part::owners_v4};
  for (const Part part : kParts) {
    TablePart& shared = parts_[static_cast<std::size_t>(part)];
    shared = shared.clone();
  }
  return kParts.size();
}

}  // namespace portcullis::classifier
