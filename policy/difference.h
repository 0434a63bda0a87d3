// SPDX-License-Identifier: MIT
// difference(): the objects by which two snapshots differ. By content: where an object is written
// is no difference. Thread: pure function.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "policy/snapshot.h"

namespace portcullis::policy {

struct ObjectChange {
  enum class Kind : std::uint8_t { added, removed, changed } kind = Kind::changed;
  Object object;  // As it is after; a removed one as it was.
};
const char* to_string(ObjectChange::Kind kind);

/// In the order of objects().
std::vector<ObjectChange> difference(const Snapshot& before, const Snapshot& after);

}  // namespace portcullis::policy
