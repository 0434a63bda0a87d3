// SPDX-License-Identifier: MIT
// A generation to publish, compiled from rules, for tests of the dataplane.
#pragma once

#include <cstdint>
#include <memory>

#include "classifier/compile.h"
#include "classifier/rule.h"
#include "classifier/verdict.h"
#include "dataplane/generation.h"

namespace portcullis::test {

/// REQUIRES: the rules compile.
inline std::unique_ptr<const dataplane::Generation> generation_of(const classifier::RuleSet& rules,
                                                                  std::uint64_t epoch) {
  auto made = std::make_unique<dataplane::Generation>();
  made->epoch = epoch;
  made->table = classifier::compile(rules).value();
  made->rule_ids = classifier::kBuiltinRules + rules.rules.size();
  return made;
}

}  // namespace portcullis::test
