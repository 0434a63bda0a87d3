// SPDX-License-Identifier: MIT
// What a run found: rows of a table for each set, figures with their targets, and all of it as
// JSON.
#pragma once

#include <cstddef>
#include <filesystem>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"
#include "bench/baselines/contestant.h"

namespace portcullis::bench {

/// A policy world or a filter set, whatever is asked of it.
struct Scene {
  std::string part;  // "policies" or "classbench".
  std::string name;
  std::size_t pods = 0;
  std::size_t policies = 0;
  std::size_t rules = 0;
};

/// How long one update takes.
struct UpdateMedians {
  double pod_us = 0;     // A pod of known labels.
  double policy_us = 0;  // A policy.
};

/// One contestant over one scene.
struct Row {
  std::string contestant;
  std::vector<std::pair<std::string, double>> rates;  // Trace and million keys a second.
  Facts facts;
  std::optional<double> build_ms;
  std::optional<UpdateMedians> update;
  std::string absent;  // Why there is nothing else.
};

/// Numbers under names, for what has no lookups a second.
struct Grid {
  std::string name;
  std::vector<std::string> columns;
  /// Shapes: a value for each column; none where there is nothing to tell.
  std::vector<std::pair<std::string, std::vector<std::optional<double>>>> rows;
};

/// What is known of a contestant before it is measured.
Row row_of(const Entry& entry);

class Report {
 public:
  Report(std::string machine, std::string mode, std::uint64_t seed);

  /// Prints a table of these rows and keeps them.
  void add(const Scene& scene, std::vector<Row> rows);
  void add(Grid grid);

  /// Something the reader should know, printed at once.
  void note(const std::string& text);

  /// Figures are printed by finish(): with a target to reach, to stay under, or with none.
  void at_least(const std::string& name, double value, const std::string& unit, double target);
  void at_most(const std::string& name, double value, const std::string& unit, double target);
  void measured(const std::string& name, double value, const std::string& unit);

  void print_figures() const;
  /// Errors: cannot write the file.
  [[nodiscard]] Result<void> write_json(const std::filesystem::path& path) const;

 private:
  struct Figure {
    std::string name;
    double value = 0;
    std::string unit;
    std::string target;
    std::optional<bool> reached;
  };

  std::string machine_;
  std::string mode_;
  std::uint64_t seed_;
  std::vector<std::pair<Scene, std::vector<Row>>> tables_;
  std::vector<Grid> grids_;
  std::vector<std::string> notes_;
  std::vector<Figure> figures_;
};

}  // namespace portcullis::bench
