// SPDX-License-Identifier: MIT
// RuleSet -> Table, step by step: check, classes, matrices, address maps, one allocation.
#include "classifier/compile.h"

#include <algorithm>
#include <array>
#include <span>
#include <vector>

#include <fmt/format.h>

#include "classifier/compiler/address_map.h"
#include "classifier/compiler/check_rules.h"
#include "classifier/compiler/classes.h"
#include "classifier/compiler/matrix.h"

namespace portcullis::classifier {
namespace {

struct ClassRecords {
  std::vector<SourceRecord> sources;
  std::vector<DestinationRecord> destinations;
};

ClassRecords records_of(const Classes& classes,
                        const std::vector<RowPlace>& egress,
                        const std::vector<RowPlace>& ingress) {
  ClassRecords records;
  for (const ClassRoles& roles : classes.classes) {
    const std::uint32_t is_workload = roles.egress_row >= kRowsWithoutSubject ? 1 : 0;
    records.sources.push_back({.egress_spans = egress[roles.egress_row].spans,
                               .egress_outcomes = egress[roles.egress_row].outcomes,
                               .ingress_column = roles.ingress_column,
                               .is_workload = is_workload});
    records.destinations.push_back({.ingress_spans = ingress[roles.ingress_row].spans,
                                    .ingress_outcomes = ingress[roles.ingress_row].outcomes,
                                    .egress_column = roles.egress_column,
                                    .is_workload = is_workload});
  }
  return records;
}

template <typename Record>
std::span<const std::byte> bytes_of(const std::vector<Record>& records) {
  return std::as_bytes(std::span(records));
}

Result<std::unique_ptr<const Table>> assemble(const Header& header,
                                              const AddressMaps& maps,
                                              const ClassRecords& records,
                                              const Matrix& matrix,
                                              std::size_t bytes_max) {
  const std::vector<std::byte> window = maps.window_bytes();
  const std::vector<std::byte> tiles = matrix.tile_bytes();
  const Outcomes& outcomes = matrix.outcomes();
  const std::array<std::span<const std::byte>, kPartCount> parts{
      window,
      bytes_of(maps.root_v4),
      bytes_of(maps.nodes_v4),
      bytes_of(maps.hosts_v6),
      bytes_of(maps.nodes_v6),
      bytes_of(maps.owners_v4),
      bytes_of(records.sources),
      bytes_of(records.destinations),
      bytes_of(matrix.spans().words()),
      tiles,
      bytes_of(matrix.outcome_words().words()),
      bytes_of(outcomes.lines().words()),
      bytes_of(outcomes.forks().words()),
  };
  std::array<std::size_t, kPartCount> sizes{};
  for (std::size_t i = 0; i < kPartCount; ++i) {
    sizes[i] = parts[i].size();
  }
  const std::size_t total = Table::assembled_bytes(sizes);
  if (total > bytes_max) {
    return fail(
        fmt::format("the table of {} classes takes {} bytes (address maps {}, matrices {}), more "
                    "than its limit of {}; raise the limit",
                    header.class_count,
                    total,
                    maps.bytes(),
                    matrix.bytes(),
                    bytes_max));
  }
  return Table::assemble(header, parts);
}

}  // namespace

Result<std::unique_ptr<const Table>> compile(const RuleSet& rules, const CompileOptions& options) {
  const std::size_t bytes_max = options.table_bytes_max;
  PORTCULLIS_TRY_VOID(check_rules(rules));
  const Classes classes = find_classes(rules);
  PORTCULLIS_TRY(const AddressMaps maps, map_addresses(rules, classes, bytes_max));
  // Kernels find a cell by a 32-bit byte offset.
  Matrix matrix(rules, std::min(bytes_max - maps.bytes(), std::size_t{1} << 31U));
  PORTCULLIS_TRY(const auto egress, matrix.add(Direction::egress, classes.half(Direction::egress)));
  PORTCULLIS_TRY(const auto ingress,
                 matrix.add(Direction::ingress, classes.half(Direction::ingress)));
  const ClassRecords records = records_of(classes, egress, ingress);
  const Header header{
      .class_count = static_cast<std::uint32_t>(classes.classes.size()),
      .cell_shift = matrix.cell_shift(),
      .hosts_v6_mask = static_cast<std::uint32_t>(maps.hosts_v6.size() - 1),
      .owners_v4_mask = static_cast<std::uint32_t>(maps.owners_v4.size() - 1),
      .window_first = maps.window_v4.first,
      .window_size = static_cast<std::uint32_t>(maps.window_v4.classes.size()),
      .window_shift = maps.window_shift,
  };
  return assemble(header, maps, records, matrix, bytes_max);
}

}  // namespace portcullis::classifier
