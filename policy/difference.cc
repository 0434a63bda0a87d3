// SPDX-License-Identifier: MIT
#include "policy/difference.h"

#include <tuple>
#include <utility>

namespace portcullis::policy {

const char* to_string(ObjectChange::Kind kind) {
  switch (kind) {
    case ObjectChange::Kind::added:
      return "added";
    case ObjectChange::Kind::removed:
      return "removed";
    case ObjectChange::Kind::changed:
      return "changed";
  }
  return "";
}

std::vector<ObjectChange> difference(const Snapshot& before, const Snapshot& after) {
  using enum ObjectChange::Kind;
  std::vector<Object> left = objects(before);
  std::vector<Object> right = objects(after);
  const auto key = [](const Object& object) { return std::tie(object.kind, object.name); };
  std::vector<ObjectChange> changes;
  auto old = left.begin();
  auto now = right.begin();
  while (old != left.end() || now != right.end()) {
    if (now == right.end() || (old != left.end() && key(*old) < key(*now))) {
      changes.push_back({.kind = removed, .object = std::move(*old++)});
    } else if (old == left.end() || key(*now) < key(*old)) {
      changes.push_back({.kind = added, .object = std::move(*now++)});
    } else {
      if (old->digest != now->digest) {
        changes.push_back({.kind = changed, .object = std::move(*now)});
      }
      ++old;
      ++now;
    }
  }
  return changes;
}

}  // namespace portcullis::policy
