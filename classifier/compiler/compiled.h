// SPDX-License-Identifier: MIT
// A table with what the compiler knew when it made it, from which an update goes on.
// Thread: plain data.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "base/result.h"
#include "classifier/compile.h"
#include "classifier/compiler/classes.h"
#include "classifier/compiler/matrix.h"
#include "classifier/permits/permit_folder.h"
#include "classifier/table.h"

namespace portcullis::classifier {

struct Compiled {
  std::unique_ptr<const Table> table;
  Classes classes;
  std::unique_ptr<Matrix> matrix;
  std::array<std::vector<RowPlace>, 2> places;  // By Direction.
  std::unique_ptr<PermitFolder> permits;        // Null: the table has none.

  [[nodiscard]] std::pair<SourceRecord, DestinationRecord> records_of(std::uint32_t number) const;
};

/// What only those ask for who know the compiler.
struct WholeOptions {
  bool reserve = false;  // Some numbers of classes stay free for those that updates find.
  PermitForm narrowest_permits = PermitForm::narrow;  // Tests have small tables in the wide form.
};

/// compile(), keeping more than the table. REQUIRES: `rules` outlives the result. Errors: those of
/// compile().
Result<Compiled> compile_whole(const RuleSet& rules,
                               const CompileOptions& options,
                               const WholeOptions& whole);

}  // namespace portcullis::classifier
