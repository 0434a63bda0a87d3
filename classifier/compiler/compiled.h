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

/// compile(), keeping more than the table. With a reserve, some numbers of classes stay free for
/// those that updates find. REQUIRES: `rules` outlives the result. Errors: those of compile().
Result<Compiled> compile_whole(const RuleSet& rules, const CompileOptions& options, bool reserve);

}  // namespace portcullis::classifier
