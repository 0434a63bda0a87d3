// SPDX-License-Identifier: MIT
#include "dataplane/quota/namespace_map.h"

#include <algorithm>
#include <bit>

#include "base/check.h"
#include "dataplane/keyed_hash.h"

namespace portcullis::dataplane {
namespace {

constexpr std::size_t kSlotsMin = 64;
constexpr unsigned kNumberShift = 32;
constexpr unsigned kFamilyShift = 48;
constexpr std::uint64_t kUsed = std::uint64_t{1} << 56U;
constexpr std::uint64_t kPod = std::uint64_t{1} << 57U;

bool fits(std::size_t addresses, std::size_t slots) {
  return addresses * 4 <= slots * 3;
}

std::uint64_t word_of(Family family, const NamespaceMap::Owner& owner) {
  const std::uint64_t used = kUsed | (static_cast<std::uint64_t>(family) << kFamilyShift);
  if (!owner) {
    return used;
  }
  return used | kPod | (std::uint64_t{owner->name_space} << kNumberShift) | owner->flows_max;
}

Family family_of(std::uint64_t word) {
  return static_cast<Family>((word >> kFamilyShift) & 0xffU);
}

NamespaceMap::Owner owner_of(std::uint64_t word) {
  if ((word & kPod) == 0) {
    return std::nullopt;
  }
  return NamespaceQuota{.name_space = static_cast<std::uint16_t>(word >> kNumberShift),
                        .flows_max = static_cast<std::uint32_t>(word)};
}

/// Without a secret: addresses of pods come from the cluster, not from packets.
std::uint64_t hash(Family family, const AddressBytes& address) {
  constexpr std::uint64_t kFirst = 0x9e37'79b9'7f4a'7c15;
  constexpr std::uint64_t kSecond = 0xbf58'476d'1ce4'e5b9;
  return mix(load64(address.data()) ^ kFirst,
             load64(address.data() + 8) ^ kSecond ^ static_cast<std::uint64_t>(family));
}

}  // namespace

NamespaceMap::NamespaceMap(std::size_t addresses)
    : slots_(std::bit_ceil(std::max(kSlotsMin, addresses * 2))) {}

std::size_t NamespaceMap::slot_of(Family family, const AddressBytes& address) const noexcept {
  const std::size_t mask = slots_.size() - 1;
  for (std::size_t slot = hash(family, address) & mask;; slot = (slot + 1) & mask) {
    const std::uint64_t word = slots_[slot].owner.load(std::memory_order_acquire);
    if (word == 0 || (family_of(word) == family && slots_[slot].address == address)) {
      return slot;
    }
  }
}

NamespaceMap::Owner NamespaceMap::find(Family family, const AddressBytes& address) const noexcept {
  // What was empty a moment ago may be another address' now.
  const Slot& slot = slots_[slot_of(family, address)];
  const std::uint64_t word = slot.owner.load(std::memory_order_acquire);
  const bool is_it = word != 0 && family_of(word) == family && slot.address == address;
  return is_it ? owner_of(word) : std::nullopt;
}

NamespaceQuota NamespaceMap::payer_of(const FlowTuple& flow) const noexcept {
  if (const Owner source = find(flow.family, flow.src)) {
    return *source;
  }
  return find(flow.family, flow.dst).value_or(NamespaceQuota{});
}

bool NamespaceMap::has_room(std::size_t addresses) const {
  return fits(used_ + addresses, slots_.size());
}

void NamespaceMap::set(const IpAddress& address, const Owner& owner) {
  Slot& slot = slots_[slot_of(address.family, address.bytes)];
  const std::uint64_t before = slot.owner.load(std::memory_order_relaxed);
  if (before == 0) {
    if (!owner) {
      return;
    }
    PORTCULLIS_CHECK(has_room(1));
    ++used_;
    slot.address = address.bytes;  // Nobody looks at the address of an empty slot.
  }
  pods_ += owner ? 1 : 0;
  pods_ -= (before & kPod) != 0 ? 1 : 0;
  if (const std::uint64_t after = word_of(address.family, owner); after != before) {
    slot.owner.store(after, std::memory_order_release);
  }
}

std::shared_ptr<NamespaceMap> NamespaceMap::remade(std::size_t more) const {
  auto made = std::make_shared<NamespaceMap>(pods_ + more);
  for (const Slot& slot : slots_) {
    const std::uint64_t word = slot.owner.load(std::memory_order_relaxed);
    if ((word & kPod) != 0) {
      made->set({family_of(word), slot.address}, owner_of(word));
    }
  }
  return made;
}

}  // namespace portcullis::dataplane
