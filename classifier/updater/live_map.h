// SPDX-License-Identifier: MIT
// LiveMap: the address parts of tables that kernels may be reading, changed by single aligned
// stores, each of which leaves a whole and correct map.
// Thread: one writer; readers are kernels.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "base/ip.h"
#include "classifier/layout.h"
#include "classifier/table.h"

namespace portcullis::classifier {

/// The node of an address that has a record but no node. Kernels find it equal to no node's.
inline constexpr std::uint32_t kNoNode = kNoClass - 1;

class LiveMap {
 public:
  explicit LiveMap(const Table& table);

  /// Where an address is written; none: the map has no place for it and must be made anew.
  struct Place {
    Part part = Part::window_v4;
    std::size_t offset = 0;
    bool is_new = false;  // A free slot of the hash.
    std::size_t owner = 0;
    bool owner_is_new = false;
    std::uint32_t node = kNoClass;  // In the record that is there, or kNoClass.
  };
  [[nodiscard]] std::optional<Place> find(const IpAddress& address) const;
  /// True when the hashes have room for the records of all these addresses that have none yet.
  [[nodiscard]] bool has_room(std::span<const IpAddress> addresses) const;

  /// What is known of an address. `node` stays as it is if it is kNoClass.
  struct Entry {
    std::uint32_t address_class = 0;
    std::uint32_t node = kNoClass;
  };
  /// Writes the node first, then the class: who reads the class finds the node.
  void store(const IpAddress& address, const Place& place, const Entry& entry);

  // What is no single store, once the parts are nobody else's.

  /// Which parts to copy.
  struct Copies {
    bool owners = true;
    bool tries = false;  // root_v4 and nodes_v6, for paint() and make_room().
  };
  /// Returns how many were.
  std::size_t unshare(Copies copies);
  /// Gives all addresses of a prefix a class, those of prefixes inside it, too. False: entries are
  /// too narrow for one more node. REQUIRES: unshare() of tries.
  bool paint(const Prefix& prefix, std::uint32_t address_class);
  /// Makes room for these addresses in the hashes and the trie. REQUIRES: unshare() of all.
  bool make_room(std::span<const IpAddress> addresses);
  [[nodiscard]] const Header& header() const { return header_; }
  [[nodiscard]] const Table::Parts& parts() const { return parts_; }
  /// To be replaced; what readers may hold is not written to.
  [[nodiscard]] TablePart& part(Part part) { return parts_[static_cast<std::size_t>(part)]; }

 private:
  [[nodiscard]] std::byte* at(Part part, std::size_t offset) const;
  [[nodiscard]] std::uint32_t entry4(Part part, std::size_t index) const;
  [[nodiscard]] std::uint32_t entry(Part part, std::size_t index) const;
  void set_entry(Part part, std::size_t index, std::uint32_t entry);
  void fill(Part part, std::size_t first, std::size_t count, std::uint32_t address_class);
  std::optional<std::size_t> child(Part part, std::size_t index, Part nodes);
  void grow_owners();
  void grow_hosts();
  [[nodiscard]] std::optional<Place> find_v4(std::uint32_t address) const;
  [[nodiscard]] std::optional<Place> find_v6(const IpAddress& address) const;
  void store_v4(std::uint32_t address, const Place& place, const Entry& entry);
  void store_v6(const IpAddress& address, const Place& place, const Entry& entry);

  Header header_;
  Table::Parts parts_;
  std::size_t owners_used_ = 0;
  std::size_t hosts_used_ = 0;
};

}  // namespace portcullis::classifier
