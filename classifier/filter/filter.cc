// SPDX-License-Identifier: MIT
#include "classifier/filter/filter.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <numeric>
#include <span>
#include <utility>

#include <fmt/format.h>

#include "classifier/filter/address_points.h"
#include "classifier/filter/port_space.h"
#include "classifier/filter/product.h"
#include "classifier/filter/rectangle.h"
#include "classifier/filter/rule_lists.h"
#include "classifier/filter/rule_tree.h"

namespace portcullis::classifier {
namespace {

constexpr std::size_t kAlignment = 64;
/// Runs of a side that count as wide: so many of the widest.
constexpr std::size_t kWideRuns = 64;
/// A rule set whose one product stays below this is not parted.
constexpr std::size_t kOneProductCells = std::size_t{1} << 20U;
constexpr std::size_t kOneProductListBytes = std::size_t{1} << 21U;

/// The widest runs of a side hold everything that is held by many.
class WideRuns {
 public:
  WideRuns(std::span<const Rectangle> rules, PointRun Rectangle::*side) {
    std::vector<PointRun> runs;
    for (const Rectangle& rule : rules) {
      runs.push_back(rule.*side);
    }
    const auto key = [](const PointRun& run) { return std::pair(~run.width(), run.first); };
    std::ranges::sort(runs, {}, key);
    runs.erase(std::unique(runs.begin(), runs.end()), runs.end());
    if (runs.size() > kWideRuns) {
      narrower_than_ = runs[kWideRuns - 1].width();
    }
  }
  /// Of equally wide runs all or none are wide.
  [[nodiscard]] bool hold(const PointRun& run) const { return run.width() > narrower_than_; }

 private:
  std::uint32_t narrower_than_ = 0;
};

class FilterCompiler {
 public:
  FilterCompiler(const RuleSet& rules, std::size_t bytes_max)
      : rules_(rules.static_rules),
        bytes_max_(bytes_max),
        src_(rules_, &StaticRule::src),
        dst_(rules_, &StaticRule::dst),
        space_(rules_) {}

  Result<std::vector<std::byte>> run() {
    number_rules();
    const PointMap src_map = src_.map();
    const PointMap dst_map = dst_.map();
    const std::size_t maps = src_map.bytes() + dst_map.bytes();
    if (maps > bytes_max_) {
      return too_large(maps, maps, 0);
    }
    auto [in_products, in_tree] = parted_by_match();
    RuleLists lists(space_, outcomes_, matches_);
    if (!make_one_product(in_products, lists)) {
      lists = RuleLists(space_, outcomes_, matches_);
      make_products(in_products, in_tree, lists);
    }
    std::ranges::sort(in_tree, {}, &Rectangle::rule);
    std::vector<std::byte> bytes =
        assemble({src_map, dst_map}, lists, make_tree(in_tree, rules_, outcomes_));
    if (bytes.size() > bytes_max_) {
      return too_large(bytes.size(), maps, lists.bytes());
    }
    return bytes;
  }

 private:
  using Rectangles = std::vector<Rectangle>;
  void number_rules();
  [[nodiscard]] std::pair<Rectangles, Rectangles> parted_by_match() const;
  bool make_one_product(const Rectangles& rules, RuleLists& lists);
  void make_products(Rectangles& rules, Rectangles& rest, RuleLists& lists);
  [[nodiscard]] PointCounts points() const { return {src_.count(), dst_.count()}; }
  [[nodiscard]] std::vector<std::byte> side_by_side(std::vector<std::uint32_t> Product::*side,
                                                    std::size_t point_count) const;
  [[nodiscard]] std::vector<std::byte> assemble(const std::array<PointMap, 2>& maps,
                                                const RuleLists& lists,
                                                const RuleTree& tree) const;
  [[nodiscard]] Failure too_large(std::size_t bytes, std::size_t maps, std::size_t lists) const {
    return fail(fmt::format(
        "{} static rules take {} bytes (address maps {}, lists {}), more than the table's limit of "
        "{}; raise the limit or use fewer rules",
        rules_.size(),
        bytes,
        maps,
        lists,
        bytes_max_));
  }

  const std::vector<StaticRule>& rules_;
  std::size_t bytes_max_;
  AddressPoints src_;
  AddressPoints dst_;
  PortSpace space_;
  std::vector<std::uint32_t> outcomes_;  // By rule.
  std::vector<std::uint32_t> matches_;   // By rule; 0 where there is none.
  std::vector<Product> products_;
};

void FilterCompiler::number_rules() {
  for (std::uint32_t i = 0; i < rules_.size(); ++i) {
    outcomes_.push_back((i << kOutcomeRuleShift) | static_cast<std::uint32_t>(rules_[i].action));
    matches_.push_back(space_.find(port_match_of(rules_[i])).value_or(0));
  }
}

/// The rectangles of all rules: those that products can take, and those that they cannot.
std::pair<std::vector<Rectangle>, std::vector<Rectangle>> FilterCompiler::parted_by_match() const {
  std::pair<Rectangles, Rectangles> parts;
  for (std::uint32_t i = 0; i < rules_.size(); ++i) {
    const StaticRule& rule = rules_[i];
    const auto match = space_.find(port_match_of(rule));
    for (const Family family : {Family::v4, Family::v6}) {
      const auto other = [&](const std::optional<Prefix>& prefix) {
        return prefix && prefix->address.family != family;
      };
      if (other(rule.src) || other(rule.dst)) {
        continue;
      }
      (match ? parts.first : parts.second)
          .push_back({.src = src_.run_of(rule.src, family),
                      .dst = dst_.run_of(rule.dst, family),
                      .rule = i,
                      .match = match});
    }
  }
  return parts;
}

bool FilterCompiler::make_one_product(const Rectangles& rules, RuleLists& lists) {
  const ProductCost cost = cost_of_product(rules);
  if (cost.whole_cells > kOneProductCells) {
    return false;
  }
  auto product = make_product(rules, points(), lists, kOneProductListBytes);
  if (!product) {
    return false;
  }
  products_.push_back(*std::move(product));
  return true;
}

/// By how wide their ends are: a rule with one wide end would, in a product with rules of the other
/// kind, hold a cell of every row or column.
void FilterCompiler::make_products(Rectangles& rules, Rectangles& rest, RuleLists& lists) {
  const WideRuns wide_src(rules, &Rectangle::src);
  const WideRuns wide_dst(rules, &Rectangle::dst);
  std::array<Rectangles, kProductsMax> groups;
  for (const Rectangle& rule : rules) {
    groups[(wide_src.hold(rule.src) ? 1U : 0U) + (wide_dst.hold(rule.dst) ? 2U : 0U)].push_back(
        rule);
  }
  const std::size_t cell_bytes_max = bytes_max_ / 4 / kProductsMax;
  for (Rectangles& group : groups) {
    // Those that hold the most pairs of points go first.
    const auto area = [](const Rectangle& rule) {
      return std::size_t{rule.src.width()} * rule.dst.width();
    };
    std::ranges::stable_sort(group, {}, area);
    ProductCost cost = cost_of_product(group);
    while (cost.bytes() > cell_bytes_max) {
      const std::size_t kept = group.size() - (group.size() + 7) / 8;
      rest.insert(rest.end(), group.begin() + static_cast<std::ptrdiff_t>(kept), group.end());
      group.resize(kept);
      cost = cost_of_product(group);
    }
    if (group.empty()) {
      continue;
    }
    auto product = make_product(group, points(), lists, bytes_max_ / 4);
    if (product) {
      products_.push_back(*std::move(product));
    } else {
      rest.insert(rest.end(), group.begin(), group.end());
    }
  }
}

template <typename Record>
std::vector<std::byte> bytes_of(std::span<const Record> records) {
  const auto bytes = std::as_bytes(records);
  return {bytes.begin(), bytes.end()};
}
template <typename Record>
std::vector<std::byte> bytes_of(const std::vector<Record>& records) {
  return bytes_of(std::span<const Record>(records));
}

/// What all products say of a point, together: one cache line holds it.
std::vector<std::byte> FilterCompiler::side_by_side(std::vector<std::uint32_t> Product::*side,
                                                    std::size_t point_count) const {
  std::vector<std::uint32_t> words(point_count * kProductsMax);
  for (std::size_t i = 0; i < products_.size(); ++i) {
    for (std::size_t point = 0; point < point_count; ++point) {
      words[point * kProductsMax + i] = (products_[i].*side)[point];
    }
  }
  return bytes_of(words);
}

constexpr std::size_t aligned(std::size_t bytes) {
  return (bytes + kAlignment - 1) / kAlignment * kAlignment;
}

/// Bytes between two arrays: a value of 16 or 8 bits is read as the first of four.
constexpr std::size_t kGapBytes = 4;

/// Lays the arrays out behind the header, each on a cache line of its own.
std::vector<std::byte> laid_out(FilterHeader header,
                                const std::array<std::vector<std::byte>, kFilterPartCount>& parts) {
  std::size_t total = aligned(sizeof(FilterHeader));
  for (std::size_t i = 0; i < parts.size(); ++i) {
    header.parts[i] = {.offset = total, .bytes = parts[i].size()};
    total += aligned(parts[i].size() + kGapBytes);
  }
  std::vector<std::byte> bytes(total);
  std::memcpy(bytes.data(), &header, sizeof(header));
  for (std::size_t i = 0; i < parts.size(); ++i) {
    const auto offset = static_cast<std::ptrdiff_t>(header.parts[i].offset);
    std::ranges::copy(parts[i], bytes.begin() + offset);
  }
  return bytes;
}

std::vector<std::byte> FilterCompiler::assemble(const std::array<PointMap, 2>& maps,
                                                const RuleLists& lists,
                                                const RuleTree& tree) const {
  const PortArrays& ports = space_.arrays();
  FilterHeader header{.src_points = static_cast<std::uint32_t>(src_.count()),
                      .dst_points = static_cast<std::uint32_t>(dst_.count()),
                      .products = static_cast<std::uint32_t>(products_.size()),
                      .shape_shift = lists.shape_shift(),
                      .flags_matter = ports.flags_matter ? 1U : 0U,
                      .src_ports_matter = ports.src_ports_matter ? 1U : 0U,
                      .has_tree = tree.leaves.empty() ? 0U : 1U,
                      .src_search = maps[0].search,
                      .dst_search = maps[1].search};
  std::vector<std::uint32_t> cells;
  for (std::size_t i = 0; i < products_.size(); ++i) {
    header.cells[i] = static_cast<std::uint32_t>(cells.size());
    header.sparse[i] = products_[i].sparse ? 1 : 0;
    cells.insert(cells.end(), products_[i].cells.begin(), products_[i].cells.end());
  }
  return laid_out(header,
                  {
                      bytes_of(maps[0].root_v4),
                      bytes_of(maps[0].nodes_v4),
                      bytes_of(maps[0].limits_v4),
                      bytes_of(maps[0].ranks_v4),
                      bytes_of(maps[0].nodes_v6),
                      bytes_of(maps[1].root_v4),
                      bytes_of(maps[1].nodes_v4),
                      bytes_of(maps[1].limits_v4),
                      bytes_of(maps[1].ranks_v4),
                      bytes_of(maps[1].nodes_v6),
                      bytes_of(ports.protocols),
                      bytes_of(ports.flags),
                      bytes_of(ports.dst_ports),
                      bytes_of(ports.src_ports),
                      bytes_of(ports.rows),
                      bytes_of(ports.points),
                      bytes_of(lists.lists()),
                      lists.shape_bytes(),
                      bytes_of(lists.outcomes()),
                      bytes_of(tree.nodes),
                      bytes_of(tree.leaves),
                      side_by_side(&Product::bases, src_.count()),
                      side_by_side(&Product::columns, dst_.count()),
                      bytes_of(cells),
                  });
}

const FilterHeader& header_of(const std::byte* filter) {
  return *reinterpret_cast<const FilterHeader*>(filter);
}

template <typename Record>
const Record* records(const std::byte* filter, FilterPart part) {
  const auto place = header_of(filter).parts[static_cast<std::size_t>(part)];
  return reinterpret_cast<const Record*>(filter + place.offset);
}

}  // namespace

Result<std::vector<std::byte>> compile_filter(const RuleSet& rules, std::size_t bytes_max) {
  if (rules.static_rules.empty()) {
    return std::vector<std::byte>{};
  }
  return FilterCompiler(rules, bytes_max).run();
}

FilterSizes filter_sizes(const std::byte* filter) {
  const FilterHeader& header = header_of(filter);
  const auto bytes = [&](FilterPart part) {
    return static_cast<std::size_t>(header.parts[static_cast<std::size_t>(part)].bytes);
  };
  using enum FilterPart;
  return {.bytes = header.parts.back().offset + header.parts.back().bytes,
          .address_maps = header.parts[static_cast<std::size_t>(protocols)].offset -
                          header.parts[static_cast<std::size_t>(src_root_v4)].offset,
          .products = header.products,
          .cells = bytes(cells),
          .lists = bytes(lists) / sizeof(RuleList),
          .shapes = bytes(shapes),
          .port_points = bytes(FilterPart::protocols) + bytes(FilterPart::flags) +
                         bytes(dst_ports) + bytes(src_ports) + bytes(port_rows) +
                         bytes(FilterPart::port_points),
          .tree_rules = bytes(leaves) / sizeof(RuleBlock) * RuleBlock::kRules};
}

FilterView filter_view(const std::byte* filter) {
  const FilterHeader& header = header_of(filter);
  const auto words = [&](FilterPart part) { return records<std::uint32_t>(filter, part); };
  const auto octets = [&](FilterPart part) { return records<std::uint8_t>(filter, part); };
  using enum FilterPart;
  FilterView view{
      .src = {.root_v4 = words(src_root_v4),
              .nodes_v4 = words(src_nodes_v4),
              .limits_v4 = words(src_limits_v4),
              .ranks_v4 = words(src_ranks_v4),
              .nodes_v6 = words(src_nodes_v6),
              .search = header.src_search},
      .dst = {.root_v4 = words(dst_root_v4),
              .nodes_v4 = words(dst_nodes_v4),
              .limits_v4 = words(dst_limits_v4),
              .ranks_v4 = words(dst_ranks_v4),
              .nodes_v6 = words(dst_nodes_v6),
              .search = header.dst_search},
      .protocols = words(protocols),
      .flags = header.flags_matter != 0 ? words(flags) : nullptr,
      .dst_ports = octets(dst_ports),
      .src_ports = header.src_ports_matter != 0 ? octets(src_ports) : nullptr,
      .port_rows = words(port_rows),
      .port_points = octets(port_points),
      .lists = words(lists),
      .shapes = octets(shapes),
      .outcomes = words(outcomes),
      .tree = header.has_tree != 0 ? records<TreeNode>(filter, tree) : nullptr,
      .leaves = records<RuleBlock>(filter, leaves),
      .bases = words(bases),
      .columns = words(columns),
      .product_count = header.products,
      .shape_shift = header.shape_shift,
      .shape_mask = header.shape_shift == 0 ? 0xffU : 0xffffU,
  };
  for (std::size_t i = 0; i < header.products; ++i) {
    view.products[i] = {.cells = words(cells) + header.cells[i], .sparse = header.sparse[i] != 0};
  }
  return view;
}

}  // namespace portcullis::classifier
