// SPDX-License-Identifier: MIT
#include "classifier/filter/product.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "classifier/compiler/comb.h"
#include "classifier/compiler/intern.h"

namespace portcullis::classifier {
namespace {

/// The distinct runs of one side, numbered from 1 in order, a run before those inside it. Number 0
/// is the points outside all of them.
class Lines {
 public:
  Lines(std::span<const Rectangle> rules, PointRun Rectangle::*side) {
    for (const Rectangle& rule : rules) {
      runs_.push_back(rule.*side);
    }
    std::ranges::sort(runs_, before);
    runs_.erase(std::unique(runs_.begin(), runs_.end()), runs_.end());
    std::vector<std::uint32_t> open{0};
    for (std::uint32_t line = 1; line <= runs_.size(); ++line) {
      while (open.back() != 0 && runs_[open.back() - 1].end <= runs_[line - 1].first) {
        end_[open.back()] = line;
        open.pop_back();
      }
      parent_.push_back(open.back());
      end_.push_back(0);
      open.push_back(line);
    }
    for (const std::uint32_t line : open) {
      end_[line] = static_cast<std::uint32_t>(count());
    }
  }

  [[nodiscard]] std::size_t count() const { return runs_.size() + 1; }
  [[nodiscard]] std::uint32_t parent(std::uint32_t line) const { return parent_[line]; }
  /// The lines of a run and those inside it.
  [[nodiscard]] PointRun lines_of(const PointRun& run) const {
    const auto found = std::ranges::lower_bound(runs_, run, before);
    const auto line = static_cast<std::uint32_t>(found - runs_.begin() + 1);
    return {.first = line, .end = end_[line]};
  }
  [[nodiscard]] std::vector<std::uint32_t> line_of_points(std::size_t point_count) const {
    std::vector<std::uint32_t> lines(point_count, 0);
    for (std::size_t i = 0; i < runs_.size(); ++i) {
      std::fill(lines.begin() + runs_[i].first,
                lines.begin() + runs_[i].end,
                static_cast<std::uint32_t>(i + 1));
    }
    return lines;
  }

 private:
  static bool before(const PointRun& a, const PointRun& b) {
    return a.first != b.first ? a.first < b.first : a.end > b.end;
  }
  std::vector<PointRun> runs_;
  std::vector<std::uint32_t> parent_{0};  // By line.
  std::vector<std::uint32_t> end_{0};     // By line: one past the last line inside it.
};

/// A rule in a row: the columns it holds.
struct Strip {
  PointRun columns;
  std::uint32_t rule = 0;
};

/// Columns of a row that have one list.
struct Segment {
  PointRun columns;
  std::uint32_t list = 0;
};

/// Rows, columns and the rules of each row.
struct Grid {
  explicit Grid(std::span<const Rectangle> rules)
      : rows(rules, &Rectangle::src), columns(rules, &Rectangle::dst), own(rows.count()) {
    for (const Rectangle& rule : rules) {
      own[rows.lines_of(rule.src).first].push_back(
          {.columns = columns.lines_of(rule.dst), .rule = rule.rule});
    }
  }

  /// The rules that hold a row: its own and those of the rows around it.
  void collect(std::uint32_t row, std::vector<Strip>& out) const {
    out.clear();
    for (std::uint32_t at = row; at != 0; at = rows.parent(at)) {
      out.insert(out.end(), own[at].begin(), own[at].end());
    }
  }

  Lines rows;
  Lines columns;
  std::vector<std::vector<Strip>> own;  // By row.
};

std::size_t columns_held(std::vector<Strip>& strips) {
  std::ranges::sort(strips, {}, [](const Strip& strip) { return strip.columns.first; });
  std::size_t held = 0;
  std::uint32_t at = 0;
  for (const Strip& strip : strips) {
    at = std::max(at, strip.columns.first);
    if (strip.columns.end > at) {
      held += strip.columns.end - at;
      at = strip.columns.end;
    }
  }
  return held;
}

/// Goes along a row and gives each stretch of columns its list.
class RowSweep {
 public:
  explicit RowSweep(RuleLists& lists) : lists_(lists) {}

  const std::vector<Segment>& run(std::span<const Strip> strips) {
    events_.clear();
    for (const Strip& strip : strips) {
      events_.push_back({.column = strip.columns.first, .rule = strip.rule, .begins = true});
      events_.push_back({.column = strip.columns.end, .rule = strip.rule, .begins = false});
    }
    std::ranges::sort(events_, {}, &Event::column);
    segments_.clear();
    active_.clear();
    std::uint32_t from = 0;
    for (std::size_t i = 0; i < events_.size();) {
      const std::uint32_t column = events_[i].column;
      close_segment(from, column);
      from = column;
      for (; i < events_.size() && events_[i].column == column; ++i) {
        change(events_[i]);
      }
    }
    return segments_;
  }

 private:
  struct Event {
    std::uint32_t column = 0;
    std::uint32_t rule = 0;
    bool begins = false;
  };

  void close_segment(std::uint32_t from, std::uint32_t to) {
    if (from == to || active_.empty()) {
      return;
    }
    const std::uint32_t list = lists_.place(active_);
    if (!segments_.empty() && segments_.back().columns.end == from &&
        segments_.back().list == list) {
      segments_.back().columns.end = to;
    } else {
      segments_.push_back({.columns = {.first = from, .end = to}, .list = list});
    }
  }

  /// A rule of both families may begin where it ends: then it is active twice for a moment.
  void change(const Event& event) {
    const auto at = std::ranges::lower_bound(active_, event.rule);
    if (event.begins) {
      active_.insert(at, event.rule);
    } else if (at != active_.end() && *at == event.rule) {
      active_.erase(at);
    }
  }

  RuleLists& lists_;
  std::vector<Event> events_;
  std::vector<Segment> segments_;
  std::vector<std::uint32_t> active_;  // Ascending.
};

/// Lays rows of segments out as cells.
class CellLayout {
 public:
  CellLayout(std::size_t column_count, bool sparse)
      : column_count_(column_count), sparse_(sparse) {}

  void add_row(std::span<const Segment> segments) {
    if (!sparse_) {
      row_.assign(column_count_, 0);
      for (const Segment& segment : segments) {
        std::fill(
            row_.begin() + segment.columns.first, row_.begin() + segment.columns.end, segment.list);
      }
      bases_.push_back(whole_.place(row_));
      return;
    }
    rows_.emplace_back(segments.begin(), segments.end());
  }

  /// Bases by row, and the cells.
  std::pair<std::vector<std::uint32_t>, std::vector<std::uint32_t>> finish(
      const std::stop_token& stop) {
    if (!sparse_) {
      return {std::move(bases_), whole_.words()};
    }
    std::vector<std::size_t> order(rows_.size());
    std::vector<std::size_t> lengths(rows_.size());
    for (std::size_t row = 0; row < rows_.size(); ++row) {
      order[row] = row;
      for (const Segment& segment : rows_[row]) {
        lengths[row] += segment.columns.width();
      }
    }
    std::ranges::stable_sort(order, std::greater{}, [&](std::size_t row) { return lengths[row]; });
    Comb comb;
    bases_.resize(rows_.size());
    for (const std::size_t row : order) {
      if (stop.stop_requested()) {
        return {};
      }
      row_.clear();
      for (const Segment& segment : rows_[row]) {
        for (std::uint32_t column = segment.columns.first; column < segment.columns.end; ++column) {
          row_.push_back(column);
        }
      }
      bases_[row] = comb.place(row_);
    }
    // From any base any column may be asked for.
    std::vector<std::uint32_t> cells((comb.bases_end() + column_count_) * 2, 0);
    for (std::size_t i = 0; i < cells.size(); i += 2) {
      cells[i] = SparseCell{}.column;
    }
    for (std::size_t row = 0; row < rows_.size(); ++row) {
      for (const Segment& segment : rows_[row]) {
        for (std::uint32_t column = segment.columns.first; column < segment.columns.end; ++column) {
          const std::size_t at = (std::size_t{bases_[row]} + column) * 2;
          cells[at] = column;
          cells[at + 1] = segment.list;
        }
      }
    }
    return {std::move(bases_), std::move(cells)};
  }

 private:
  std::size_t column_count_;
  bool sparse_;
  Intern whole_;
  std::vector<std::vector<Segment>> rows_;
  std::vector<std::uint32_t> bases_;
  std::vector<std::uint32_t> row_;  // Room for one.
};

}  // namespace

bool ProductCost::is_sparse() const {
  return whole_cells > kWholeCellsMax && whole_cells / 2 > filled_cells;
}

std::size_t ProductCost::bytes() const {
  return is_sparse() ? filled_cells * sizeof(SparseCell) : whole_cells * sizeof(std::uint32_t);
}

ProductCost cost_of_product(std::span<const Rectangle> rules,
                            std::size_t bytes_max,
                            const std::stop_token& stop) {
  if (stop.stop_requested()) {
    return {};
  }
  const Grid grid(rules);
  ProductCost cost{.whole_cells = grid.rows.count() * grid.columns.count()};
  cost.filled_cells = cost.whole_cells;
  if (cost.whole_cells <= ProductCost::kWholeCellsMax) {
    return cost;
  }
  // Each row's rules are its parent's and its own, so they can be counted before they are listed.
  std::vector<std::size_t> counts(grid.rows.count());
  for (std::uint32_t row = 1; row < grid.rows.count(); ++row) {
    counts[row] = counts[grid.rows.parent(row)] + grid.own[row].size();
    cost.steps += counts[row];
  }
  constexpr std::size_t kStepsListed = std::size_t{1} << 26U;
  if (cost.steps > kStepsListed) {
    return cost;
  }
  cost.filled_cells = 0;
  std::vector<Strip> strips;
  for (std::uint32_t row = 1;
       row < grid.rows.count() && cost.bytes() <= bytes_max && !stop.stop_requested();
       ++row) {
    grid.collect(row, strips);
    cost.filled_cells += columns_held(strips);
  }
  return cost;
}

std::optional<Product> make_product(std::span<const Rectangle> rules,
                                    const PointCounts& points,
                                    RuleLists& lists,
                                    std::size_t list_bytes_max,
                                    const std::stop_token& stop) {
  if (stop.stop_requested()) {
    return std::nullopt;
  }
  const Grid grid(rules);
  constexpr std::size_t kAll = std::numeric_limits<std::size_t>::max();
  Product product{.sparse = cost_of_product(rules, kAll, stop).is_sparse()};
  CellLayout layout(grid.columns.count(), product.sparse);
  layout.add_row({});
  RowSweep sweep(lists);
  std::vector<Strip> strips;
  for (std::uint32_t row = 1; row < grid.rows.count(); ++row) {
    grid.collect(row, strips);
    layout.add_row(sweep.run(strips));
    if (lists.bytes() > list_bytes_max || stop.stop_requested()) {
      return std::nullopt;
    }
  }
  auto [bases, cells] = layout.finish(stop);
  if (stop.stop_requested()) {
    return std::nullopt;
  }
  product.cells = std::move(cells);
  product.bases = grid.rows.line_of_points(points.src);
  for (std::uint32_t& base : product.bases) {
    base = bases[base];
  }
  product.columns = grid.columns.line_of_points(points.dst);
  return product;
}

}  // namespace portcullis::classifier
