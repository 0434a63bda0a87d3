// SPDX-License-Identifier: MIT
#include "classifier/filter/product.h"

#include <algorithm>
#include <limits>
#include <random>

#include <gtest/gtest.h>

namespace portcullis::classifier {
namespace {

/// Rules that differ by their addresses alone: rule i has the outcome i.
class ProductOfRules : public testing::Test {
 protected:
  std::uint32_t first_at(const Product& product, std::uint32_t src, std::uint32_t dst) const {
    const std::size_t place = std::size_t{product.bases.at(src)} + product.columns.at(dst);
    std::uint32_t list = 0;
    if (!product.sparse) {
      list = product.cells.at(place);
    } else if (product.cells.at(place * 2) == product.columns.at(dst)) {
      list = product.cells.at(place * 2 + 1);
    }
    const RuleList& parts = lists_.lists().at(list);
    const auto shapes = lists_.shape_bytes();
    const std::size_t at = std::size_t{parts.shape} << lists_.shape_shift();
    const auto number = static_cast<std::size_t>(shapes.at(at));
    return lists_.outcomes().at(parts.outcomes + number);
  }

  void expect_first_rules(std::span<const Rectangle> rules, std::uint32_t points) {
    const auto product = make_product(rules, {points, points}, lists_, std::size_t{1} << 30U, {});
    ASSERT_TRUE(product);
    std::mt19937 random(1);
    for (int i = 0; i < 3'000; ++i) {
      const auto src = static_cast<std::uint32_t>(random() % points);
      const auto dst = static_cast<std::uint32_t>(random() % points);
      std::uint32_t expected = kNoOutcome;
      for (const Rectangle& rule : rules) {
        if (rule.src.holds(src) && rule.dst.holds(dst)) {
          expected = std::min(expected, rule.rule);
        }
      }
      ASSERT_EQ(first_at(*product, src, dst), expected) << src << " " << dst;
    }
    sparse_ = product->sparse;
  }

  const std::vector<StaticRule> any_{1};
  PortSpace space_{any_};
  std::vector<std::uint32_t> outcomes_ = [] {
    std::vector<std::uint32_t> numbers(10'000);
    for (std::uint32_t i = 0; i < numbers.size(); ++i) {
      numbers[i] = i;
    }
    return numbers;
  }();
  std::vector<std::uint32_t> matches_ = std::vector<std::uint32_t>(10'000);
  RuleLists lists_{space_, outcomes_, matches_};
  bool sparse_ = false;
};

TEST_F(ProductOfRules, NamesTheFirstRuleOfEveryPair) {
  const std::vector<Rectangle> rules{{.src = {2, 3}, .dst = {4, 5}, .rule = 0},
                                     {.src = {0, 8}, .dst = {4, 6}, .rule = 1},
                                     {.src = {2, 6}, .dst = {0, 8}, .rule = 2}};
  expect_first_rules(rules, 10);
  EXPECT_FALSE(sparse_);
}

TEST_F(ProductOfRules, LaysRowsIntoEachOthersGapsWhenThereAreMany) {
  std::vector<Rectangle> rules;
  std::mt19937 random(2);
  for (std::uint32_t i = 0; i < 4'000; ++i) {
    // Runs of 1, 2 or 8 points, which nest.
    const std::uint32_t width = 1U << (random() % 3 * (random() % 2 + 1) / 1);
    const auto src = static_cast<std::uint32_t>(random() % 2'000) / width * width;
    const auto dst = static_cast<std::uint32_t>(random() % 2'000) / width * width;
    rules.push_back({.src = {src, src + width}, .dst = {dst, dst + width}, .rule = i});
  }
  expect_first_rules(rules, 2'100);
  EXPECT_TRUE(sparse_);
}

constexpr std::size_t kNoLimit = std::numeric_limits<std::size_t>::max();

TEST_F(ProductOfRules, CostsWhatItIsSaidTo) {
  const std::vector<Rectangle> rules{{.src = {0, 4}, .dst = {1, 3}, .rule = 0},
                                     {.src = {1, 2}, .dst = {2, 3}, .rule = 1}};
  const ProductCost cost = cost_of_product(rules, kNoLimit, {});
  EXPECT_EQ(cost.whole_cells, 9U) << "two runs and the rest on either side";
  EXPECT_FALSE(cost.is_sparse());
  EXPECT_EQ(cost.bytes(), 36U);

  // A thousand rules apart from each other, each a row, a column and one cell.
  std::vector<Rectangle> apart;
  for (std::uint32_t i = 0; i < 1'000; ++i) {
    apart.push_back({.src = {i, i + 1}, .dst = {i, i + 1}, .rule = i});
  }
  const ProductCost scattered = cost_of_product(apart, kNoLimit, {});
  EXPECT_EQ(scattered.whole_cells, 1'001U * 1'001U);
  EXPECT_EQ(scattered.filled_cells, 1'000U);
  EXPECT_EQ(scattered.steps, 1'000U);
  EXPECT_TRUE(scattered.is_sparse());
  EXPECT_EQ(scattered.bytes(), 8'000U);
  EXPECT_LT(cost_of_product(apart, 1'000, {}).filled_cells, 200U) << "enough is known";
}

TEST_F(ProductOfRules, GivesUpWhenListsOutgrowTheirRoom) {
  const std::vector<Rectangle> rules{{.src = {0, 4}, .dst = {1, 3}, .rule = 0}};
  EXPECT_FALSE(make_product(rules, {10, 10}, lists_, 8, {}));
}

}  // namespace
}  // namespace portcullis::classifier
