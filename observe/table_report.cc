// SPDX-License-Identifier: MIT
#include "observe/table_report.h"

#include <algorithm>
#include <bit>
#include <set>
#include <string_view>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/ip.h"
#include "classifier/layout.h"

namespace portcullis::observe {
namespace {

using namespace classifier;

struct PartText {
  std::string_view name;
  std::size_t record_bytes;
  std::string_view what;
};

/// Words of a permit cell or default.
std::size_t permit_words(const TableView& view) {
  return view.permits_wide ? 2 : 1;
}

/// By Part. Entries, tiles and permits are as wide as the table says.
std::array<PartText, kPartCount> texts_of(const TableView& view) {
  const std::size_t entry = std::size_t{1} << view.entry_shift;
  const std::size_t tile = std::size_t{kTileColumns} << view.cell_shift;
  const std::size_t permit = permit_words(view) * sizeof(std::uint32_t);
  const std::size_t permit_row = sizeof(std::uint32_t) << (view.permits_wide ? kWideRowShift : 0);
  return {{
      {"window_v4", entry, "IPv4 addresses with an entry of their own"},
      {"root_v4", entry, "IPv4 trie, upper 16 bits"},
      {"nodes_v4", entry * 256, "IPv4 trie, nodes of 256 entries"},
      {"hosts_v6", sizeof(Host6), "hash slots for IPv6 addresses of pods and nodes"},
      {"nodes_v6", sizeof(std::uint32_t) * 256, "IPv6 trie, nodes of 256 entries"},
      {"owners_v4", sizeof(Owner4), "hash slots: the node of an IPv4 address"},
      {"sources", sizeof(SourceRecord), "a class as the source of a flow"},
      {"destinations", sizeof(DestinationRecord), "a class as the destination of a flow"},
      {"spans", sizeof(Span), "1,024 columns of a row each"},
      {"tiles", tile, "32 cells each"},
      {"outcomes", sizeof(std::uint32_t), "what the cells of a row mean"},
      {"lines", sizeof(PortLine), "decisions by port"},
      {"forks", sizeof(Fork), "decisions by node"},
      {"permit_rows", permit_row, "permits of a source"},
      {"permit_cells", permit, "places for permits of a pair of classes"},
      {"permit_lines", sizeof(PermitLine), "sets of ports"},
      {"permit_defaults", permit, "what holds without a cell"},
      {"filter", 1, "static rules"},
  }};
}

/// Tiles of a row that begins at `spans`, for so many columns.
std::size_t tiles_of_row(const TableView& view, std::uint32_t spans, std::uint32_t columns) {
  std::size_t tiles = 0;
  for (std::uint32_t i = 0; i <= (columns - 1) >> kSpanBits; ++i) {
    tiles += static_cast<std::size_t>(std::popcount(view.spans[spans + i].present));
  }
  return tiles;
}

/// Rows are told apart by where their spans and their outcomes begin.
using RowPlaces = std::set<std::pair<std::uint32_t, std::uint32_t>>;

TableRows rows_of(const TableView& view, const RowPlaces& places, std::uint32_t columns) {
  TableRows out{.rows = places.size()};
  for (const auto& [spans, outcomes] : places) {
    out.tiles_placed += tiles_of_row(view, spans, columns);
  }
  return out;
}

void count_rows(const TableView& view, TableReport& report) {
  RowPlaces egress;
  RowPlaces ingress;
  std::uint32_t egress_columns = 0;
  std::uint32_t ingress_columns = 0;
  for (std::size_t i = 0; i < report.classes; ++i) {
    const SourceRecord& source = view.sources[i];
    const DestinationRecord& destination = view.destinations[i];
    egress.emplace(source.egress_spans, source.egress_outcomes);
    ingress.emplace(destination.ingress_spans, destination.ingress_outcomes);
    egress_columns = std::max(egress_columns, destination.egress_column + 1);
    ingress_columns = std::max(ingress_columns, source.ingress_column + 1);
  }
  report.egress = rows_of(view, egress, egress_columns);
  report.ingress = rows_of(view, ingress, ingress_columns);
}

void count_permits(const Header& header, const TableView& view, TableReport& report) {
  if (view.permit_rows == nullptr) {
    return;
  }
  const std::size_t words = permit_words(view);
  std::set<std::uint32_t> bases;
  for (std::size_t i = 0; i < report.classes; ++i) {
    const std::uint32_t* row = view.permit_rows + (i << (view.permits_wide ? kWideRowShift : 0));
    bases.insert(row[0] & kPermitBase);
    if (view.permits_wide) {
      bases.insert(row[1]);
    }
  }
  report.permit_form = words == 2 ? "wide" : "narrow";
  report.permit_rows = bases.size();
  report.permit_places = report.parts[static_cast<std::size_t>(Part::permit_cells)].records;
  for (std::size_t i = 0; i < report.permit_places; ++i) {
    report.permit_cells += view.permit_cells[i * words] != kNoCell ? 1 : 0;
  }
  report.classes_by_opening = {header.first_by_port,
                               header.first_open - header.first_by_port,
                               header.first_outside - header.first_open,
                               header.class_count - header.first_outside};
}

double share(std::size_t part, std::size_t whole) {
  return whole == 0 ? 0 : 100.0 * static_cast<double>(part) / static_cast<double>(whole);
}

}  // namespace

TableReport report_of(const Table& table) {
  const TableView& view = table.view();
  const Header& header = table.header();
  TableReport report{
      .digest = table.digest(), .bytes = table.sizes().total, .classes = table.sizes().classes};
  const auto texts = texts_of(view);
  for (std::size_t i = 0; i < kPartCount; ++i) {
    const auto bytes = static_cast<std::size_t>(header.parts[i].bytes);
    report.parts.push_back({.name = std::string(texts[i].name),
                            .bytes = bytes,
                            .records = bytes / texts[i].record_bytes,
                            .what = std::string(texts[i].what)});
  }
  report.tiles_kept = report.parts[static_cast<std::size_t>(Part::tiles)].records;
  count_rows(view, report);
  count_permits(header, view, report);
  if (view.filtered) {
    report.filter = filter_sizes(table.parts()[static_cast<std::size_t>(Part::filter)].bytes.get());
  }
  if (header.window_size != 0) {
    report.window =
        fmt::format("{} to {}",
                    to_string(IpAddress::from_v4(header.window_first)),
                    to_string(IpAddress::from_v4(header.window_first + header.window_size - 1)));
  }
  return report;
}

std::string to_text(const TableReport& report) {
  const auto& by_opening = report.classes_by_opening;
  std::string out = fmt::format("digest   {}\n", report.digest);
  out += fmt::format("bytes    {} in {} parts\n", report.bytes, report.parts.size());
  out += fmt::format("classes  {} of addresses that some rule tells apart\n", report.classes);
  out += fmt::format(
      "rows     {} for egress, {} for ingress\n", report.egress.rows, report.ingress.rows);
  out += fmt::format("tiles    {} kept; the rows use {} for egress and {} for ingress\n",
                     report.tiles_kept,
                     report.egress.tiles_placed,
                     report.ingress.tiles_placed);
  if (report.permit_rows == 0) {
    out += "permits  none: they would be too large, so every key takes the whole walk\n";
  } else {
    out += fmt::format("permits  {} cells of {} rows in {} places ({:.0f} % full), {}\n",
                       report.permit_cells,
                       report.permit_rows,
                       report.permit_places,
                       share(report.permit_cells, report.permit_places),
                       report.permit_form);
    out += fmt::format(
        "default  as destinations {} classes are closed, {} open on some ports, {} open, {} "
        "outside\n",
        by_opening[0],
        by_opening[1],
        by_opening[2],
        by_opening[3]);
  }
  if (report.filter) {
    out += fmt::format(
        "static   {} {} with {} lists of rules; bytes: addresses {}, ports {}, cells {}, "
        "shapes of lists {}; {} entries in the tree of what they do not take\n",
        report.filter->products,
        report.filter->products == 1 ? "product" : "products",
        report.filter->lists,
        report.filter->address_maps,
        report.filter->port_points,
        report.filter->cells,
        report.filter->shapes,
        report.filter->tree_rules);
  }
  out += fmt::format("window   {}\n\n", report.window.empty() ? "none" : report.window);
  out += fmt::format("{:<16}{:>12}{:>8}{:>12}  {}\n", "PART", "BYTES", "SHARE", "RECORDS", "WHAT");
  for (const TablePart& part : report.parts) {
    out += fmt::format("{:<16}{:>12}{:>6.1f} %{:>12}  {}\n",
                       part.name,
                       part.bytes,
                       share(part.bytes, report.bytes),
                       part.records,
                       part.what);
  }
  return out;
}

std::string to_json(const TableReport& report) {
  using nlohmann::json;
  json parts = json::array();
  for (const TablePart& part : report.parts) {
    parts.push_back({{"part", part.name}, {"bytes", part.bytes}, {"records", part.records}});
  }
  const auto rows = [](const TableRows& of) {
    return json{{"rows", of.rows}, {"tiles_placed", of.tiles_placed}};
  };
  json filter;  // Null: no static rules.
  if (report.filter) {
    filter = {{"products", report.filter->products},
              {"lists", report.filter->lists},
              {"address_bytes", report.filter->address_maps},
              {"port_bytes", report.filter->port_points},
              {"cell_bytes", report.filter->cells},
              {"shape_bytes", report.filter->shapes},
              {"tree_entries", report.filter->tree_rules}};
  }
  return json{{"digest", report.digest},
              {"bytes", report.bytes},
              {"parts", std::move(parts)},
              {"classes", report.classes},
              {"classes_by_opening",
               {{"closed", report.classes_by_opening[0]},
                {"by_port", report.classes_by_opening[1]},
                {"open", report.classes_by_opening[2]},
                {"outside", report.classes_by_opening[3]}}},
              {"egress", rows(report.egress)},
              {"ingress", rows(report.ingress)},
              {"tiles_kept", report.tiles_kept},
              {"permit_form", report.permit_form},
              {"permit_rows", report.permit_rows},
              {"permit_cells", report.permit_cells},
              {"permit_places", report.permit_places},
              {"static_rules", std::move(filter)},
              {"window", report.window}}
      .dump();
}

}  // namespace portcullis::observe
