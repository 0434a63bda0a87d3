// SPDX-License-Identifier: MIT
// From a compiled rule back to the line a person wrote.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "classifier/rule.h"

namespace portcullis::policy {

/// A place in a manifest. Line and column count from 1; 0 means unknown.
struct Where {
  std::string file;
  std::uint32_t line = 0;
  std::uint32_t column = 0;
};

/// "file:line", or "file:line:column" with a known column.
std::string to_string(const Where& where);

/// What the provenance of Rule and StaticRule indexes.
struct RuleOrigin {
  static constexpr std::uint32_t kIsolation =
      0;  // Value of `rule` for "selected, nothing matched".

  std::string kind;    // "NetworkPolicy" or "static rule".
  std::string policy;  // "namespace/name", or the static rule's name.
  classifier::Direction direction = classifier::Direction::ingress;
  std::uint32_t rule = kIsolation;  // 1 for the first item of spec.ingress / spec.egress.
  Where where;                      // Of that item; for isolation, of the policy.
  bool is_static = false;           // A static rule's: direction and rule mean nothing.
};

using Provenance = std::vector<RuleOrigin>;

}  // namespace portcullis::policy
