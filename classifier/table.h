// SPDX-License-Identifier: MIT
// Table: the compiled rule table, immutable and flat.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

namespace portcullis::classifier {

/// Where the bytes of a table go, and why it is as large as it is. Bytes unless said otherwise.
struct TableSizes {
  std::size_t total = 0;
  std::size_t address_map_v4 = 0;
  std::size_t address_map_v6 = 0;
  std::size_t port_map = 0;
  std::size_t matrices = 0;
  std::size_t profiles = 0;
  std::size_t classes = 0;       // Count of address classes.
  std::size_t port_classes = 0;  // Count.
  std::size_t profile_count = 0;
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
  [[nodiscard]] const TableSizes& sizes() const;

  /// What compile() makes and lookup() reads.
  struct Body;
  explicit Table(std::unique_ptr<const Body> body);
  [[nodiscard]] const Body& body() const { return *body_; }

 private:
  std::unique_ptr<const Body> body_;
};

}  // namespace portcullis::classifier
