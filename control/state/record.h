// SPDX-License-Identifier: MIT
// A revision as a record of the journal, and back. A field that this version does not know is
// passed over; one that it needs and does not find makes the record unusable.
// Thread: pure functions.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "base/result.h"
#include "control/reconcile.h"

namespace portcullis::control {

/// Batches of steps (change/steps.h) that a revision has beyond the content that it names. Later
/// revisions go on with the same list, so that each is kept once.
struct KeptSteps {
  std::shared_ptr<std::vector<nlohmann::json>> list;  // Null: none.
  std::size_t count = 0;                              // The first ones of the list.
};

/// A revision on disk. Its `world` is null: `content` names the manifests it came from.
struct KeptRevision {
  Revision revision;
  bool on_trial = false;    // And nobody has confirmed it.
  std::uint64_t after = 0;  // With steps: the revision that it goes on from,
  bool replaces = false;    // and whose place in the history it takes.
  KeptSteps steps;
};

/// `first`: the first of its batches that the record shall hold.
nlohmann::json record_of(const KeptRevision& kept, std::size_t first = 0);
nlohmann::json confirmation_of(std::uint64_t revision);

/// Either a revision or the confirmation of one.
struct Record {
  std::optional<KeptRevision> kept;  // Its steps: those of the record alone.
  std::uint64_t confirmed = 0;
};

/// Errors: neither of both.
Result<Record> read_record(const nlohmann::json& record);

}  // namespace portcullis::control
