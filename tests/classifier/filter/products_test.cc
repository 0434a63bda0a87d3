// SPDX-License-Identifier: MIT
#include "classifier/filter/products.h"

#include <random>

#include <gtest/gtest.h>

namespace portcullis::classifier {
namespace {

class ProductsOfRules : public testing::Test {
 protected:
  static constexpr std::uint32_t kPoints = 1U << 14U;

  /// `count` rules from points of their own, some to points of their own and some to all.
  static std::vector<Rectangle> rules(std::uint32_t count) {
    std::mt19937 random(3);
    std::vector<Rectangle> all;
    for (std::uint32_t i = 0; i < count; ++i) {
      const auto src = static_cast<std::uint32_t>(random() % kPoints);
      const auto dst = static_cast<std::uint32_t>(random() % kPoints);
      const bool to_all = i % 8 == 0;
      const bool from_all = i % 8 == 1;
      all.push_back({.src = from_all ? PointRun{0, kPoints} : PointRun{src, src + 1},
                     .dst = to_all ? PointRun{0, kPoints} : PointRun{dst, dst + 1},
                     .rule = i});
    }
    return all;
  }

  Products made(const std::vector<Rectangle>& rules, std::size_t bytes_max) {
    outcomes_.assign(rules.size(), 0);
    matches_.assign(rules.size(), 0);
    return make_products(
        rules, {kPoints, kPoints}, RuleLists(space_, outcomes_, matches_), bytes_max, {});
  }

  static constexpr std::size_t kPlenty = std::size_t{1} << 30U;
  const std::vector<StaticRule> any_{1};
  PortSpace space_{any_};
  std::vector<std::uint32_t> outcomes_;
  std::vector<std::uint32_t> matches_;
};

TEST_F(ProductsOfRules, AreAsFewAsFitACache) {
  EXPECT_EQ(made(rules(100), kPlenty).all.size(), 1U);
  const Products some = made(rules(1'500), kPlenty);
  EXPECT_EQ(some.all.size(), 2U);
  EXPECT_LE(some.bytes(), std::size_t{4} << 20U);
  const Products many = made(rules(10'000), kPlenty);
  EXPECT_GT(many.all.size(), 2U);
  EXPECT_TRUE(many.rest.empty());
}

TEST_F(ProductsOfRules, LeaveWhatDoesNotFit) {
  const Products products = made(rules(10'000), 400'000);
  EXPECT_FALSE(products.rest.empty());
  EXPECT_LE(products.bytes(), 400'000U);
}

}  // namespace
}  // namespace portcullis::classifier
