// SPDX-License-Identifier: MIT
// Permits: both directions of the matrix folded into one, which forgets what rule decides and keeps
// what is allowed. It is small enough for a cache, and one cell answers for a pair of classes.
// Thread: one.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "classifier/compiler/classes.h"
#include "classifier/compiler/matrix.h"
#include "classifier/layout.h"
#include "classifier/rule.h"

namespace portcullis::classifier {

/// The permit parts of a table; all empty when they would be too large or classes too many.
struct Permits {
  std::vector<std::uint32_t> rows;
  std::vector<std::uint32_t> cells;
  std::vector<std::uint32_t> lines;
  std::vector<std::uint32_t> defaults;
  /// By Opening: the first class of that or a later opening as a destination.
  std::array<std::uint32_t, 4> first_class{};

  [[nodiscard]] std::size_t bytes() const;
};

/// Numbers the classes anew, by opening as destinations, and folds the matrix, which holds both
/// directions of those classes.
Permits fold_permits(DefaultMode mode, Classes& classes, const Matrix& matrix);

}  // namespace portcullis::classifier
