// SPDX-License-Identifier: MIT
// A table with what the compiler knew when it made it, from which an update goes on.
// Thread: plain data.
#pragma once

#include <memory>

#include "base/result.h"
#include "classifier/compile.h"
#include "classifier/compiler/classes.h"
#include "classifier/table.h"

namespace portcullis::classifier {

struct Compiled {
  std::unique_ptr<const Table> table;
  Classes classes;
};

/// compile(), keeping more than the table. Errors: those of compile().
Result<Compiled> compile_whole(const RuleSet& rules, const CompileOptions& options);

}  // namespace portcullis::classifier
