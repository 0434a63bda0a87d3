// SPDX-License-Identifier: MIT
// NamespaceMap: whose flows those of an address are, for workers that may be reading, changed by
// single aligned stores, each of which leaves a whole and correct map.
// Thread: one writer; find() and payer_of() are anyone's.
//
//   Slot: | address 16 | owner 8: flows_max 32, number 16, family 8, used 1, pod's 1 |
//
// Invariants:
//   1. A slot's address is written once, ahead of its owner. A reader looks at it only after it has
//      seen the owner (release, acquire), of which used and family never change again.
//   2. An address that is no pod's any more keeps its slot, so that no search ends before it
//   should.
//   3. One slot in four is never used, so that a search ends.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>

#include "base/huge_pages.h"
#include "base/ip.h"
#include "dataplane/packet/flow_tuple.h"

namespace portcullis::dataplane {

/// How many flows of a namespace a worker may know.
struct NamespaceQuota {
  std::uint16_t name_space = 0;  // Its number; 0: one without a quota.
  std::uint32_t flows_max = 0;

  friend bool operator==(const NamespaceQuota&, const NamespaceQuota&) = default;
};

class NamespaceMap {
 public:
  /// Of an address; nothing: it is no pod's.
  using Owner = std::optional<NamespaceQuota>;

  /// With room for so many addresses.
  explicit NamespaceMap(std::size_t addresses);

  [[nodiscard]] Owner find(Family family, const AddressBytes& address) const noexcept;
  /// Whose quota a flow counts against: that of the pod that begins it, else of the one it goes to.
  [[nodiscard]] NamespaceQuota payer_of(const FlowTuple& flow) const noexcept;

  // The writer's.

  /// True when so many addresses that the map does not know have room.
  [[nodiscard]] bool has_room(std::size_t addresses) const;
  /// REQUIRES: there is room.
  void set(const IpAddress& address, const Owner& owner);
  /// The same with room for so many more, and without what is no pod's any more.
  [[nodiscard]] std::shared_ptr<NamespaceMap> remade(std::size_t more) const;

 private:
  struct Slot {
    AddressBytes address{};
    std::atomic<std::uint64_t> owner{0};  // 0: never used.
  };
  static_assert(sizeof(Slot) == 24 && std::atomic<std::uint64_t>::is_always_lock_free);

  /// Where an address is, or would be.
  [[nodiscard]] std::size_t slot_of(Family family, const AddressBytes& address) const noexcept;

  HugeVector<Slot> slots_;  // A power of two of them.
  std::size_t used_ = 0;
  std::size_t pods_ = 0;  // Of these.
};

}  // namespace portcullis::dataplane
