// SPDX-License-Identifier: MIT
// Table: the compiled rule table, immutable and flat.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

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

/// Thread: immutable, any number of readers. Deterministic: equal RuleSets give equal bytes.
/// Position-independent: one allocation, parts found by offset.
class Table {
 public:
  ~Table();
  Table(const Table&) = delete;
  Table& operator=(const Table&) = delete;

  /// SHA-256 of the bytes, in hex: the table's name.
  [[nodiscard]] std::string digest() const;
  [[nodiscard]] const TableSizes& sizes() const { return sizes_; }

  /// The whole table as it lies in memory; starts with its Header.
  [[nodiscard]] std::span<const std::byte> bytes() const;
  [[nodiscard]] const TableView& view() const { return view_; }

  /// Lays parts out in one allocation. `header` needs everything but offsets and total_bytes.
  static std::unique_ptr<const Table> assemble(
      Header header, const std::array<std::span<const std::byte>, kPartCount>& parts);

  /// Bytes that assemble() would allocate for parts of these sizes.
  static std::size_t assembled_bytes(const std::array<std::size_t, kPartCount>& part_bytes);

 private:
  struct Free {
    void operator()(std::byte* bytes) const noexcept;
  };
  Table() = default;
  void read_view();
  void read_sizes();

  std::unique_ptr<std::byte, Free> bytes_;
  TableView view_;
  TableSizes sizes_;
};

}  // namespace portcullis::classifier
