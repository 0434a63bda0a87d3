// SPDX-License-Identifier: MIT
#include "classifier/filter/products.h"

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

namespace portcullis::classifier {
namespace {

using Rectangles = std::vector<Rectangle>;

/// Rules go together by whether their run of one side, or of either, is among the so many widest.
struct Parting {
  bool by_src = false;
  bool by_dst = false;
  std::size_t wide_runs = 16;  // At least one.
};
constexpr Parting kTogether;
constexpr std::array<Parting, 4> kInTwo{{
    {.by_src = true},
    {.by_dst = true},
    {.by_src = true, .wide_runs = 64},
    {.by_dst = true, .wide_runs = 64},
}};
constexpr Parting kInFour{.by_src = true, .by_dst = true, .wide_runs = 64};

/// One or two products may take so much. With more of it, four small ones are as fast.
constexpr std::size_t kFewProductsBytes = std::size_t{4} << 20U;

/// The widest runs of a side.
class WideRuns {
 public:
  WideRuns(std::span<const Rectangle> rules, PointRun Rectangle::*side, std::size_t count) {
    std::vector<PointRun> runs;
    for (const Rectangle& rule : rules) {
      runs.push_back(rule.*side);
    }
    const auto key = [](const PointRun& run) { return std::pair(~run.width(), run.first); };
    std::ranges::sort(runs, {}, key);
    runs.erase(std::unique(runs.begin(), runs.end()), runs.end());
    if (runs.size() > count) {
      narrower_than_ = runs[count - 1].width();
    }
  }
  /// Of equally wide runs all or none are wide.
  [[nodiscard]] bool hold(const PointRun& run) const { return run.width() > narrower_than_; }

 private:
  std::uint32_t narrower_than_ = 0;
};

/// The groups that have rules.
std::vector<Rectangles> parted(std::span<const Rectangle> rules, const Parting& parting) {
  std::vector<Rectangles> groups(kProductsMax);
  const WideRuns wide_src(rules, &Rectangle::src, parting.wide_runs);
  const WideRuns wide_dst(rules, &Rectangle::dst, parting.wide_runs);
  for (const Rectangle& rule : rules) {
    const std::size_t group = (parting.by_src && wide_src.hold(rule.src) ? 1U : 0U) +
                              (parting.by_dst && wide_dst.hold(rule.dst) ? 2U : 0U);
    groups[group].push_back(rule);
  }
  std::erase_if(groups, [](const Rectangles& group) { return group.empty(); });
  return groups;
}

/// Of all rules, or nothing if they do not fit.
std::optional<Products> make_few(const std::vector<Rectangles>& groups,
                                 const PointCounts& points,
                                 const RuleLists& none,
                                 const std::stop_token& stop) {
  if (stop.stop_requested()) {
    return std::nullopt;
  }
  std::size_t room = kFewProductsBytes;
  for (const Rectangles& group : groups) {
    const std::size_t bytes = cost_of_product(group, room, stop).bytes();
    if (bytes > room) {
      return std::nullopt;
    }
    room -= bytes;
  }
  Products products{.lists = none};
  for (const Rectangles& group : groups) {
    auto product = make_product(group, points, products.lists, room, stop);
    if (!product) {
      return std::nullopt;
    }
    products.all.push_back(*std::move(product));
  }
  // Cells that lie in each other's gaps come to more than their number.
  return products.bytes() <= kFewProductsBytes ? std::optional(std::move(products)) : std::nullopt;
}

Products make_four(std::span<const Rectangle> rules,
                   const PointCounts& points,
                   const RuleLists& none,
                   std::size_t bytes_max,
                   const std::stop_token& stop) {
  Products products{.lists = none};
  const std::size_t cell_bytes_max = bytes_max / 4 / kProductsMax;
  for (Rectangles& group : parted(rules, kInFour)) {
    // Those that hold the most pairs of points go first.
    const auto area = [](const Rectangle& rule) {
      return std::size_t{rule.src.width()} * rule.dst.width();
    };
    std::ranges::stable_sort(group, {}, area);
    const auto leave_last = [&](std::size_t count) {
      products.rest.insert(
          products.rest.end(), group.end() - static_cast<std::ptrdiff_t>(count), group.end());
      group.resize(group.size() - count);
    };
    while (cost_of_product(group, cell_bytes_max, stop).bytes() > cell_bytes_max) {
      leave_last((group.size() + 7) / 8);
    }
    if (group.empty()) {
      continue;
    }
    if (auto product = make_product(group, points, products.lists, bytes_max / 4, stop)) {
      products.all.push_back(*std::move(product));
    } else {
      leave_last(group.size());
    }
  }
  return products;
}

}  // namespace

std::size_t Products::bytes() const {
  std::size_t bytes = lists.bytes();
  for (const Product& product : all) {
    bytes += product.cells.size() * sizeof(std::uint32_t);
  }
  return bytes;
}

Products make_products(std::span<const Rectangle> rules,
                       const PointCounts& points,
                       const RuleLists& none,
                       std::size_t bytes_max,
                       const std::stop_token& stop) {
  if (auto one = make_few(parted(rules, kTogether), points, none, stop)) {
    return *std::move(one);
  }
  std::optional<Products> least;
  for (const Parting& parting : kInTwo) {
    auto two = make_few(parted(rules, parting), points, none, stop);
    if (two && (!least || two->bytes() < least->bytes())) {
      least = std::move(two);
    }
  }
  return least ? *std::move(least) : make_four(rules, points, none, bytes_max, stop);
}

}  // namespace portcullis::classifier
