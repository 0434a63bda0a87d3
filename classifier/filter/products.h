// SPDX-License-Identifier: MIT
// Which rules share a product. Every product is asked for every key, so one is best; but rules with
// wide ends, in one product with narrow ones, would hold a cell of every row or column.
// Thread: one.
#pragma once

#include <cstddef>
#include <span>
#include <stop_token>
#include <vector>

#include "classifier/filter/product.h"
#include "classifier/filter/rectangle.h"
#include "classifier/filter/rule_lists.h"

namespace portcullis::classifier {

struct Products {
  std::vector<Product> all;  // Up to kProductsMax.
  RuleLists lists;
  std::vector<Rectangle> rest;  // Rules that none of them takes.

  [[nodiscard]] std::size_t bytes() const;
};

/// As few products as fit a processor's cache, else kProductsMax of them, whose cells and lists
/// take less than half of `bytes_max`; what does not fit is left. `none`: no lists yet, which know
/// the match of every rule. Once `stop` is requested, the products mean nothing.
Products make_products(std::span<const Rectangle> rules,
                       const PointCounts& points,
                       const RuleLists& none,
                       std::size_t bytes_max,
                       const std::stop_token& stop);

}  // namespace portcullis::classifier
