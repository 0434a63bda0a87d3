// SPDX-License-Identifier: MIT
#include "control/live/view.h"

#include <utility>

namespace portcullis::control {

View::View(std::shared_ptr<const policy::Snapshot> snapshot,
           std::shared_ptr<const policy::Lowered> lowered,
           std::shared_ptr<const classifier::Table> table)
    : snapshot_(std::move(snapshot)),
      lowered_(std::move(lowered)),
      table_(std::move(table)),
      explainer_({.table = *table_,
                  .rules = lowered_->rules,
                  .provenance = lowered_->provenance,
                  .endpoints = lowered_->endpoints}),
      locator_(*snapshot_) {}

std::shared_ptr<const View> View::of(std::shared_ptr<const classifier::Table> table) const {
  return std::make_shared<const View>(snapshot_, lowered_, std::move(table));
}

}  // namespace portcullis::control
