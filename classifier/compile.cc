// SPDX-License-Identifier: MIT
// RuleSet -> Table, step by step: check, classes, matrices, address maps, one allocation.
#include "classifier/compile.h"

#include <algorithm>
#include <array>
#include <span>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "classifier/compiler/address_map.h"
#include "classifier/compiler/check_rules.h"
#include "classifier/compiler/classes.h"
#include "classifier/compiler/compiled.h"
#include "classifier/compiler/matrix.h"
#include "classifier/crew.h"
#include "classifier/filter/filter.h"
#include "classifier/permits/permits.h"
#include "classifier/verdict.h"

namespace portcullis::classifier {
namespace {

struct ClassRecords {
  std::vector<SourceRecord> sources;
  std::vector<DestinationRecord> destinations;
};

ClassRecords records_of(const Compiled& compiled) {
  ClassRecords records;
  for (std::uint32_t i = 0; i < compiled.classes.classes.size(); ++i) {
    const auto [source, destination] = compiled.records_of(i);
    records.sources.push_back(source);
    records.destinations.push_back(destination);
  }
  return records;
}

std::span<const std::byte> bytes_of(const auto& records) {
  return std::as_bytes(std::span(records));
}

/// Everything a table is laid out from.
struct Parts {
  const ClassRecords& records;
  const Matrix& matrix;
  const Permits& permits;
  const AddressMaps& maps;
  std::span<const std::byte> filter;
};

Header header_of(const Parts& parts, const Classes& classes, const RuleSet& rules) {
  const auto first = [&](Opening opening) {
    return classes.first_class[static_cast<std::size_t>(opening)];
  };
  return {
      .class_count = static_cast<std::uint32_t>(parts.records.sources.size()),
      .cell_shift = parts.matrix.cell_shift(),
      .hosts_v6_mask = static_cast<std::uint32_t>(parts.maps.hosts_v6.size() - 1),
      .owners_v4_mask = static_cast<std::uint32_t>(parts.maps.owners_v4.size() - 1),
      .window_first = parts.maps.window_v4.first,
      .window_size = static_cast<std::uint32_t>(parts.maps.window_v4.classes.size()),
      .entry_shift = parts.maps.entry_shift,
      .permits = static_cast<std::uint32_t>(parts.permits.form),
      .first_by_port = first(Opening::by_port),
      .first_open = first(Opening::open),
      .first_outside = first(Opening::outside),
      .transit_denied = rules.default_mode == DefaultMode::deny ? 1U : 0U,
      .first_static_id = rule_id(rules.rules.size()),
  };
}

Result<std::unique_ptr<const Table>> assemble(const Header& header,
                                              const Parts& parts,
                                              std::size_t bytes_max) {
  const auto& [records, matrix, permits, maps, filter] = parts;
  const std::vector<std::byte> window = maps.entry_bytes(maps.window_v4.classes);
  const std::vector<std::byte> root = maps.entry_bytes(maps.root_v4);
  const std::vector<std::byte> nodes = maps.entry_bytes(maps.nodes_v4);
  const std::vector<std::byte> tiles = matrix.tile_bytes();
  const Outcomes& outcomes = matrix.outcomes();
  const std::array<std::span<const std::byte>, kPartCount> bytes{
      window,
      root,
      nodes,
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
      bytes_of(permits.rows),
      bytes_of(permits.cells),
      bytes_of(permits.lines),
      bytes_of(permits.defaults),
      filter,
  };
  std::array<std::size_t, kPartCount> sizes{};
  for (std::size_t i = 0; i < kPartCount; ++i) {
    sizes[i] = bytes[i].size();
  }
  const std::size_t total = Table::assembled_bytes(sizes);
  if (total > bytes_max) {
    return fail(
        fmt::format("the table of {} classes takes {} bytes (address maps {}, matrices {}, permits "
                    "{}, static rules {}), more than its limit of {}; raise the limit",
                    header.class_count,
                    total,
                    maps.bytes(),
                    matrix.bytes(),
                    permits.bytes(),
                    filter.size(),
                    bytes_max));
  }
  return Table::assemble(header, bytes);
}

}  // namespace

std::pair<SourceRecord, DestinationRecord> Compiled::records_of(std::uint32_t number) const {
  const ClassRoles& roles = classes.classes[number];
  const RowPlace egress = places[0][roles.egress_row];
  const RowPlace ingress = places[1][roles.ingress_row];
  const std::uint32_t is_workload = roles.egress_row >= kRowsWithoutSubject ? 1 : 0;
  return {{.egress_spans = egress.spans,
           .egress_outcomes = egress.outcomes,
           .ingress_column = roles.ingress_column,
           .is_workload = is_workload},
          {.ingress_spans = ingress.spans,
           .ingress_outcomes = ingress.outcomes,
           .egress_column = roles.egress_column,
           .is_workload = is_workload}};
}

namespace {

Result<void> add_matrix(Crew& crew, const RuleSet& rules, std::size_t bytes_max, Compiled& out) {
  // Kernels find a cell by a 32-bit byte offset.
  out.matrix = std::make_unique<Matrix>(rules, std::min(bytes_max, std::size_t{1} << 31U));
  for (const Direction direction : {Direction::egress, Direction::ingress}) {
    if (crew.stopped()) {
      return {};
    }
    PORTCULLIS_TRY(out.places[static_cast<std::size_t>(direction)],
                   out.matrix->add(direction, out.classes.half(direction), crew));
  }
  return {};
}

/// Permits, which number the classes, and the address maps, which name them.
Result<AddressMaps> fold_and_map(Crew& crew,
                                 const RuleSet& rules,
                                 std::size_t bytes_left,
                                 const WholeOptions& whole,
                                 Compiled& out) {
  crew.begin("permits", out.classes.classes.size());
  out.permits = begin_permits(
      out.classes,
      *out.matrix,
      whole.reserve,
      {.bytes_max = bytes_left, .narrowest = whole.narrowest_permits, .mode = rules.default_mode},
      crew);
  if (out.permits != nullptr && !out.permits->fold(out.classes, crew)) {
    out.permits = nullptr;
  }
  // Only one thread can lay cells out.
  Result<AddressMaps> maps;
  const auto mapping =
      crew.beside([&] { maps = map_addresses(rules, out.classes, bytes_left, crew); });
  if (out.permits != nullptr && !out.permits->lay_out(out.classes.classes.size(), crew)) {
    out.permits = nullptr;
  }
  mapping->join();
  return maps;
}

/// Once the crew is stopped, the result means nothing.
Result<Compiled> run_phases(Crew& crew,
                            const RuleSet& rules,
                            std::size_t bytes_max,
                            const WholeOptions& whole) {
  PORTCULLIS_TRY_VOID(check_rules(rules, crew));
  Result<std::vector<std::byte>> filter;
  std::unique_ptr<Crew::Aside> filtering;
  if (!rules.static_rules.empty()) {
    crew.begin("static rules", rules.static_rules.size());
    filtering = crew.beside([&] { filter = compile_filter(rules, bytes_max, crew.stop()); });
  }
  Compiled out{.classes = find_classes(rules, crew)};
  const Result<void> added = add_matrix(crew, rules, bytes_max, out);
  if (filtering != nullptr) {
    filtering->join();
  }
  if (crew.stopped()) {
    return out;
  }
  // Whatever ended first, the error is the same.
  if (!filter) {
    return Failure(std::move(filter).error());
  }
  PORTCULLIS_TRY_VOID(added);
  const std::size_t bytes_left = bytes_max - std::min(bytes_max, out.matrix->bytes());
  PORTCULLIS_TRY(const AddressMaps maps, fold_and_map(crew, rules, bytes_left, whole, out));
  if (crew.stopped()) {
    return out;
  }
  crew.begin("table", 1);
  Permits permits = permits_of(out.permits.get(), out.classes);
  const std::size_t record_bytes =
      out.classes.classes.size() * (sizeof(SourceRecord) + sizeof(DestinationRecord));
  if (maps.bytes() + record_bytes + filter->size() + permits.bytes() > bytes_left) {
    permits = {};  // A table without them is slower, but there is one.
    out.permits = nullptr;
  }
  const ClassRecords records = records_of(out);
  const Parts parts{.records = records,
                    .matrix = *out.matrix,
                    .permits = permits,
                    .maps = maps,
                    .filter = *filter};
  PORTCULLIS_TRY(out.table, assemble(header_of(parts, out.classes, rules), parts, bytes_max));
  crew.advance();
  return out;
}

Crew crew_for(const RuleSet& rules, const CompileOptions& options) {
  return {options, rules.endpoints.size() + rules.rules.size() + rules.static_rules.size()};
}

/// What the compiler knew takes a good part of its time to free: half of it beside the other.
void free_beside(Crew& crew, Compiled& compiled) {
  const auto freeing = crew.beside([&] { compiled.classes.halves = {}; });
  compiled.permits = nullptr;
  compiled.matrix = nullptr;
  freeing->join();
}

Result<Compiled> compile_with(Crew& crew,
                              const RuleSet& rules,
                              const CompileOptions& options,
                              const WholeOptions& whole) {
  auto compiled = run_phases(crew, rules, options.table_bytes_max, whole);
  if (crew.stopped()) {
    if (compiled) {
      free_beside(crew, *compiled);
    }
    return fail("the compile was stopped; nothing has changed");
  }
  return compiled;
}

}  // namespace

Result<std::unique_ptr<const Table>> compile(const RuleSet& rules, const CompileOptions& options) {
  Crew crew = crew_for(rules, options);
  PORTCULLIS_TRY(Compiled compiled, compile_with(crew, rules, options, {}));
  auto table = std::move(compiled.table);
  free_beside(crew, compiled);
  return table;
}

Result<Compiled> compile_whole(const RuleSet& rules,
                               const CompileOptions& options,
                               const WholeOptions& whole) {
  Crew crew = crew_for(rules, options);
  return compile_with(crew, rules, options, whole);
}

}  // namespace portcullis::classifier
