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
#include "classifier/filter/products.h"
#include "classifier/filter/rectangle.h"
#include "classifier/filter/rule_lists.h"
#include "classifier/filter/rule_tree.h"

namespace portcullis::classifier {
namespace {

constexpr std::size_t kAlignment = 64;

struct PointMaps {
  SearchTree src_v4;
  SearchTree dst_v4;
  std::vector<std::uint32_t> src_v6;
  std::vector<std::uint32_t> dst_v6;

  [[nodiscard]] std::size_t bytes() const {
    return (src_v4.limits.size() + dst_v4.limits.size() + src_v6.size() + dst_v6.size()) *
           sizeof(std::uint32_t);
  }
};

class FilterCompiler {
 public:
  FilterCompiler(const RuleSet& rules, std::size_t bytes_max, const std::stop_token& stop)
      : rules_(rules.static_rules),
        bytes_max_(bytes_max),
        stop_(stop),
        src_(rules_, &StaticRule::src),
        dst_(rules_, &StaticRule::dst),
        space_(rules_) {}

  Result<std::vector<std::byte>> run() {
    number_rules();
    const PointMaps maps{.src_v4 = src_.search_v4(),
                         .dst_v4 = dst_.search_v4(),
                         .src_v6 = src_.nodes_v6(),
                         .dst_v6 = dst_.nodes_v6()};
    if (maps.bytes() > bytes_max_) {
      return too_large(maps.bytes(), maps.bytes(), 0);
    }
    const auto [with_match, without] = parted_by_match();
    Products products = make_products(with_match,
                                      {.src = src_.count(), .dst = dst_.count()},
                                      RuleLists(space_, outcomes_, matches_),
                                      bytes_max_,
                                      stop_);
    Rectangles& in_tree = products.rest;
    in_tree.insert(in_tree.end(), without.begin(), without.end());
    std::ranges::sort(in_tree, {}, &Rectangle::rule);
    const RuleTree tree = make_tree(in_tree, rules_, outcomes_, stop_);
    if (stop_.stop_requested()) {
      return std::vector<std::byte>{};
    }
    std::vector<std::byte> bytes = assemble(maps, products, tree);
    if (bytes.size() > bytes_max_) {
      return too_large(bytes.size(), maps.bytes(), products.bytes());
    }
    return bytes;
  }

 private:
  using Rectangles = std::vector<Rectangle>;
  void number_rules();
  [[nodiscard]] std::pair<Rectangles, Rectangles> parted_by_match() const;
  [[nodiscard]] std::vector<std::byte> assemble(const PointMaps& maps,
                                                const Products& products,
                                                const RuleTree& tree) const;
  [[nodiscard]] Failure too_large(std::size_t bytes, std::size_t maps, std::size_t products) const {
    return fail(
        fmt::format("{} static rules take {} bytes (address maps {}, products {}), more than the "
                    "table's limit of "
                    "{}; raise the limit or use fewer rules",
                    rules_.size(),
                    bytes,
                    maps,
                    products,
                    bytes_max_));
  }

  const std::vector<StaticRule>& rules_;
  std::size_t bytes_max_;
  const std::stop_token& stop_;
  AddressPoints src_;
  AddressPoints dst_;
  PortSpace space_;
  std::vector<std::uint32_t> outcomes_;  // By rule.
  std::vector<std::uint32_t> matches_;   // By rule; 0 where there is none.
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
                      .rule = i});
    }
  }
  return parts;
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

/// Two words of a point are read at once.
std::uint32_t product_shift(const Products& products) {
  return products.all.size() <= 2 ? 1 : 2;
}

/// What all products say of a point, together.
std::vector<std::byte> side_by_side(const Products& products,
                                    std::vector<std::uint32_t> Product::*side,
                                    std::size_t point_count) {
  const std::uint32_t shift = product_shift(products);
  std::vector<std::uint32_t> words(point_count << shift);
  for (std::size_t i = 0; i < products.all.size(); ++i) {
    for (std::size_t point = 0; point < point_count; ++point) {
      words[(point << shift) + i] = (products.all[i].*side)[point];
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

std::vector<std::byte> FilterCompiler::assemble(const PointMaps& maps,
                                                const Products& products,
                                                const RuleTree& tree) const {
  const PortArrays& ports = space_.arrays();
  FilterHeader header{.products = static_cast<std::uint32_t>(products.all.size()),
                      .product_shift = product_shift(products),
                      .shape_shift = products.lists.shape_shift(),
                      .flags_matter = ports.flags_matter ? 1U : 0U,
                      .src_ports_matter = ports.src_ports_matter ? 1U : 0U,
                      .has_tree = tree.leaves.empty() ? 0U : 1U,
                      .src_search = maps.src_v4.search,
                      .dst_search = maps.dst_v4.search,
                      .src_port_search = ports.src_ports.search,
                      .dst_port_search = ports.dst_ports.search};
  std::vector<std::uint32_t> cells;
  for (std::size_t i = 0; i < products.all.size(); ++i) {
    header.cells[i] = static_cast<std::uint32_t>(cells.size());
    header.sparse[i] = products.all[i].sparse ? 1 : 0;
    cells.insert(cells.end(), products.all[i].cells.begin(), products.all[i].cells.end());
  }
  return laid_out(header,
                  {
                      bytes_of(maps.src_v4.limits),
                      bytes_of(maps.dst_v4.limits),
                      bytes_of(ports.src_ports.limits),
                      bytes_of(ports.dst_ports.limits),
                      bytes_of(maps.src_v6),
                      bytes_of(maps.dst_v6),
                      bytes_of(ports.protocols),
                      bytes_of(ports.flags),
                      bytes_of(ports.rows),
                      bytes_of(ports.points),
                      bytes_of(products.lists.lists()),
                      products.lists.shape_bytes(),
                      bytes_of(products.lists.outcomes()),
                      bytes_of(tree.nodes),
                      bytes_of(tree.leaves),
                      side_by_side(products, &Product::bases, src_.count()),
                      side_by_side(products, &Product::columns, dst_.count()),
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

Result<std::vector<std::byte>> compile_filter(const RuleSet& rules,
                                              std::size_t bytes_max,
                                              const std::stop_token& stop) {
  if (rules.static_rules.empty()) {
    return std::vector<std::byte>{};
  }
  return FilterCompiler(rules, bytes_max, stop).run();
}

FilterSizes filter_sizes(const std::byte* filter) {
  const FilterHeader& header = header_of(filter);
  const auto bytes = [&](FilterPart part) {
    return static_cast<std::size_t>(header.parts[static_cast<std::size_t>(part)].bytes);
  };
  using enum FilterPart;
  return {.bytes = header.parts.back().offset + header.parts.back().bytes,
          .address_maps =
              bytes(src_limits) + bytes(dst_limits) + bytes(src_nodes_v6) + bytes(dst_nodes_v6),
          .products = header.products,
          .cells = bytes(cells),
          .lists = bytes(lists) / sizeof(RuleList),
          .shapes = bytes(shapes),
          .port_points = bytes(FilterPart::protocols) + bytes(FilterPart::flags) +
                         bytes(dst_port_limits) + bytes(src_port_limits) + bytes(port_rows) +
                         bytes(FilterPart::port_points),
          .tree_rules = bytes(leaves) / sizeof(RuleBlock) * RuleBlock::kRules};
}

FilterView filter_view(const std::byte* filter) {
  const FilterHeader& header = header_of(filter);
  const auto words = [&](FilterPart part) { return records<std::uint32_t>(filter, part); };
  const auto octets = [&](FilterPart part) { return records<std::uint8_t>(filter, part); };
  using enum FilterPart;
  FilterView view{
      .src = {.limits = words(src_limits), .levels = header.src_search},
      .dst = {.limits = words(dst_limits), .levels = header.dst_search},
      .src_port = {.limits = words(src_port_limits), .levels = header.src_port_search},
      .dst_port = {.limits = words(dst_port_limits), .levels = header.dst_port_search},
      .src_nodes_v6 = words(src_nodes_v6),
      .dst_nodes_v6 = words(dst_nodes_v6),
      .protocols = words(protocols),
      .flags = header.flags_matter != 0 ? words(flags) : nullptr,
      .port_rows = words(port_rows),
      .port_points = header.src_ports_matter != 0 ? octets(port_points) : nullptr,
      .lists = words(lists),
      .shapes = octets(shapes),
      .outcomes = words(outcomes),
      .tree = header.has_tree != 0 ? records<TreeNode>(filter, tree) : nullptr,
      .leaves = records<RuleBlock>(filter, leaves),
      .bases = words(bases),
      .columns = words(columns),
      .product_count = header.products,
      .product_shift = header.product_shift,
      .shape_shift = header.shape_shift,
      .shape_mask = header.shape_shift == 0 ? 0xffU : 0xffffU,
  };
  for (std::size_t i = 0; i < header.products; ++i) {
    view.products[i] = {.cells = words(cells) + header.cells[i], .sparse = header.sparse[i] != 0};
  }
  return view;
}

}  // namespace portcullis::classifier
