// SPDX-License-Identifier: MIT
// View: what a person may ask of the content that is enforced: why, who, and where.
// Thread: immutable after construction; any number of threads may ask it.
#pragma once

#include <memory>

#include "classifier/table.h"
#include "observe/explain.h"
#include "policy/locate.h"
#include "policy/lower.h"
#include "policy/snapshot.h"

namespace portcullis::control {

class View {
 public:
  /// REQUIRES: `lowered` and `table` are of `snapshot`.
  View(std::shared_ptr<const policy::Snapshot> snapshot,
       std::shared_ptr<const policy::Lowered> lowered,
       std::shared_ptr<const classifier::Table> table);
  View(const View&) = delete;
  View& operator=(const View&) = delete;
  ~View() = default;

  [[nodiscard]] const policy::Snapshot& snapshot() const { return *snapshot_; }
  [[nodiscard]] const observe::Explainer& explainer() const { return explainer_; }
  [[nodiscard]] const policy::Locator& locator() const { return locator_; }
  /// The same, of a table with the same content.
  [[nodiscard]] std::shared_ptr<const View> of(
      std::shared_ptr<const classifier::Table> table) const;

 private:
  std::shared_ptr<const policy::Snapshot> snapshot_;
  std::shared_ptr<const policy::Lowered> lowered_;
  std::shared_ptr<const classifier::Table> table_;
  observe::Explainer explainer_;
  policy::Locator locator_;
};

}  // namespace portcullis::control
