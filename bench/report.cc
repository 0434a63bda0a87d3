// SPDX-License-Identifier: MIT
#include "bench/report.h"

#include <algorithm>
#include <cstdio>
#include <fstream>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace portcullis::bench {
namespace {

using Json = nlohmann::ordered_json;

constexpr const char* kNothing = "-";

template <typename Value>
std::string cell(const std::optional<Value>& value, const char* format = "{}") {
  return value ? fmt::format(fmt::runtime(format), *value) : kNothing;
}

/// "M/s mixed" for each trace of the rows that have any, in their order.
std::vector<std::string> traces_of(const std::vector<Row>& rows) {
  std::vector<std::string> traces;
  for (const Row& row : rows) {
    for (const auto& [trace, rate] : row.rates) {
      if (std::ranges::find(traces, trace) == traces.end()) {
        traces.push_back(trace);
      }
    }
  }
  return traces;
}

/// A pod's and a policy's.
std::string update_cell(const Row& row) {
  return row.update ? fmt::format("{:.1f} / {:.0f}", row.update->pod_us, row.update->policy_us)
                    : kNothing;
}

std::vector<std::string> cells_of(const Row& row, const std::vector<std::string>& traces) {
  std::vector<std::string> cells{row.contestant};
  for (const std::string& trace : traces) {
    const auto found = std::ranges::find(row.rates, trace, &std::pair<std::string, double>::first);
    cells.push_back(found == row.rates.end() ? kNothing : fmt::format("{:.4g}", found->second));
  }
  const auto ns = row.rates.empty() ? std::nullopt : std::optional(1e3 / row.rates[0].second);
  const auto bytes = row.facts.bytes == 0 ? std::nullopt : std::optional(row.facts.bytes);
  for (std::string& text : std::vector{cell(ns, "{:.2f}"),
                                       cell(bytes),
                                       cell(row.facts.touched_kb, "{:.0f}"),
                                       cell(row.build_ms, "{:.2f}"),
                                       update_cell(row),
                                       cell(row.facts.identities),
                                       cell(row.facts.rules)}) {
    cells.push_back(std::move(text));
  }
  return cells;
}

void print_table(const std::vector<std::vector<std::string>>& lines) {
  std::vector<std::size_t> widths(lines[0].size());
  for (const auto& line : lines) {
    for (std::size_t i = 0; i < line.size(); ++i) {
      widths[i] = std::max(widths[i], line[i].size());
    }
  }
  for (const auto& line : lines) {
    fmt::print("  {:<{}}", line[0], widths[0]);
    for (std::size_t i = 1; i < line.size(); ++i) {
      fmt::print("  {:>{}}", line[i], widths[i]);
    }
    fmt::print("\n");
  }
}

template <typename Value>
Json json_of(const std::optional<Value>& value) {
  return value ? Json(*value) : Json(nullptr);
}

Json json_of(const Scene& scene, const Row& row) {
  Json rates = Json::object();
  for (const auto& [trace, rate] : row.rates) {
    rates[trace] = rate;
  }
  const auto bytes = row.facts.bytes == 0 ? std::nullopt : std::optional(row.facts.bytes);
  return {{"part", scene.part},
          {"set", scene.name},
          {"pods", scene.pods},
          {"policies", scene.policies},
          {"set_rules", scene.rules},
          {"contestant", row.contestant},
          {"mlps", rates},
          {"bytes", json_of(bytes)},
          {"touched_kb", json_of(row.facts.touched_kb)},
          {"build_ms", json_of(row.build_ms)},
          {"update_pod_us", row.update ? Json(row.update->pod_us) : Json()},
          {"update_policy_us", row.update ? Json(row.update->policy_us) : Json()},
          {"identities", json_of(row.facts.identities)},
          {"rules", json_of(row.facts.rules)},
          {"absent", row.absent}};
}

Json json_of(const Grid& grid) {
  Json rows = Json::array();
  for (const auto& [name, values] : grid.rows) {
    Json row{{"name", name}};
    for (std::size_t i = 0; i < values.size(); ++i) {
      row[grid.columns[i]] = json_of(values[i]);
    }
    rows.push_back(std::move(row));
  }
  return {{"name", grid.name}, {"rows", rows}};
}

}  // namespace

Row row_of(const Entry& entry) {
  return {.contestant = entry.name,
          .facts = entry.contestant->facts(),
          .build_ms = entry.build_ms > 0 ? std::optional(entry.build_ms) : std::nullopt};
}

Report::Report(std::string machine, std::string mode, std::uint64_t seed)
    : machine_(std::move(machine)), mode_(std::move(mode)), seed_(seed) {
  fmt::print("machine: {}\nseed {}, {} run\n", machine_, seed_, mode_);
}

void Report::add(const Scene& scene, std::vector<Row> rows) {
  const std::vector<std::string> traces = traces_of(rows);
  std::vector<std::string> head{scene.name};
  for (const std::string& trace : traces) {
    head.push_back(trace + " M/s");
  }
  for (const char* name :
       {"ns", "bytes", "touched KiB", "build ms", "update us", "identities", "rules"}) {
    head.emplace_back(name);
  }
  std::vector<std::vector<std::string>> lines{std::move(head)};
  for (const Row& row : rows) {
    if (row.absent.empty()) {
      lines.push_back(cells_of(row, traces));
    }
  }
  print_table(lines);
  for (const Row& row : rows) {
    if (!row.absent.empty()) {
      fmt::print("  {}: {}\n", row.contestant, row.absent);
    }
  }
  fmt::print("\n");
  std::fflush(stdout);
  tables_.emplace_back(scene, std::move(rows));
}

void Report::add(Grid grid) {
  std::vector<std::vector<std::string>> lines{{grid.name}};
  lines[0].insert(lines[0].end(), grid.columns.begin(), grid.columns.end());
  for (const auto& [name, values] : grid.rows) {
    lines.push_back({name});
    for (const std::optional<double>& value : values) {
      lines.back().push_back(cell(value, "{:.4g}"));
    }
  }
  print_table(lines);
  fmt::print("\n");
  std::fflush(stdout);
  grids_.push_back(std::move(grid));
}

void Report::note(const std::string& text) {
  fmt::print("{}\n", text);
  std::fflush(stdout);
  notes_.push_back(text);
}

void Report::at_least(const std::string& name,
                      double value,
                      const std::string& unit,
                      double target) {
  figures_.push_back({name, value, unit, fmt::format(">={:g}", target), value >= target});
}

void Report::at_most(const std::string& name,
                     double value,
                     const std::string& unit,
                     double target) {
  figures_.push_back({name, value, unit, fmt::format("<={:g}", target), value <= target});
}

void Report::measured(const std::string& name, double value, const std::string& unit) {
  figures_.push_back({name, value, unit, "", std::nullopt});
}

void Report::print_figures() const {
  for (const Figure& figure : figures_) {
    if (figure.reached) {
      fmt::print("FIGURE {} {:.4g} {} {} {}\n",
                 figure.name,
                 figure.value,
                 figure.unit,
                 figure.target,
                 *figure.reached ? "reached" : "missed");
    } else {
      fmt::print("MEASURED {} {:.4g} {}\n", figure.name, figure.value, figure.unit);
    }
  }
}

Result<void> Report::write_json(const std::filesystem::path& path) const {
  Json rows = Json::array();
  for (const auto& [scene, table] : tables_) {
    for (const Row& row : table) {
      rows.push_back(json_of(scene, row));
    }
  }
  Json figures = Json::array();
  for (const Figure& figure : figures_) {
    figures.push_back({{"name", figure.name},
                       {"value", figure.value},
                       {"unit", figure.unit},
                       {"target", figure.target},
                       {"reached", json_of(figure.reached)}});
  }
  Json grids = Json::array();
  for (const Grid& grid : grids_) {
    grids.push_back(json_of(grid));
  }
  const Json all{{"machine", machine_},
                 {"mode", mode_},
                 {"seed", seed_},
                 {"notes", notes_},
                 {"rows", rows},
                 {"grids", grids},
                 {"figures", figures}};
  std::ofstream file(path);
  file << all.dump(1) << '\n';
  file.close();
  if (!file) {
    return fail(fmt::format("cannot write {}", path.string()));
  }
  return {};
}

}  // namespace portcullis::bench
