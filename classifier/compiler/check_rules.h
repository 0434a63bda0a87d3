// SPDX-License-Identifier: MIT
// What compile() refuses before it looks at anything else.
#pragma once

#include <cstddef>

#include "base/result.h"
#include "classifier/crew.h"
#include "classifier/rule.h"

namespace portcullis::classifier {

/// Errors: an index out of range; an unsorted endpoint list; a prefix with host bits; more rules
/// than an id can name; an address owned by two endpoints.
Result<void> check_rules(const RuleSet& rules, Crew& crew);

/// The same for one entry of a RuleSet, but for the owners of addresses.
Result<void> check_endpoint(const RuleSet& rules, std::size_t index);
Result<void> check_set(const RuleSet& rules, std::size_t index);
Result<void> check_rule(const RuleSet& rules, std::size_t index);

}  // namespace portcullis::classifier
