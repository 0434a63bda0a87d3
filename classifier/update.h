// SPDX-License-Identifier: MIT
// A running table and a delta -> the next table, at the cost of what changed. The verdicts are
// those of compile() over the whole RuleSet, rule ids included; docs/table_format.md, Updates.
// Thread: one writer. Readers may look up in any table made so far, except that before the next
//   update those of all tables but the newest must have ended (as TableSlot::publish waits for).
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "base/result.h"
#include "classifier/compile.h"
#include "classifier/rule.h"
#include "classifier/rule_delta.h"
#include "classifier/table.h"

namespace portcullis::classifier {

/// How an update was made; later ones cost more.
enum class UpdateWay : std::uint8_t {
  nothing,    // No verdict changes.
  in_place,   // Single stores into parts that the tables share: readers of the last one see them.
  addresses,  // New address parts: several addresses change at once.
  rows,       // New parts; only the rows and cells that the delta touches were made anew.
  whole,      // Everything was compiled anew.
};
const char* to_string(UpdateWay way);

struct UpdateReport {
  UpdateWay way = UpdateWay::nothing;
  std::string why_whole;          // Why nothing less was enough.
  std::size_t addresses = 0;      // Addresses whose entries were written.
  std::size_t rows = 0;           // Rows of the half matrices made anew.
  std::size_t columns = 0;        // New columns.
  std::size_t classes = 0;        // New classes.
  std::size_t permit_rows = 0;    // Permit rows made anew.
  std::size_t parts_copied = 0;   // Parts that the new table does not share with the last.
  std::size_t garbage_bytes = 0;  // Of the new table, that compact() would free; at most.
  std::chrono::nanoseconds duration{};
};

class Updater {
 public:
  /// Compiles `rules`, with room for classes to come. Errors: those of compile().
  static Result<Updater> start(RuleSet rules, const CompileOptions& options = {});
  Updater(Updater&&) noexcept;
  Updater& operator=(Updater&&) noexcept;
  ~Updater();

  /// The RuleSet with every delta so far; rule i has rule_id(i).
  [[nodiscard]] const RuleSet& rules() const;
  /// The newest table; each call gives a handle of its own on the same parts.
  [[nodiscard]] std::unique_ptr<const Table> table() const;

  /// Applies a delta; the next table() has it. On an error nothing has changed.
  /// Errors: those of apply(), an address of two owners, those of compile().
  Result<UpdateReport> update(RuleDelta delta);
  /// Compiles anew without garbage: the table's bytes are those of compile(rules()).
  Result<UpdateReport> compact();

 private:
  struct State;
  friend Result<Updater> start_updater(RuleSet rules,
                                       const CompileOptions& options,
                                       PermitForm narrowest_permits);
  explicit Updater(std::unique_ptr<State> state);

  std::unique_ptr<State> state_;
};

}  // namespace portcullis::classifier
