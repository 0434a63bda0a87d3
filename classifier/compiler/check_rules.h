// SPDX-License-Identifier: MIT
// What compile() refuses before it looks at anything else.
#pragma once

#include "base/result.h"
#include "classifier/rule.h"

namespace portcullis::classifier {

/// Errors: an index out of range; an unsorted endpoint list; a prefix with host bits; more rules
/// than an id can name; an address owned by two endpoints.
Result<void> check_rules(const RuleSet& rules);

}  // namespace portcullis::classifier
