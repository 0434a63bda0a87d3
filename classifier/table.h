// SPDX-License-Identifier: MIT
// Table: the compiled rule table. Its parts are immutable, but for single aligned stores by update
// (docs/table_format.md, Updates), and tables of one line of updates share those that are equal.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "classifier/layout.h"

namespace portcullis::classifier {

/// Where the bytes of a table go, and why it is as large as it is. Bytes unless said otherwise.
struct TableSizes {
  std::size_t total = 0;
  std::size_t address_map_v4 = 0;
  std::size_t address_map_v6 = 0;
  std::size_t port_map = 0;       // Port lines.
  std::size_t matrices = 0;       // Spans and tiles of both half matrices.
  std::size_t profiles = 0;       // Outcomes and forks.
  std::size_t class_records = 0;  // What each class is as source and as destination.
  std::size_t owners = 0;         // The nodes of IPv4 addresses.
  std::size_t permits = 0;        // What permit() reads beside the address maps; 0: walked instead.
  std::size_t filter = 0;         // Static rules; filter_sizes() has the parts.
  std::size_t permit_lines = 0;   // Count of permit lines.
  std::size_t classes = 0;        // Count of address classes.
  std::size_t port_classes = 0;   // Count of port lines.
  std::size_t profile_count = 0;  // Count of outcomes.
};

/// One part in memory, on a cache line of its own, with room behind it that may be read.
struct TablePart {
  std::shared_ptr<std::byte> bytes;
  std::size_t size = 0;

  [[nodiscard]] std::span<const std::byte> span() const { return {bytes.get(), size}; }
  /// These bytes and `more` zeros.
  static TablePart copy(std::span<const std::byte> bytes, std::size_t more = 0);
  [[nodiscard]] TablePart clone(std::size_t more = 0) const { return copy(span(), more); }
};

/// Thread: any number of readers. Deterministic: equal RuleSets give equal bytes.
class Table {
 public:
  using Parts = std::array<TablePart, kPartCount>;

  ~Table();
  Table(const Table&) = delete;
  Table& operator=(const Table&) = delete;

  /// SHA-256 of the bytes, in hex: the table's name.
  [[nodiscard]] std::string digest() const;
  [[nodiscard]] const TableSizes& sizes() const { return sizes_; }

  /// The whole table, position-independent: its Header, then parts found by offset.
  [[nodiscard]] std::vector<std::byte> bytes() const;
  [[nodiscard]] const Header& header() const { return header_; }
  [[nodiscard]] const TableView& view() const { return view_; }
  /// Only update writes to them.
  [[nodiscard]] const Parts& parts() const { return parts_; }

  /// Lays parts out in one allocation. `header` needs everything but offsets and total_bytes.
  static std::unique_ptr<const Table> assemble(
      Header header, const std::array<std::span<const std::byte>, kPartCount>& parts);
  /// A table of these parts, which it shares. `header` as above.
  static std::unique_ptr<const Table> share(Header header, Parts parts);

  /// Bytes that a table with parts of these sizes has.
  static std::size_t assembled_bytes(const std::array<std::size_t, kPartCount>& part_bytes);

 private:
  Table() = default;
  void read_view();
  void read_sizes();
  template <typename Visitor>
  void for_each_piece(Visitor visit) const;

  Header header_;
  Parts parts_;
  TableView view_;
  TableSizes sizes_;
};

}  // namespace portcullis::classifier
