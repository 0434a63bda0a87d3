// SPDX-License-Identifier: MIT
// What a configuration says of rules: static ones, as the classifier takes them, and how policies
// are lowered.
// Thread: pure function.
#pragma once

#include <vector>

#include "config/config.h"
#include "policy/lower.h"

namespace portcullis::control {

/// In their order; one without a name is called by its number.
std::vector<policy::NamedStaticRule> static_rules_of(const config::Config& config);

/// Its default mode and pod CIDRs.
policy::LowerOptions lowering_of(const config::Config& config);

}  // namespace portcullis::control
