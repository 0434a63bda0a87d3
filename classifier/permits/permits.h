// SPDX-License-Identifier: MIT
// Permits: both directions of the matrix folded into one, which forgets what rule decides and keeps
// what is allowed. It is small enough for a cache, and one cell answers for a pair of classes.
// Thread: one.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "classifier/compiler/classes.h"
#include "classifier/compiler/matrix.h"
#include "classifier/layout.h"
#include "classifier/permits/permit_folder.h"
#include "classifier/rule.h"

namespace portcullis::classifier {

/// The permit parts of a table; all empty when they would be too large.
struct Permits {
  PermitForm form = PermitForm::none;
  std::vector<std::uint32_t> rows;
  std::span<const std::uint32_t> cells;  // The folder's.
  std::span<const std::uint32_t> lines;  // The same.
  std::vector<std::uint32_t> defaults;

  [[nodiscard]] std::size_t bytes() const;
};

/// Numbers the classes anew, by opening as destinations, and lists them for the fold of the matrix,
/// which holds both directions. With a reserve, some numbers of each opening stay free.
/// Null: there are too many cells to keep, or the crew is stopped.
std::unique_ptr<PermitFolder> begin_permits(
    Classes& classes, const Matrix& matrix, bool reserve, const PermitOptions& options, Crew& crew);

/// The parts as they are; of no folder: empty.
Permits permits_of(const PermitFolder* folder, const Classes& classes);

}  // namespace portcullis::classifier
