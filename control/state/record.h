// SPDX-License-Identifier: MIT
// A revision as a record of the journal, and back. A field that this version does not know is
// passed over; one that it needs and does not find makes the record unusable.
// Thread: pure functions.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include <nlohmann/json.hpp>

#include "base/result.h"
#include "control/reconcile.h"

namespace portcullis::control {

/// A revision on disk. Its `snapshot` is null: `content` names the manifests it came from.
struct KeptRevision {
  Revision revision;
  bool on_trial = false;  // And nobody has confirmed it.
};

nlohmann::json record_of(const KeptRevision& kept);
nlohmann::json confirmation_of(std::uint64_t revision);

/// Either a revision or the confirmation of one.
struct Record {
  std::optional<KeptRevision> kept;
  std::uint64_t confirmed = 0;
};

/// Errors: neither of both.
Result<Record> read_record(const nlohmann::json& record);

}  // namespace portcullis::control
