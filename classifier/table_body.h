// SPDX-License-Identifier: MIT
// What a table holds for now: the rules and the linear matcher over them.
#pragma once

#include <string>

#include "classifier/reference.h"
#include "classifier/table.h"

namespace portcullis::classifier {

struct Table::Body {
  explicit Body(const RuleSet& from) : rules(from), matcher(rules) {}
  RuleSet rules;
  Reference matcher;
  TableSizes sizes;
  std::string digest;
};

}  // namespace portcullis::classifier
