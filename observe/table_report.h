// SPDX-License-Identifier: MIT
// Why a table is as large as it is: its parts, what they hold, and how much is shared.
// Thread: pure functions.
#pragma once

#include <array>
#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "classifier/filter/filter.h"
#include "classifier/table.h"

namespace portcullis::observe {

struct TablePart {
  std::string name;
  std::size_t bytes = 0;
  std::size_t records = 0;
  std::string what;
};

/// Rows of one direction: classes that are told apart as its subjects.
struct TableRows {
  std::size_t rows = 0;
  std::size_t tiles_placed = 0;  // By all rows; equal tiles are kept once.
};

struct TableReport {
  std::string digest;
  std::size_t bytes = 0;
  std::vector<TablePart> parts;  // In the order in which they lie in memory.
  std::size_t classes = 0;
  std::array<std::size_t, 4> classes_by_opening{};  // By classifier::Opening; without permits, 0.
  TableRows egress;
  TableRows ingress;
  std::size_t tiles_kept = 0;
  std::string permit_form = "none";  // Or "narrow", or "wide".
  std::size_t permit_rows = 0;
  std::size_t permit_cells = 0;  // Places taken, of those that the part has.
  std::size_t permit_places = 0;
  std::optional<classifier::FilterSizes> filter;  // Of static rules, if there are any.
  std::string window;                             // "10.0.0.2 to 10.4.225.111", or empty.
};

TableReport report_of(const classifier::Table& table);

std::string to_text(const TableReport& report);
/// One JSON object without a line end.
std::string to_json(const TableReport& report);

}  // namespace portcullis::observe
